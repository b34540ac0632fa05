"""The study's figures, from the rows of its CSV files alone.

    python -m experiments.initialisation.figures

draws those that are committed anew, without measuring.
"""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from caejax.files.csv_files import read_csv
from caejax.metrics.table import title
from caejax.report.figures import mark_rounding
from caejax.report.style import MARKERS, PAGE, head, paper_style, save
from caejax.terminal.numbers import counted
from experiments.initialisation import measure
from experiments.initialisation.tables import CLEAN, VARIANTS, by_seed, untied
from experiments.shared.rows import Row, distinct, select
from experiments.shared.styles import GREY, kind_style, points

HERE = Path(__file__).parent
TITLES = {
    "linear": "linear stages",
    "relu": "ReLU between the stages",
    "decoder": "ConvDecoder",
}
_DEPTHS = ("#cfaedb", "#9257ad", "#3d1457")  # of stages 1 to 3: no decoder's colours
_UNITS = {"bce": "bce: 0 dBFS is one logit", "mse": "mse: 0 dBFS is black to white"}
_FRESH = f"untrained stages of {measure.WIDTH} channels"
_RISING = (
    f"drawn digits of 28 x 28, gaussian noise {measure.NOISE:g}; three stages of "
    f"{', '.join(map(str, measure.WIDTHS))} channels; Adam at {measure.RATE:g}, "
    f"batches of {measure.BATCH}"
)


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


def redraw(out: Path = HERE) -> None:
    """Draws and saves all figures of the CSV files beside this one."""
    names = ("ripple", "overlap", "training", "variance")
    draw(**{name: read_csv(HERE / f"{name}.csv") for name in names}, out=out)


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
        mark_rounding(column[1])
        column[0].set(ylim=(-1, 20), yticks=range(0, 21, 5))
    axes[0, 0].set_ylabel("ripple / mean (dB)")
    axes[1, 0].set_ylabel("ripple / mean,\nclean kinds (dB)")
    handles = [
        Line2D([], [], **points(kind_style(kind)), label=kind)
        for kind in distinct(rows, "kind")
    ]
    handles.append(Line2D([], [], color="black", lw=1, label="theory"))
    figure.legend(handles=handles, loc="outside lower center", ncols=5)
    most, least = (f(distinct(rows, "seeds")) for f in (max, min))
    of_clean = f" ({least} of clean kinds)" * (least < most)
    head(
        figure,
        f"{_FRESH}, He initialisation, constant codes, period 2^L; ratios of means "
        f"over {most} seeds{of_clean}, bars are 95 % intervals",
    )
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
                look = {**_depth(i + 1), "clip_on": False}
                axis.plot(place, row["measured_db"] - origin, **look, zorder=3)
        axis.grid(False, axis="x")
    sizes = [kind.removeprefix("deconv_k") for kind in many]
    axes[0].set_xticks(range(len(many)), sizes)
    axes[0].set(xlabel="kernel of transposed convolution (taps)", ylim=(-0.3, 15))
    axes[0].set(ylabel="overlap (dB)", title="reading")
    axes[1].set_xticks(range(len(kinds)), kinds, rotation=50, ha="right")
    axes[1].set(ylabel="reading - theory (dB)", title="distance from theory")
    handles = [Line2D([], [], **_depth(n), label=counted(n, "stage")) for n in depths]
    handles += [
        Line2D([], [], color="black", lw=1.2, label="theory"),
        Line2D([], [], color=GREY, lw=4, alpha=0.6, label="95 % of readings"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5)
    seeds = max(distinct(rows, "seeds"))
    head(figure, f"{_FRESH}, linear, He initialisation, {seeds:,} seeds")
    return figure


def _depth(stage):
    """Colour and marker of a number of stages."""
    return {"ls": "none", "marker": MARKERS[stage - 1], "color": _DEPTHS[stage - 1]}


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
        axis.set_xscale("symlog", linthresh=1)
        axis.set_xticks([0, 1, 2, 5, 10, 20, 50, 100], minor=False)
        axis.set_xticklabels(["0", "1", "2", "5", "10", "20", "50", "100"])
        axis.set_xticks([], minor=True)
        axis.set(xlabel="Adam step (log scale)", xlim=(0, 100), ylim=(-205, 20))
        axis.set_title(f"trained with {_UNITS.get(loss, loss)}")
        mark_rounding(axis)
    axes[0, 0].set_ylabel(title("dc_ripple_db_s8"))
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5)
    seeds = len(distinct(rows, "seed"))
    head(figure, f"{_RISING}; {seeds} seeds: medians, bands are the range")
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
                    color = _DEPTHS[row["stage"] - 1]
                    fill = color if name == "constant" else "white"
                    place = y + offset
                    axis.plot(
                        row["theory_rms"], place, "|", color="black", ms=8, mew=0.8
                    )
                    axis.plot(row["rms"], place, "o", color=color, mfc=fill, ms=3.5)
        axis.axvline(1, color=GREY, lw=0.8, zorder=0)
        axis.set(xscale="log", xlim=(0.03, 12), title=setting, xlabel="RMS (log scale)")
        axis.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])
        axis.set_xticks([], minor=True)
        axis.grid(False, axis="y")
        for y in range(1, len(kinds), 2):
            axis.axhspan(y - 0.5, y + 0.5, color="#f2f2f2", lw=0, zorder=-1)
    axes[0].set_yticks(range(len(kinds)), kinds)
    axes[0].set_ylim(len(kinds) - 0.5, -0.5)
    handles = [
        Line2D([], [], ls="none", marker="o", color=_DEPTHS[n - 1], label=f"stage {n}")
        for n in stages
    ]
    dot = {"ls": "none", "marker": "o", "color": "black"}
    handles += [
        Line2D([], [], **dot, label="constant codes"),
        Line2D([], [], **dot, mfc="white", label="white codes"),
        Line2D([], [], ls="none", marker="|", ms=8, color="black", label="theory"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=6)
    seeds = max(distinct(rows, "seeds"))
    head(
        figure,
        f"RMS of activations, in units of the codes', behind each stage: {_FRESH}, "
        f"mean power over {seeds} seeds",
    )
    return figure


if __name__ == "__main__":
    redraw()
