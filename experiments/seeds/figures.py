"""The study's figures.

    python -m experiments.seeds.figures

draws both anew, from the files beside this one: the CSV files, and the pictures of
reconstructions.npz.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from caejax.files.csv_files import read_csv
from caejax.report.style import (
    COLORS,
    PAGE,
    bare,
    head,
    paper_style,
    save,
    wrapped,
)
from caejax.terminal.numbers import counted
from experiments.seeds.systems import (
    HERE,
    SYSTEMS,
    System,
    config_of,
    with_references,
)
from experiments.shared.pictures import as_bytes, read
from experiments.shared.rows import Row, distinct, select
from experiments.shared.styles import plain_numbers

COLUMNS = 4
SHOWN = 8  # pictures a system
_DRAWN = 6  # of them, in each of two columns
_INPUT = ": input"  # behind a system's name
_BETWEEN = 4  # pixels between systems
SOURCE = COLORS[0]
CAEJAX = {"color": COLORS[1], "lw": 0.8, "alpha": 0.8}
PYTORCH = {"color": "black", "lw": 0.8, "ls": ":", "zorder": 2.5}
PICTURES = "reconstructions.npz"
WIDE = 10  # range that is drawn on a logarithmic axis


def draw(
    systems: Sequence[System],
    curves: Sequence[Row],
    pytorch: Sequence[Row],
    shown: Mapping[str, np.ndarray],
    out: Path,
) -> None:
    """Draws and saves all figures."""
    with paper_style():
        save(losses(systems, curves, pytorch), out / "curves")
        if shown:
            save(reconstructions(shown), out / "reconstructions")


def redraw(out: Path = HERE) -> None:
    """Draws and saves what the CSV files beside this one hold."""
    curves, pytorch = (read_csv(HERE / f"{name}.csv") for name in ("curves", "pytorch"))
    shown = read(HERE / PICTURES) or {}
    systems = [with_references(system) for system in SYSTEMS]
    draw(systems, curves, pytorch, shown, out)


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
    free = axes.flat[len(shown) :]
    if len(free) > 1:  # room enough
        legend = free[0].legend(handles=handles, loc="center left")
        legend.set_in_layout(False)
    else:
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
    scale = " (log)" * (axis.get_yscale() == "log")
    ran = f"{_corruption(system)}, {counted(seeds, 'seed')}"
    unit = wrapped(f"{system.unit.text}{scale}", 1.32, 7)
    axis.set_title(f"{system.name}\n{ran}\n{unit}", fontsize=7)
    if high > 1e4:
        axis.yaxis.set_major_formatter("{x:,.0f}")
    axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))


def _corruption(system):
    """What a system's inputs have, and how much of it."""
    found = config_of(system).corruption
    return "no noise" if found.name == "none" else f"{found.name} {found.level:g}"


def pictures(
    samples: Mapping[str, Mapping[str, np.ndarray]],
) -> dict[str, np.ndarray]:
    """Test images, and what each system's seed 0 is given and makes of them.

    Args:
      samples: the arrays of samples.npz by system.

    Returns:
      Pictures (N, 28, 28) in uint8 by name, as `PICTURES` holds them. Of systems that
      are given the images as they are, there is no input.
    """
    named = {"original": next(iter(samples.values()))["target"][:SHOWN]}
    for name, arrays in samples.items():
        if not np.array_equal(arrays["input"], arrays["target"]):
            named[f"{name}{_INPUT}"] = arrays["input"][:SHOWN]
        named[name] = arrays["output"][:SHOWN]
    return {name: as_bytes(images.squeeze(-1)) for name, images in named.items()}


def reconstructions(shown: Mapping[str, np.ndarray]) -> Figure:
    """What `pictures` has found, a row a name, in two columns."""
    names = list(shown)
    half = len(names) // 2
    # An input and what is made of it stay together.
    half += half > 0 and names[half - 1].endswith(_INPUT)
    parts = names[:half], names[half:]
    figure, axes = plt.subplots(1, 2, figsize=(PAGE, 0.43 * len(names) / 2 + 0.5))
    figure.get_layout_engine().set(w_pad=0.1)  # inches beside the names
    for axis, part in zip(axes, parts, strict=True):
        _rows(axis, {name: shown[name][:_DRAWN] for name in part})
    head(
        figure,
        "test images of MNIST; each system's seed 0 after its whole schedule, below "
        "its input if that is noisy or masked",
    )
    return figure


def _rows(axis, shown):
    """Rows of pictures with their names, white between systems."""
    # One picture of all: as hundreds of axes it takes minutes to lay out.
    rows, centres, end = [], [], 0
    for name, images in shown.items():
        row = np.hstack(list(images))
        centres.append(end + len(row) / 2)
        gap = 0 if name.endswith(_INPUT) else _BETWEEN
        rows.append(np.pad(row, ((0, gap), (0, 0)), constant_values=255))
        end += len(rows[-1])
    bare(axis)
    if rows:
        axis.imshow(np.vstack(rows), vmin=0, vmax=255)
        labels = ["input" if name.endswith(_INPUT) else name for name in shown]
        axis.set_yticks(centres, labels)
        axis.tick_params(length=0)
        axis.set_anchor("N")


if __name__ == "__main__":
    redraw()
