"""Seconds an epoch of system A: 60,000 images in batches of 200, in one call.

    python -m experiments.speed.epoch --paths=auto,stock

Prints the median of some epochs for each way to compute the layers, in both dtypes, and
writes epoch.json. As in study.py, fewer images lie on the device and come back within
the epoch.
"""

import json
import statistics
from pathlib import Path

from caejax.models.layers import DTYPES
from caejax.ops.paths import PATHS
from caejax.runtime.cores import usable_cores
from experiments.shared.commands import create_parser, names
from experiments.speed import systems
from experiments.speed.interleave import Worker
from experiments.speed.runners import Settings

IMAGES = 60_000


def epochs(worker: Worker, steps: int, count: int) -> list[float]:
    """Seconds of so many epochs, after the steps that compile."""
    worker.warm_up()
    return [worker.ask("run", steps=steps)["seconds"] for _ in range(count)]


def main(argv: list[str] | None = None) -> None:
    """Times all paths, one after the other."""
    parser = create_parser(__doc__, out=Path(__file__).parent)
    parser.add_argument("--paths", default="all", help="comma list, or all")
    parser.add_argument("--count", type=int, default=5, help="epochs of each")
    parser.add_argument("--images", type=int, default=IMAGES, help="of an epoch")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    system = systems.from_config("A", "seeds/a_conv_denoiser")
    results = {"images": args.images, "seconds": {name: {} for name in DTYPES}}
    for dtype in DTYPES:
        for path in names(args.paths, PATHS, "paths"):
            settings = Settings(dtype, len(usable_cores()), path=path)
            worker = Worker("caejax", system, settings)
            try:
                results["device"] = worker.make()["platform"]
                seconds = epochs(worker, args.images // system.batch, args.count)
            finally:
                worker.close()
            results["seconds"][dtype][path] = seconds
            (args.out / "epoch.json").write_text(json.dumps(results, indent=1) + "\n")
            print(
                f"{dtype}, {path}: {statistics.median(seconds):.3g} s an epoch",
                flush=True,
            )


if __name__ == "__main__":
    main()
