"""Speed of training: caejax against stock Flax and PyTorch, in turns.

    python -m experiments.speed.study
    python -m experiments.speed.study --scaling
    python -m experiments.speed.study --grid --minutes=6

Needs PyTorch (`pip install -e ".[bench]"`), no data. Writes results.json, results.md
and speed.png; with --scaling scaling.json, scaling.md and scaling.png; with --grid
grid.json and grid.md, which the same command goes on with.
"""

import argparse
import json
import math
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from caejax.errors import CaejaxError
from caejax.runtime.cores import usable_cores
from experiments.shared.commands import create_parser, names
from experiments.shared.machine import versions
from experiments.speed import figures, systems, tables
from experiments.speed.interleave import measure, peaks
from experiments.speed.runners import Settings
from experiments.speed.systems import System

# The others are caejax on a path that it might not choose by itself.
DEFAULT = "caejax,flax,equinox,torch_nchw,torch_nhwc,torch_compile"
PACKAGES = ("caejax", "jax", "flax", "torch", "equinox")

Record = dict[str, Any]
Timer = Callable[[System], Record]


def speed_results(
    parts: dict[str, Sequence[System]], timer: Timer, results: Record
) -> Iterator[Record]:
    """Measures the systems that results lack; yields the results after each."""
    for part, members in parts.items():
        done = results.setdefault(part, [])
        for system in members:
            if system.name not in [record["name"] for record in done]:
                done.append(timer(system))
                yield results


def scaling_results(timer: Timer, results: Record) -> Iterator[Record]:
    """Measures the general model in all sizes; yields the results after each."""
    results["scaling"] = []
    for axis, points in systems.scaling().items():
        for value, system in points:
            record = {"axis": axis, "value": value, **timer(system)}
            results["scaling"].append(record)
            yield results


def grid_results(timer: Timer, results: Record) -> Iterator[Record]:
    """Measures the grid's cells that results lack; yields the results after each."""
    done = results.setdefault("grid", [])
    for system in systems.grid():
        if system.name not in [record["name"] for record in done]:
            done.append(timer(system))
            yield results


def write_grid(results: Record, out: Path) -> None:
    """Writes the grid's numbers and its table."""
    (out / "grid.json").write_text(json.dumps(results, indent=1) + "\n")
    names = [system.name for system in systems.grid()]
    (out / "grid.md").write_text(tables.grid_report(results, names))


def write(results: Record, out: Path) -> None:
    """Writes the numbers, the tables and the figure of either measurement."""
    name, text = (
        ("scaling", tables.scaling_report(results))
        if "scaling" in results
        else ("results", tables.report(results))
    )
    (out / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n")
    (out / f"{name}.md").write_text(text)
    figures.draw(results, out)


def setting(args: argparse.Namespace) -> Record:
    """What the numbers depend on, but for the device's name."""
    return {
        "machine": platform.machine(),
        "cores": args.cores,
        "dtype": args.dtype,
        "rounds": args.rounds,
        "seconds": args.seconds,
        "load before": round(os.getloadavg()[0], 2),
        "Python": platform.python_version(),
        **versions(PACKAGES),
    }


def say(system: System, record: Record, seconds: float) -> None:
    """Prints a line on a system that is done."""
    found = tables.summarise(record).items()
    times = ", ".join(f"{name} {summary.ms:.3g} ms" for name, summary in found)
    failed = "".join(f", {name} failed" for name in record["failures"])
    print(f"{system.name}: {times}{failed}, after {seconds:.0f} s", flush=True)


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = create_parser(__doc__, out=Path(__file__).parent)
    add = parser.add_argument
    lists = "comma list, or all"
    add("--systems", default="all", help=f"{lists}: {', '.join(systems.published())}")
    add("--kinds", default="all", help=f"{lists}, of upsampling in the general model")
    known = ", ".join(tables.NAMES)
    add("--implementations", default=DEFAULT, help=f"{lists}: {known}")
    add("--rounds", type=int, default=11, help="turns of each implementation")
    add("--seconds", type=float, default=1.0, help="that a turn takes, about")
    add("--cores", type=int, default=len(usable_cores()), help="to use")
    add("--dtype", default="float32", choices=("float32", "bfloat16"))
    add("--scaling", action="store_true", help="time an image against sizes instead")
    add("--grid", action="store_true", help="widths, batches and image sizes instead")
    add("--minutes", type=float, default=math.inf, help="until no cell is begun")
    add("--resume", action="store_true", help="keep what results.json has already")
    args = parser.parse_args(argv)
    try:
        for flag, known in (
            ("systems", systems.published()),
            ("kinds", systems.kinds()),
            ("implementations", tables.NAMES),
        ):
            setattr(args, flag, names(getattr(args, flag), known, flag))
    except CaejaxError as error:
        parser.error(str(error))
    return args


def main(argv: list[str] | None = None) -> None:
    """Runs the study."""
    args = parse(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    settings = Settings(dtype=args.dtype, cores=args.cores)

    def timer(system):
        record = measure(
            system,
            args.implementations,
            settings,
            rounds=args.rounds,
            seconds=args.seconds,
        )
        say(system, record, time.perf_counter() - start)
        return record

    results = {"setting": setting(args)}
    if args.resume:
        results = json.loads((args.out / "results.json").read_text())
    if args.grid:
        path = args.out / "grid.json"
        if path.exists():
            results = json.loads(path.read_text())
        for found in grid_results(timer, results):
            write_grid(found, args.out)
            if time.perf_counter() - start > 60 * args.minutes:
                break
        return
    if args.scaling:
        progress = scaling_results(timer, results)
    else:
        if "peaks" not in results:
            results["peaks"] = peaks(systems.published()["E transposed"], settings)
        published, kinds = systems.published(), systems.kinds()
        parts = {
            "systems": [published[name] for name in args.systems],
            "kinds": [kinds[name] for name in args.kinds],
        }
        progress = speed_results(parts, timer, results)
    for results in progress:
        write(results, args.out)
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
