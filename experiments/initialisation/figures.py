"""The study's figures."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from caejax.metrics.table import title
from caejax.report.style import COLORS, PAGE, paper_style, save, series_style
from experiments.initialisation.tables import CLEAN, VARIANTS, by_seed, untied
from experiments.shared.rows import Row, distinct, select
from experiments.shared.styles import GREY, kind_style, points

TITLES = {
    "linear": "linear stages",
    "relu": "ReLU between the stages",
    "decoder": "ConvDecoder",
}


def draw(
    *,
    ripple: Sequence[Row],
    overlap: Sequence[Row],
    training: Sequence[Row],
    variance: Sequence[Row],
    out: Path,
) -> None:
    """Draws and saves all figures."""
    with paper_style():
        save(ripples(ripple), out / "ripple")
        save(overlaps(overlap), out / "overlap")
        save(curves(training), out / "training")
        save(powers(variance), out / "variance")


def ripples(rows: Sequence[Row]) -> Figure:
    """Ripple against the number of stages; clean kinds below, on a scale of theirs."""
    figure, axes = plt.subplots(
        2,
        len(VARIANTS),
        figsize=(PAGE, 4.6),
        sharex=True,
        sharey="row",
        height_ratios=(3, 2),
    )
    dirty = untied(rows)
    clean = [kind for kind in distinct(rows, "kind") if kind not in dirty]
    for column, variant in zip(axes.T, VARIANTS, strict=True):
        for axis, kinds in zip(column, (dirty, clean), strict=True):
            for i, kind in enumerate(kinds):
                found = select(rows, kind=kind, variant=variant)
                x = np.array([row["stages"] for row in found])
                x = x + 0.1 * (i - (len(kinds) - 1) / 2)
                y, low, high, expected = (
                    np.array([row[name] for row in found])
                    for name in ("pooled_db", "pooled_low", "pooled_high", "theory_db")
                )
                look = points(kind_style(kind))
                axis.errorbar(x, y, [y - low, high - y], **look, lw=1, clip_on=False)
                if kinds is dirty:
                    axis.hlines(expected, x - 0.06, x + 0.06, color="black", lw=1)
        column[0].set_title(TITLES[variant])
        column[1].set(
            xlabel="stages L", xticks=distinct(rows, "stages"), ylim=(-205, CLEAN)
        )
        column[0].set(ylim=(-1, 20), yticks=range(0, 21, 5))
    axes[0, 0].set_ylabel("ripple / mean (dB)")
    axes[1, 0].set_ylabel("clean kinds (dB)")
    handles = [
        Line2D([], [], **points(kind_style(kind)), label=kind)
        for kind in distinct(rows, "kind")
    ]
    handles.append(Line2D([], [], color="black", lw=1, label="theory"))
    figure.legend(handles=handles, loc="outside lower center", ncols=5)
    return figure


def overlaps(rows: Sequence[Row]) -> Figure:
    """Overlap by kernel size, and how far all kinds are from the theory."""
    kinds, depths = distinct(rows, "kind"), distinct(rows, "stages")
    many = [kind for kind in kinds if len(select(rows, kind=kind)) > 1]
    figure, axes = plt.subplots(1, 2, figsize=(PAGE, 3.1), width_ratios=(2, 3))
    for axis, shown, signed in zip(axes, (many, kinds), (0, 1), strict=True):
        for x, kind in enumerate(shown):
            found = select(rows, kind=kind)
            for i, row in enumerate(found):
                place = x + 0.26 * (i - (len(found) - 1) / 2)
                theory = row["theory_db"]
                origin = signed * theory
                ends = [row[f"expected_{end}"] - origin for end in ("low", "high")]
                if signed:
                    axis.vlines(place, *ends, color=GREY, lw=4, alpha=0.6)
                bar = np.array([-0.11, 0.11]) + place
                axis.hlines(theory - origin, *bar, color="black", lw=1.2)
                look = {**points(series_style(i)), "clip_on": False}
                axis.plot(place, row["measured_db"] - origin, **look, zorder=3)
        axis.grid(False, axis="x")
    sizes = [kind.removeprefix("deconv_k") for kind in many]
    axes[0].set_xticks(range(len(many)), sizes)
    axes[0].set(xlabel="kernel size of transposed convolution", ylim=(-0.3, 15))
    axes[0].set(ylabel="overlap (dB)", title="reading")
    axes[1].set_xticks(range(len(kinds)), kinds, rotation=50, ha="right")
    axes[1].set(ylabel="reading - theory (dB)", title="distance from theory")
    handles = [
        Line2D([], [], **points(series_style(i)), label=f"{n} stage{'s' * (n > 1)}")
        for i, n in enumerate(depths)
    ]
    handles += [
        Line2D([], [], color="black", lw=1.2, label="theory"),
        Line2D([], [], color=GREY, lw=4, alpha=0.6, label="95 % of readings"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5)
    return figure


def curves(rows: Sequence[Row]) -> Figure:
    """Ripple against the step: a column for each loss."""
    losses = distinct(rows, "loss")
    figure, axes = plt.subplots(
        1, len(losses), figsize=(PAGE, 3.4), sharex=True, sharey=True, squeeze=False
    )
    for axis, loss in zip(axes[0], losses, strict=True):
        chosen = select(rows, loss=loss)
        steps = distinct(chosen, "step")
        for kind in distinct(chosen, "kind"):
            ripple = by_seed(chosen, kind, 8)
            look = kind_style(kind)
            axis.plot(steps, np.median(ripple, 0), **look, label=kind, clip_on=False)
            ends = ripple.min(0), ripple.max(0)
            axis.fill_between(steps, *ends, color=look["color"], alpha=0.15, lw=0)
        axis.axhline(CLEAN, color=GREY, lw=0.8, ls=":")
        axis.set_xscale("symlog", linthresh=1)
        axis.set_xticks([0, 1, 2, 5, 10, 20, 50, 100], minor=False)
        axis.set_xticklabels(["0", "1", "2", "5", "10", "20", "50", "100"])
        axis.set_xticks([], minor=True)
        axis.set(xlabel="Adam step", title=f"trained with {loss}", xlim=(0, 100))
        axis.set(ylim=(-205, 20))
    axes[0, 0].set_ylabel(title("dc_ripple_db_s8"))
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5)
    return figure


def powers(rows: Sequence[Row]) -> Figure:
    """RMS behind each stage: a column for each setting, a line for each kind."""
    settings, kinds = distinct(rows, "setting"), distinct(rows, "kind")
    stages = distinct(rows, "stage")
    figure, axes = plt.subplots(
        1, len(settings), figsize=(PAGE, 4.0), sharex=True, sharey=True
    )
    shift = {"constant": -0.17, "white": 0.17}
    for axis, setting in zip(axes, settings, strict=True):
        for y, kind in enumerate(kinds):
            for name, offset in shift.items():
                found = select(rows, setting=setting, kind=kind, input=name)
                for row in reversed(found):
                    color = COLORS[row["stage"] - 1]
                    fill = color if name == "constant" else "white"
                    place = y + offset
                    axis.plot(
                        row["theory_rms"], place, "|", color="black", ms=8, mew=0.8
                    )
                    axis.plot(row["rms"], place, "o", color=color, mfc=fill, ms=3.5)
        axis.axvline(1, color=GREY, lw=0.8, zorder=0)
        axis.set(xscale="log", xlim=(0.03, 12), title=setting, xlabel="RMS")
        axis.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])
        axis.set_xticks([], minor=True)
        axis.grid(False, axis="y")
        for y in range(1, len(kinds), 2):
            axis.axhspan(y - 0.5, y + 0.5, color="#f2f2f2", lw=0, zorder=-1)
    axes[0].set_yticks(range(len(kinds)), kinds)
    axes[0].set_ylim(len(kinds) - 0.5, -0.5)
    handles = [
        Line2D([], [], ls="none", marker="o", color=COLORS[n - 1], label=f"stage {n}")
        for n in stages
    ]
    dot = {"ls": "none", "marker": "o", "color": "black"}
    handles += [
        Line2D([], [], **dot, label="constant codes"),
        Line2D([], [], **dot, mfc="white", label="white codes"),
        Line2D([], [], ls="none", marker="|", ms=8, color="black", label="theory"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=6)
    return figure
