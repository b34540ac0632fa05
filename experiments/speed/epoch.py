"""Seconds an epoch of system A: 60,000 images in batches of 200, in one call.

    python experiments/speed/epoch.py --paths=auto,stock

Prints the median of some epochs for each way to compute the layers, in both dtypes. As
in study.py, fewer images lie on the device and come back within the epoch.
"""

import argparse
import statistics

import study
import systems
from interleave import Worker
from runners import Settings

from caejax.models.layers import DTYPES
from caejax.ops.paths import PATHS

IMAGES = 60_000


def epochs(worker: Worker, steps: int, count: int) -> list[float]:
    """Seconds of so many epochs, after the steps that compile."""
    worker.make()
    worker.warm_up()
    return [worker.ask("run", steps=steps)["seconds"] for _ in range(count)]


def main(argv: list[str] | None = None) -> None:
    """Times all paths, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--paths", default="all", help="comma list, or all")
    parser.add_argument("--count", type=int, default=5, help="epochs of each")
    args = parser.parse_args(argv)
    system = systems.from_config("A", "seeds/a_conv_denoiser")
    for dtype in DTYPES:
        for path in study.chosen(args.paths, PATHS):
            settings = Settings(dtype=dtype, cores=study.cores(), path=path)
            worker = Worker("caejax", system, settings)
            try:
                seconds = epochs(worker, IMAGES // system.batch, args.count)
            finally:
                worker.close()
            print(f"{dtype}, {path}: {statistics.median(seconds):.3g} s an epoch")


if __name__ == "__main__":
    main()
