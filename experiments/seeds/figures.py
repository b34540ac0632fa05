"""The study's figures.

    python -m experiments.seeds.figures

draws curves.png anew, from curves.csv and the references' files.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from caejax.files.csv_files import read_csv
from caejax.report.style import COLORS, PAGE, bare, head, paper_style, save
from caejax.terminal.numbers import counted
from experiments.seeds.systems import (
    HERE,
    SYSTEMS,
    System,
    config_of,
    with_references,
)
from experiments.shared.rows import Row, distinct, select
from experiments.shared.styles import plain_numbers

COLUMNS = 4
SHOWN = 8  # pictures a row
SOURCE = COLORS[0]
CAEJAX = {"color": COLORS[1], "lw": 0.8, "alpha": 0.8}
PYTORCH = {"color": "black", "lw": 0.8, "ls": ":", "zorder": 2.5}
WIDE = 10  # range that is drawn on a logarithmic axis


def draw(
    systems: Sequence[System],
    curves: Sequence[Row],
    pytorch: Sequence[Row],
    samples: Mapping[str, Mapping[str, np.ndarray]],
    out: Path,
) -> None:
    """Draws and saves all figures."""
    with paper_style():
        save(losses(systems, curves, pytorch), out / "curves")
        if samples:
            save(reconstructions(samples), out / "reconstructions")


def redraw(out: Path = HERE) -> None:
    """Draws and saves what the CSV files beside this one hold."""
    curves, pytorch = (read_csv(HERE / f"{name}.csv") for name in ("curves", "pytorch"))
    draw([with_references(system) for system in SYSTEMS], curves, pytorch, {}, out)


def losses(
    systems: Sequence[System], curves: Sequence[Row], pytorch: Sequence[Row]
) -> Figure:
    """The source's measure by epoch: a panel a system, a line a seed.

    Args:
      systems: the systems whose panels are drawn if caejax has run them.
      curves: caejax's curves, a row an epoch.
      pytorch: the curves of pytorch.py.
    """
    ran = {row["system"] for row in curves}
    shown = [system for system in systems if system.name in ran]
    down = -(-len(shown) // COLUMNS)
    figure, axes = plt.subplots(
        down, COLUMNS, figsize=(PAGE, 1.8 * down + 0.7), squeeze=False
    )
    for axis in axes.flat[len(shown) :]:
        axis.set_axis_off()
    for axis, system in zip(axes.flat, shown, strict=False):
        for rows, look in ((pytorch, PYTORCH), (curves, CAEJAX)):
            _lines(axis, select(rows, system=system.name), look)
        _panel(axis, system, len(distinct(select(curves, system=system.name), "seed")))
    for axis in axes.flat[: len(shown)][-COLUMNS:]:  # the lowest of each column
        axis.set_xlabel("epoch")
    head(
        figure,
        "MNIST, models and schedules of the sources: each source's measure of its loss",
    )
    handles = [
        Line2D([], [], **CAEJAX, label="caejax, a line a seed"),
        Line2D([], [], **PYTORCH, label="in PyTorch, likewise"),
        Line2D([], [], color=SOURCE, marker="o", ls="none", label="reported"),
        Line2D([], [], color=SOURCE, ls="--", label="in NumPy"),
        Line2D([], [], color=SOURCE, lw=6, alpha=0.25, label="reported range"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5)
    return figure


def _lines(axis, rows, look):
    for seed in distinct(rows, "seed"):
        points = [(r["epoch"], r["figure"]) for r in select(rows, seed=seed)]
        axis.plot(*zip(*points, strict=True), **look)


def _panel(axis, system, seeds):
    if system.points:
        # A reference by epoch is a line, single reported values are points.
        look = "--" if len(system.points) > 3 else "o"
        axis.plot(*zip(*system.points, strict=True), look, color=SOURCE, zorder=3)
    if system.band:
        axis.axhspan(*system.band, color=SOURCE, alpha=0.25, lw=0)
    low, high = axis.dataLim.intervaly
    if high > WIDE * low:
        axis.set_yscale("log")
        plain_numbers(axis.yaxis)
    scale = " (log scale)" * (axis.get_yscale() == "log")
    ran = f"{_corruption(system)}, {counted(seeds, 'seed')}"
    axis.set_title(f"{system.name}\n{ran}\n{system.unit.text}{scale}", fontsize=6)
    axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))


def _corruption(system):
    """What a system's inputs have, and how much of it."""
    found = config_of(system).corruption
    return "no noise" if found.name == "none" else f"{found.name} {found.level:g}"


def reconstructions(samples: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Test images, and below what each system's seed 0 is given and makes of it."""
    named = {"original": next(iter(samples.values()))["target"][:SHOWN]}
    for name, arrays in samples.items():
        if not np.array_equal(arrays["input"], arrays["target"]):
            named[f"{name}: input"] = arrays["input"][:SHOWN]
        named[name] = arrays["output"][:SHOWN]
    # One picture of all: as hundreds of axes it takes minutes to lay out.
    rows = [np.hstack(images.squeeze(-1)) for images in named.values()]
    side = rows[0].shape[0]
    figure, axis = plt.subplots(figsize=(0.75 * PAGE, 0.45 * len(rows)))
    axis.imshow(np.vstack(rows), vmin=0, vmax=1)
    bare(axis)
    axis.set_yticks(side * (np.arange(len(rows)) + 0.5), list(named))
    axis.tick_params(length=0)
    axis.set_anchor("E")  # so that the labels have the room that is left
    head(figure, "test images of MNIST; each system's seed 0 after its whole schedule")
    return figure


if __name__ == "__main__":
    redraw()
