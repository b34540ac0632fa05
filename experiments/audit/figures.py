"""The study's figure, from the rows of results.csv alone."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from caejax.diagnose.result import THRESHOLD_DB
from caejax.report.style import COLORS, PAGE, head, paper_style, save
from experiments.audit.records import OTHER, RESIZE, ROUNDING_DB, SHUFFLE, TRANSPOSED
from experiments.shared.rows import Row, by_columns, select
from experiments.shared.styles import GREY

# What draws most is looked for first, in architectures that enlarge by several.
_LOOKS = {
    TRANSPOSED: {"color": COLORS[0], "marker": "o"},
    SHUFFLE: {"color": COLORS[3], "marker": "s"},
    OTHER: {"color": COLORS[4], "marker": "D"},
    RESIZE: {"color": COLORS[1], "marker": "^"},
}
_NAMES = {
    TRANSPOSED: "transposed convolution",
    SHUFFLE: "channels become pixels",
    OTHER: "kernel not known",
    RESIZE: "resizes only",
}
_ROW = 0.8  # of the height of a family's row: what its architectures are spread over
_PAPER = {"fc": "white", "ec": "none", "alpha": 0.8, "pad": 0}  # behind names
_LEAST, _MOST = -200.0, 42.0  # dB, between which intervals are drawn; none is the least


def draw(rows: Sequence[Row], out: Path) -> None:
    """Draws and saves it, if any architecture was probed."""
    if any(row["ripple_db"] != "" for row in select(rows, status="ok")):
        with paper_style():
            save(figure(rows), out / "audit")


def figure(rows: Sequence[Row]) -> Figure:
    """Ripple before training, by family: an architecture a mark, of how it enlarges.

    Intervals that leave the axis end in an arrow. Those that enlarge by more than
    resizes and yet are below the threshold have their names.
    """
    families = {
        family: select(group, status="ok")
        for (family,), group in by_columns(rows, ["family"]).items()
    }
    heights = [max(4, len(_probed(group))) for group in families.values()]
    drawn, axis = plt.subplots(figsize=(PAGE, 1.5 + sum(heights) * 0.075))
    edges = np.concatenate([[0], np.cumsum(heights)])
    for top, height, group in zip(edges, heights, families.values(), strict=False):
        _family(axis, top, height, _probed(group))
    _frame(axis, edges, families)
    _legend(drawn)
    count = sum(len(_probed(group)) for group in families.values())
    seeds = max(row["seeds"] for row in rows)
    head(
        drawn,
        f"{count} published architectures as they are initialised, without training: "
        f"what each draws of flat inputs, mean over {seeds} seeds",
    )
    return drawn


def _probed(group):
    """Those of which the ripple is known, by how they enlarge and from high to low."""
    order = list(_LOOKS)
    return sorted(
        (row for row in group if row["ripple_db"] != ""),
        key=lambda row: (order.index(how(row)), -row["ripple_db"]),
    )


def how(row: Row) -> str:
    """By what an architecture enlarges; of several kinds of place, the first that is
    no resize.
    """
    return next((x for x in _LOOKS if row[x]), RESIZE)


def _family(axis: Axes, top: float, height: float, probed: Sequence[Row]) -> None:
    free = (1 - _ROW) / 2 * height
    lines = np.linspace(top + free, top + height - free, len(probed) + 2)[1:-1]
    for y, row in zip(lines, probed, strict=True):
        look = _LOOKS[how(row)]
        if row["ripple_db_low"] != "":
            _interval(axis, y, row, look["color"])
        fill = "white" if row["not_flat"] == "yes" else look["color"]
        axis.plot(row["ripple_db"], y, ls="none", ms=3.6, mfc=fill, **look)
        if how(row) != RESIZE and row["ripple_db"] <= THRESHOLD_DB:
            # To the right of what is near the threshold are the marks of others.
            x, ha = (-3, "right") if row["ripple_db"] > ROUNDING_DB else (3, "left")
            above = {"xytext": (x, 2), "textcoords": "offset points", "bbox": _PAPER}
            place = (row["ripple_db"], y)
            axis.annotate(row["architecture"], place, fontsize=7, ha=ha, **above)


def _interval(axis, y, row, color):
    """A line between its ends; an arrow where the end is beyond what is drawn."""
    low, high = row["ripple_db_low"], row["ripple_db_high"]
    axis.hlines(y, max(low, _LEAST), min(high, _MOST), color=color, lw=0.7, alpha=0.5)
    for end, beyond, arrow in ((_LEAST, low < _LEAST, "<"), (_MOST, high > _MOST, ">")):
        if beyond:
            axis.scatter(end, y, s=12, marker=arrow, color=color, linewidths=0)


def _frame(
    axis: Axes, edges: np.ndarray, families: Mapping[str, Sequence[Row]]
) -> None:
    for n in range(0, len(families), 2):
        axis.axhspan(edges[n], edges[n + 1], color="#f2f2f2", lw=0, zorder=-1)
    for level in (ROUNDING_DB, THRESHOLD_DB):
        axis.axvline(level, color=GREY, lw=0.9, ls=":")
    labels = [
        f"{textwrap.fill(family, 20)}\n{len(_probed(group))} of {len(group)} probed"
        for family, group in families.items()
    ]
    axis.set_yticks((edges[:-1] + edges[1:]) / 2, labels)
    axis.tick_params(axis="y", length=0)
    axis.grid(False, axis="y")
    axis.set(ylim=(edges[-1], 0), xlim=(-206, 46))
    axis.set_xlabel(
        "pattern drawn of flat inputs, against the response to them (dB), "
        "before training"
    )
    place = {"xytext": (0, 2), "textcoords": "offset points", "ha": "center"}
    texts = {
        _LEAST: "none",
        ROUNDING_DB: f"rounding: {ROUNDING_DB:g}",
        THRESHOLD_DB: f"threshold: {THRESHOLD_DB:g}",
    }
    for level, text in texts.items():
        axis.annotate(text, (level, 0), color="#555555", fontsize=7, **place)


def _legend(drawn: Figure) -> None:
    dots = {"ls": "none", "ms": 4}
    handles = [
        Line2D([], [], **dots, label=_NAMES[name], **look)
        for name, look in _LOOKS.items()
    ]
    hollow = {"marker": "o", "color": "black", "mfc": "white"}
    text = "hollow: flat inputs do not stay flat"
    handles.append(Line2D([], [], **dots, **hollow, label=text))
    bar = {"color": "black", "lw": 0.7, "alpha": 0.5}
    handles.append(Line2D([], [], **bar, label="95 % interval of the mean"))
    arrow = {"ls": "none", "ms": 3.5, "marker": ">", "color": "black"}
    handles.append(Line2D([], [], **arrow, label="interval goes on beyond the axis"))
    drawn.legend(handles=handles, loc="outside lower center", ncols=3)
