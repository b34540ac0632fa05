"""Does a denoiser's encoder help a classifier that has few labels?

    python -m experiments.pretraining.study --data=DIR [--seeds=N]
    python -m experiments.pretraining.study --run=DIR [--seeds=N]
    python -m experiments.pretraining.study --redraw

The first trains the study's own denoiser; DIR holds MNIST's four IDX files. The second
takes the encoder of any finished run whose images have ten classes, and its data.
Writes results.csv, results.md and accuracy.png. The third draws accuracy.png anew, of
results.csv beside this file.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from caejax import data
from caejax.data import Dataset, Split
from caejax.files.csv_files import read_csv, write_csv
from caejax.inference import trained
from caejax.report.statistics import Contrast, contrast_table
from caejax.report.style import PAGE, head, paper_style, save, series_style
from caejax.report.tables import to_markdown
from caejax.runtime.startup import start
from caejax.runtime.stopping import run_command
from experiments.pretraining import classifier, finished
from experiments.pretraining.classifier import ARMS, CLASSES
from experiments.shared import machine
from experiments.shared.cells import bracketed, mean_and_range
from experiments.shared.commands import create_parser
from experiments.shared.rows import Row, distinct, select
from experiments.shared.styles import GREY, plain_numbers

# Labels and the steps of training with them.
STEPS = {100: 300, 1000: 1000, 10_000: 3000}

HERE = Path(__file__).parent
OWN = (
    "MNIST, dense encoder of 500 units, masking noise 0.3"  # as in classifier.DENOISER
)


class Setting(NamedTuple):
    """Where encoders and images come from.

    Attributes:
      dataset: the images with their labels.
      model: the autoencoder.
      encoders: a function from a seed to the autoencoder's parameters by arm.
      text: how the encoders were pre-trained.
      images: which images, and which encoder, for people.
    """

    dataset: Dataset
    model: nn.Module
    encoders: Callable[[int], dict[str, Any]]
    text: str
    images: str


def balanced(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Indices (count,) of equally many examples of every class.

    A seed's smaller subsets are parts of its larger ones.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    classes = np.unique(labels)
    size = count // len(classes)
    return np.concatenate([order[labels[order] == c][:size] for c in classes])


def seed_rows(
    dataset: Dataset, model: nn.Module, encoders: dict[str, Any], seed: int
) -> Iterator[Row]:
    """A row for each number of labels and arm; both arms have the same labels.

    Args:
      dataset: the images with their labels; numbers of labels that it does not have
        are left out.
      model: the autoencoder.
      encoders: the autoencoder's parameters by arm.
      seed: the seed of the choice of labels and their order.
    """
    most = CLASSES * np.bincount(dataset.train.labels, minlength=CLASSES).min()
    for count in (count for count in STEPS if count <= most):
        chosen = balanced(dataset.train.labels, count, seed)
        labelled = Split(*(x[chosen] for x in dataset.train))
        for arm in ARMS:
            found = classifier.fine_tune(
                model,
                encoders[arm],
                labelled,
                dataset.val,
                seed=seed,
                steps=STEPS[count],
            )
            yield {
                "seed": seed,
                "labels": count,
                "encoder": arm,
                "best_step": found.step,
                "val_accuracy": found.accuracy,
                "test_accuracy": classifier.accuracy(
                    model, found.params, *dataset.test
                ),
            }


def by_seed(rows: Sequence[Row], count: int, arm: str) -> np.ndarray:
    """Test accuracy (seeds,) in %."""
    found = select(rows, labels=count, encoder=arm)
    return np.array([100 * row["test_accuracy"] for row in found])


def contrasts(rows: Sequence[Row]) -> list[Row]:
    """Pre-trained minus random for each number of labels, paired by seed."""
    seeds = distinct(rows, "seed")
    return contrast_table(
        [
            Contrast(
                str(count),
                by_seed(rows, count, "pre-trained") - by_seed(rows, count, "random"),
                seeds,
            )
            for count in counts_of(rows)
        ]
    )


def counts_of(rows: Sequence[Row]) -> list[int]:
    """The numbers of labels, in order."""
    return distinct(rows, "labels")


def report(rows: Sequence[Row], pretrained: str) -> str:
    """The table of accuracies and paired differences; says how pre-trained."""
    header = ["labels", *(f"{arm}: test accuracy (%)" for arm in ARMS)]
    header += ["difference (points)", "by seed", "n", "p (Holm)"]
    lines = []
    for count, row in zip(counts_of(rows), contrasts(rows), strict=True):
        arms = [by_seed(rows, count, arm) for arm in ARMS]
        lines.append(
            [
                f"{count:,}",
                *map(mean_and_range, arms),
                bracketed(row["mean"], row["low"], row["high"], "+.2f"),
                ", ".join(f"{x:+.2f}" for x in arms[1] - arms[0]),
                str(row["n"]),
                row["p_text"],
            ]
        )
    return (
        f"Written by study.py; {pretrained}.\n\n"
        "Accuracies are means and, in brackets, ranges over seeds; differences are "
        "means of pairs with Student's 95 % intervals.\n\n" + to_markdown(header, lines)
    )


def figure(rows: Sequence[Row], setting: str) -> Figure:
    """Test error of both arms, and their differences by seed."""
    figure, axes = plt.subplots(1, 2, figsize=(PAGE, 3.1))
    counts = counts_of(rows)
    for i, arm in enumerate(ARMS):
        errors = np.array([100 - by_seed(rows, count, arm) for count in counts])
        ends = errors.mean(1) - errors.min(1), errors.max(1) - errors.mean(1)
        look = series_style(i)
        axes[0].errorbar(counts, errors.mean(1), ends, **look, label=f"{arm} encoder")
    axes[0].set(xscale="log", yscale="log", ylabel="test error (%, log scale)")
    axes[0].set(xlabel="labels (log scale)", title="means, bars are the range of seeds")
    plain_numbers(axes[0].xaxis)
    axes[0].set_yticks([3, 5, 10, 20, 30], ["3", "5", "10", "20", "30"])
    axes[0].set_yticks([], minor=True)
    axes[0].legend()
    for x, row in enumerate(contrasts(rows)):
        count = counts[x]
        gaps = by_seed(rows, count, "pre-trained") - by_seed(rows, count, "random")
        axes[1].plot(np.full(len(gaps), x - 0.12), gaps, "o", color=GREY)
        if row["n"] > 1:
            axes[1].vlines(x + 0.12, row["low"], row["high"], color="black")
        axes[1].plot(x + 0.12, row["mean"], "s", color="black")
    axes[1].axhline(0, color="black", lw=0.6)
    axes[1].set_xticks(range(len(counts)), [f"{count:,}" for count in counts])
    axes[1].set(xlabel="labels", ylabel="gain of pre-training (percentage points)")
    axes[1].set(xlim=(-0.5, len(counts) - 0.5), title="seeds, mean and 95 % interval")
    head(figure, f"{setting}; {len(distinct(rows, 'seed'))} seeds")
    return figure


def own_denoiser(args: argparse.Namespace) -> Setting:
    """System D, pre-trained here from each seed."""
    dataset = data.load("idx", dir=args.data, val_fraction=1 / 12)
    text = own_text(args.epochs)

    def encoders(seed):
        return classifier.encoders(dataset.train.images, seed, args.epochs)

    return Setting(dataset, classifier.DENOISER.model, encoders, text, OWN)


def own_text(epochs: int) -> str:
    """How the study's own denoiser was pre-trained."""
    return f"encoders pre-trained for {epochs} epochs"


def finished_run(args: argparse.Namespace) -> Setting:
    """The encoder of a run, the same for all seeds."""
    own = trained.load(args.run)
    dataset = finished.dataset(own.config)
    text = "the pre-trained encoder is that of one run, the same for all seeds"
    encoders = partial(finished.encoders, own)
    return Setting(dataset, own.model, encoders, text, own.config.data.source)


def study(args: argparse.Namespace) -> int:
    """Trains all classifiers and writes what was found."""
    start(cores=1, cache=False)
    began = time.perf_counter()
    setting = finished_run(args) if args.run else own_denoiser(args)
    out = args.out or (args.run / "pretraining" if args.run else HERE)
    rows = []
    for seed in range(args.seeds):
        encoders = setting.encoders(seed)
        rows += seed_rows(setting.dataset, setting.model, encoders, seed)
        print(
            f"seed {seed}: done after {time.perf_counter() - began:.0f} s", flush=True
        )
    out.mkdir(parents=True, exist_ok=True)
    write_csv(out / "results.csv", rows, ".4f")
    (out / "results.md").write_text(report(rows, setting.text))
    draw(rows, f"{setting.images}: {setting.text}", out)
    print(machine.elapsed(time.perf_counter() - began))
    return 0


def draw(rows: Sequence[Row], setting: str, out: Path) -> None:
    """Draws and saves the figure."""
    with paper_style():
        save(figure(rows, setting), out / "accuracy")


def redraw(args: argparse.Namespace) -> int:
    """Draws the figure of the rows that are kept."""
    setting = f"{OWN}: {own_text(args.epochs)}"
    draw(read_csv(HERE / "results.csv"), setting, args.out or HERE)
    return 0


def main(argv: list[str] | None = None) -> int:
    """Runs the study; returns the exit code."""
    parser = create_parser(__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", help="folder of MNIST's four IDX files")
    source.add_argument("--run", type=Path, help="folder of a finished run")
    words = "draw the kept results anew"
    source.add_argument("--redraw", action="store_true", help=words)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10, help="of pre-training")
    parser.add_argument(
        "--out", type=Path, help="default: this folder, or RUN/pretraining"
    )
    args = parser.parse_args(argv)
    run = redraw if args.redraw else study
    return run_command(lambda: run(args), "interrupted; nothing was written")


if __name__ == "__main__":
    sys.exit(main())
