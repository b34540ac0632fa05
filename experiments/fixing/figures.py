"""The study's figure, from the rows of results.csv alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from caejax.diagnose.result import THRESHOLD_DB
from caejax.fix.runs import TIED
from caejax.report.style import COLORS, PAGE, head, paper_style, save
from experiments.fixing import tables
from experiments.shared.cells import mean_interval
from experiments.shared.rows import Row, distinct
from experiments.shared.styles import GREY

MARGIN = 0.25  # dB of PSNR, on both sides: a band to read differences by
_NAMES = {
    "before": "before mending",
    "mended": "mended",
    "tied": "mended, then trained further with tied phases",
    "untied": "control: trained further without mending, untied",
}
_LOOKS = {
    "before": {"color": COLORS[0], "marker": "o"},
    "untied": {"color": COLORS[3], "marker": "D"},
    "mended": {"color": COLORS[1], "marker": "s"},
    "tied": {"color": COLORS[2], "marker": "^"},
}
_Kinds = Mapping[str, Sequence[Row]]


def draw(rows: Sequence[Row], setting: str, out: Path) -> None:
    """Draws and saves it; a setting is what the models were trained on, and how."""
    with paper_style():
        save(figure(rows, setting), out / "fixing")


def figure(rows: Sequence[Row], setting: str) -> Figure:
    """PSNR and ripple after mending, and PSNR after training further, by kind."""
    kinds = tables.of_kinds(rows)
    further = {kind: own for kind, own in kinds.items() if kind in TIED}
    drawn, axes = plt.subplots(
        2,
        2,
        figsize=(PAGE, 5.4),
        height_ratios=(len(kinds), 1.5 * max(1, len(further))),
        sharey="row",
    )
    _mended(axes[0, 0], kinds)
    _ripple(axes[0, 1], kinds)
    _further(axes[1, 0], further)
    _tied(axes[1, 1], further)
    for axis, shown in zip(axes[:, 0], (kinds, further), strict=True):
        axis.set_yticks(range(len(shown)), shown)
        axis.set_ylim(len(shown) - 0.5, -0.5)
    for axis in axes.flat:
        axis.grid(False, axis="y")
    handles = [
        Line2D([], [], ls="none", label=name, **_LOOKS[key])
        for key, name in _NAMES.items()
    ]
    tick = {"ls": "none", "marker": "|", "color": GREY}
    handles.append(Line2D([], [], **tick, label="one seed"))
    bar = {"color": "black", "lw": 1.2}
    handles.append(Line2D([], [], **bar, label="95 % interval of the mean over seeds"))
    drawn.legend(handles=handles, loc="outside lower center", ncols=2)
    head(drawn, f"{setting}, {len(distinct(rows, 'seed'))} seeds of each kind")
    return drawn


def _mended(axis: Axes, kinds: _Kinds) -> None:
    for y, own in enumerate(kinds.values()):
        _interval(axis, y, tables.differences(own, *tables.MENDED), "mended")
    _zero(axis)
    axis.set(
        title="mended, not trained further",
        xlabel="PSNR after minus before mending (dB)",
    )


def _ripple(axis: Axes, kinds: _Kinds) -> None:
    """Of each seed, before and after; on a line of its own each."""
    for y, (kind, own) in enumerate(kinds.items()):
        names = {"before": "ripple_db", "mended": "mended_ripple_db"}
        if kind in TIED:
            names["tied"] = "tied_ripple_db"
        for shift, (name, column) in zip((-0.2, 0.0, 0.2), names.items(), strict=False):
            values = tables.column(own, column)
            apart = {"mec": "white", "mew": 0.4}  # where they lie one on another
            look = {"ls": "none", "ms": 4.5, **apart, **_LOOKS[name]}
            axis.plot(values, np.full(len(values), y + shift), **look)
    axis.axvline(THRESHOLD_DB, color=GREY, lw=0.8, ls=":")
    axis.set(
        title="pattern, a mark a seed; clean: left of the dots",
        xlabel="pattern of flat inputs against their response (dB)",
    )
    axis.set(xlim=(-208, 5))


def _further(axis: Axes, kinds: _Kinds) -> None:
    pairs = {"tied": tables.TIED_BEFORE, "untied": tables.UNTIED_BEFORE}
    for y, own in enumerate(kinds.values()):
        for shift, (name, pair) in zip((-0.17, 0.17), pairs.items(), strict=True):
            _interval(axis, y + shift, tables.differences(own, *pair), name)
    _zero(axis)
    axis.set(
        title="trained further\n(only kinds with a tied form)",
        xlabel="PSNR after minus before (dB)",
    )


def _tied(axis: Axes, kinds: _Kinds) -> None:
    axis.axvspan(-MARGIN, MARGIN, color="#f2f2f2", lw=0, zorder=-1)
    for y, own in enumerate(kinds.values()):
        _interval(axis, y, tables.differences(own, *tables.TIED_UNTIED), "tied")
    _zero(axis)
    axis.set(title=f"trained further: tied against untied\n(band: ±{MARGIN} dB)")
    axis.set(xlabel="PSNR tied minus untied (dB)", xlim=(-0.45, 0.45))


def _interval(axis, y, values, name):
    """A mean with its 95 % interval, and behind it a stroke a seed."""
    axis.plot(values, np.full(len(values), y), "|", color=GREY, ms=6)
    mean, low, high = mean_interval(values)
    bar = None if np.isnan(low) else [[mean - low], [high - mean]]
    axis.errorbar(mean, y, xerr=bar, ls="none", **_LOOKS[name])


def _zero(axis):
    axis.axvline(0, color="black", lw=0.6)
