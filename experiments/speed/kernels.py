"""Where a step of system A spends its time on an accelerator, kernel by kernel.

    python -m experiments.speed.kernels --out=experiments/speed/gpu

XLA's own profiler records some steps of one compiled call. Writes kernels.csv, a row a
kernel with microseconds and launches a step, and prints their sum beside the time that
a step takes unobserved: what is left is launching and waiting.
"""

import collections
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax

from caejax.errors import CaejaxError
from caejax.files.csv_files import write_csv
from caejax.runtime.cores import usable_cores
from experiments.shared.commands import create_parser
from experiments.speed import runners, systems

FILE = "kernels.csv"
NAME = 80  # characters of a kernel's name that are kept; C++ has no bound


def by_kernel(events: Iterable[tuple[str, float]], steps: int) -> list[dict[str, Any]]:
    """Sums a device's events by kernel, the longest first.

    Args:
      events: the name and the nanoseconds of each.
      steps: how many steps they are of.
    """
    spent, launches = collections.Counter(), collections.Counter()
    for name, nanoseconds in events:
        spent[name] += nanoseconds
        launches[name] += 1
    return [
        {
            "kernel": name[:NAME],
            "us_a_step": round(total / 1e3 / steps, 2),
            "launches_a_step": round(launches[name] / steps, 2),
        }
        for name, total in spent.most_common()
    ]


def of_devices(folder: Path) -> list[tuple[str, float]]:
    """The events on accelerators' streams in what a profile has written.

    Raises:
      CaejaxError: there are none, as on a CPU.
    """
    (path,) = folder.rglob("*.xplane.pb")
    found = [
        (event.name, event.duration_ns)
        for plane in jax.profiler.ProfileData.from_file(str(path)).planes
        if plane.name.startswith("/device:")
        for line in plane.lines
        if line.name.startswith("Stream")
        for event in line.events
    ]
    if not found:
        raise CaejaxError("the profile has no kernels of an accelerator; run it on one")
    return found


def main(argv: list[str] | None = None) -> None:
    """Profiles the steps."""
    parser = create_parser(__doc__, out=Path(__file__).parent / "gpu")
    parser.add_argument("--steps", type=int, default=50, help="that are recorded")
    parser.add_argument("--dtype", default="bfloat16")
    args = parser.parse_args(argv)
    system = systems.from_config("A", "seeds/a_conv_denoiser")
    settings = runners.Settings(args.dtype, len(usable_cores()))
    runner = runners.caejax(system, settings)
    runner.run(2)
    began = time.perf_counter()
    runner.run(args.steps)
    alone = (time.perf_counter() - began) / args.steps
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            runner.run(args.steps)
        rows = by_kernel(of_devices(Path(folder)), args.steps)
    args.out.mkdir(parents=True, exist_ok=True)
    write_csv(args.out / FILE, rows)
    total = sum(row["us_a_step"] for row in rows)
    print(f"{total:.0f} us a step in kernels, {alone * 1e6:.0f} us a step in all")


if __name__ == "__main__":
    main()
