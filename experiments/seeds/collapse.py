"""How often runs end in black images at once, in caejax and in PyTorch.

    python -m experiments.seeds.collapse --data=DIR [--system=e_upsampling] [--seeds=N]

DIR holds MNIST's four IDX files. Needs PyTorch. Trains on 16,000 images, each once,
from many seeds. Writes collapse.csv: by implementation and seed the training loss in
the source's unit. That of black images is 2.24 for system E, and a run there stays
there: where the sigmoid is 0, so is its gradient.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from ml_collections import ConfigDict

from caejax.data import idx
from caejax.files.csv_files import write_csv
from caejax.runtime import devices
from caejax.runtime.startup import start
from caejax.training.run import create_run, initial_state
from caejax.training.step import compiled_steps, zero_sums
from experiments.seeds import pytorch
from experiments.seeds.systems import SYSTEMS, config_of
from experiments.shared.commands import create_parser

IMAGES = 16_000
BLACK = 2.0  # above it, a mean over the images has collapsed


def caejax_figures(config: ConfigDict, factor: float, seeds: int) -> Iterator[float]:
    """Mean training loss times a factor, by seed."""
    run = create_run(config, verbose=False)
    images, steps = run.images["train"], run.steps_per_epoch
    for seed in range(seeds):
        state = initial_state(run._replace(seed=seed))
        state, sums = devices.on_all_devices((state, zero_sums()))
        take = compiled_steps(run.task)
        _, sums = take(state, sums, images, steps, seed, run.level)
        yield factor * float(sums["loss"]) / steps


def pytorch_figures(name: str, data: Path, seeds: int) -> Iterator[float]:
    """The same of PyTorch's."""
    torch.set_num_threads(1)
    parts = idx.load(dir=str(data))
    train, test = (pytorch.pixels(part.images[:IMAGES]) for part in parts)
    once = pytorch.REFERENCES[name]._replace(epochs=1)
    for seed in range(seeds):
        for figure, _ in pytorch.curve(once, train, test, seed):
            yield figure


def main(argv: list[str] | None = None) -> None:
    """Trains, counts and writes."""
    parser = create_parser(__doc__, out=Path(__file__).with_name("collapse.csv"))
    parser.add_argument("--data", type=Path, required=True)
    names = tuple(pytorch.REFERENCES)
    parser.add_argument("--system", default="e_upsampling", choices=names)
    parser.add_argument("--seeds", type=int, default=60)
    args = parser.parse_args(argv)
    system = next(system for system in SYSTEMS if system.name == args.system)
    config = config_of(system)
    config.data.dir, config.data.limit = str(args.data.resolve()), IMAGES
    start(config.train.batch_size, cache=False)
    figures = {
        "caejax": caejax_figures(config, system.unit.factor, args.seeds),
        "PyTorch": pytorch_figures(system.name, args.data, args.seeds),
    }
    rows = [
        {"implementation": name, "system": system.name, "seed": seed, "figure": value}
        for name, found in figures.items()
        for seed, value in enumerate(found)
    ]
    write_csv(args.out, rows, ".4g")
    for name in figures:
        black = [r["figure"] > BLACK for r in rows if r["implementation"] == name]
        print(f"{name}: {sum(black)} of {len(black)} runs are black")


if __name__ == "__main__":
    main()
