"""The study's figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from caejax.metrics.table import PERIODS
from caejax.report.style import COLORS, PAGE, bare, paper_style, save, series_style
from experiments.metric_validation.scores import LITERATURE, METRICS, OURS
from experiments.metric_validation.tables import CONTROLS, SEEN, contents, one, select
from experiments.shared.rows import Row
from experiments.shared.styles import GREY

ROC_CASES = [
    (a, p, x) for a, x in (("tone", 0.01), ("low_pass", 0.04)) for p in PERIODS
]

EXAMPLES = [(a, p, 0.04) for a in ("tone", "content", "low_pass") for p in PERIODS]

DRAWN = (
    *("lattice_peak_db", "phase_var_db", "lattice_power", "lattice_peak_unpaired_db"),
    *("azimuthal_db", "azimuthal_minmax", "non_dc_energy", "bef"),
)
LABELS = {
    "lattice_peak_db": "lattice peak",
    "phase_var_db": "phase variance",
    "phase_var_cv": "phase variation (CV)",
    "lattice_power": "lattice power",
    "lattice_peak_unpaired_db": "lattice peak, unpaired",
    "azimuthal_db": "azimuthal power",
    "azimuthal_minmax": "azimuthal, min-max",
    "non_dc_energy": "non-DC energy",
    "bef": "BEF of PSNR-B",
    "tone": "constant tone",
    "content": "modulated by content",
    "low_pass": "modulated by low-pass",
}


def draw(rows: Sequence[Row], curves: dict, examples: dict, out: Path) -> None:
    """Draws and saves all figures: curves of the first content, controls of all."""
    content = contents(rows)[0]
    chosen = [row for row in rows if row["content"] == content]
    with paper_style():
        save(planted(examples), out / "planted")
        save(roc(curves[content]), out / "roc")
        save(amplitude(chosen), out / "amplitude")
        save(controls(rows), out / "controls")


def planted(images: dict) -> Figure:
    """A target, its base, and what is planted on it: a row for each artifact."""
    artifacts = list(dict.fromkeys(artifact for artifact, *_ in EXAMPLES))
    amplitude = EXAMPLES[0][-1]
    titles = [
        "target",
        "base",
        *(f"base + a = {amplitude:g}, S = {p}" for p in PERIODS),
    ]
    figure, axes = plt.subplots(len(artifacts), len(titles), figsize=(PAGE, 4.45))
    for line, artifact in zip(axes, artifacts, strict=True):
        names = ["target", "base", *((artifact, p, amplitude) for p in PERIODS)]
        for axis, name in zip(line, names, strict=True):
            axis.imshow(images[name][..., 0], vmin=0, vmax=1)
            bare(axis)
        line[0].set_ylabel(LABELS[artifact])
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, size=7)
    return figure


def style(metric: str) -> dict[str, Any]:
    """Ours are solid with filled markers, the literature's dashed with open ones."""
    index = DRAWN.index(metric)
    if metric in OURS:
        return {**series_style(index), "linestyle": "-"}
    index -= len(LITERATURE)
    colors = (COLORS[4], COLORS[5], COLORS[6], "#808080")
    return {
        "color": colors[index],
        "marker": "v^<>"[index],
        "markerfacecolor": "white",
        "linestyle": "--",
    }


def legend(figure: Figure) -> None:
    """One legend for all panels, ours in the first row."""
    handles = [Line2D([], [], label=LABELS[m], **style(m)) for m in DRAWN]
    # Legends fill columns first.
    handles = [h for pair in zip(handles[:4], handles[4:], strict=True) for h in pair]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)


def roc(curves: dict) -> Figure:
    """A row for each artifact at its target amplitude, a column for each period."""
    figure, axes = plt.subplots(
        2, len(PERIODS), figsize=(PAGE, 5.1), sharex=True, sharey=True
    )
    for axis, case in zip(axes.flat, ROC_CASES, strict=True):
        artifact, period, size = case
        axis.plot([0, 1], [0, 1], color="#cccccc", linewidth=0.8)
        for metric in reversed(DRAWN):
            rates = curves[case, metric]
            # Markers in turn: they tell curves apart that lie on each other.
            marks = {"markevery": (DRAWN.index(metric), len(DRAWN)), "markersize": 3.5}
            axis.plot(*rates, **{**style(metric), **marks}, clip_on=False)
        axis.set(aspect="equal", xlim=(0, 1), ylim=(0, 1))
        if axis in axes[0]:
            axis.set_title(f"S = {period}")
        if axis in axes[:, 0]:
            axis.set_ylabel(f"{LABELS[artifact]}, a = {size:g}\ntrue positive rate")
    for axis in axes[-1]:
        axis.set_xlabel("false positive rate")
    legend(figure)
    return figure


def amplitude(rows: Sequence[Row]) -> Figure:
    """Area against amplitude: a row for each artifact, a column for each period."""
    artifacts = ("tone", "content", "low_pass")
    figure, axes = plt.subplots(
        len(artifacts), len(PERIODS), figsize=(PAGE, 5.8), sharex=True, sharey=True
    )
    for line, artifact in zip(axes, artifacts, strict=True):
        for axis, period in zip(line, PERIODS, strict=True):
            axis.axhline(0.5, color=GREY, linewidth=0.8)
            axis.axhline(SEEN, color=GREY, linewidth=0.8, linestyle=":")
            for metric in reversed(DRAWN):
                found = select(rows, artifact=artifact, period=period, metric=metric)
                x, y, low, high = (
                    [row[name] for row in found]
                    for name in ("amplitude", "auc", "low", "high")
                )
                look = style(metric)
                # Side by side: many areas are equal.
                place = np.array(x) * 1.05 ** (DRAWN.index(metric) - 3.5)
                axis.plot(place, y, **look, clip_on=False)
                axis.fill_between(
                    place, low, high, color=look["color"], alpha=0.12, lw=0
                )
            axis.set(xscale="log", ylim=(0, 1.0))
            axis.set_xticks(x, [f"{value:g}" for value in x], rotation=45)
            axis.minorticks_off()
            if artifact == artifacts[0]:
                axis.set_title(f"S = {period}")
        line[0].set_ylabel(f"{LABELS[artifact]}\nAUC")
    for axis in axes[-1]:
        axis.set_xlabel("amplitude a (RMS)")
    legend(figure)
    return figure


def controls(rows: Sequence[Row]) -> Figure:
    """Areas of controls: a row for each content, a column for each period."""
    names = contents(rows)
    figure, axes = plt.subplots(
        len(names),
        len(PERIODS),
        figsize=(PAGE, 0.6 + 1.75 * len(names)),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    for line, content in zip(axes, names, strict=True):
        for axis, period in zip(line, PERIODS, strict=True):
            areas = np.array(
                [
                    [
                        one(
                            rows,
                            content=content,
                            period=period,
                            artifact=control,
                            metric=metric,
                        )["auc"]
                        for control in CONTROLS
                    ]
                    for metric in METRICS
                ]
            )
            image = axis.imshow(areas, cmap="PuOr_r", vmin=0, vmax=1, aspect="auto")
            for (y, x), area in np.ndenumerate(areas):
                color = "white" if abs(area - 0.5) > 0.35 else "black"
                text = f"{area:.2f}"
                axis.text(x, y, text, ha="center", va="center", color=color, size=6)
            axis.axhline(len(OURS) - 0.5, color="black", linewidth=1)
            axis.set_title(f"{content}, S = {period}")
            axis.set_xticks(range(len(CONTROLS)), CONTROLS, rotation=45)
            axis.set_yticks(range(len(METRICS)), [LABELS[m] for m in METRICS])
            axis.grid(False)
            axis.tick_params(length=0)
    bar = figure.colorbar(image, ax=axes, shrink=0.6, aspect=30, pad=0.01)
    bar.set_label("AUC against the unchanged base (0.5 is right)")
    bar.outline.set_visible(False)
    return figure
