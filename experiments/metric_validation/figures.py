"""The study's figures.

    python -m experiments.metric_validation.figures

draws what the rows of results.csv alone make, amplitude.png and controls.png, anew.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from caejax.files.csv_files import read_csv
from caejax.metrics.table import PERIODS
from caejax.metrics.units import GREYS
from caejax.report.style import (
    COLORS,
    PAGE,
    bare,
    head,
    paper_style,
    save,
    series_style,
)
from experiments.metric_validation.planted import BASE_BLUR, BASE_NOISE
from experiments.metric_validation.scores import LITERATURE, METRICS, OURS, SET_SIZE
from experiments.metric_validation.tables import CONTROLS, SEEN, contents, one, select
from experiments.shared.rows import Row
from experiments.shared.styles import GREY

HERE = Path(__file__).parent
ROC_CASES = [
    (a, p, x) for a, x in (("tone", 0.01), ("low_pass", 0.04)) for p in PERIODS
]

# By row: of period 2 the pure ±1 checkerboard, as a random pattern is of stripes.
EXAMPLES = {
    (a, x): [(f"checker_{a}" if p == 2 else a, p, x) for p in PERIODS]
    for a, x in (("tone", 0.01), ("tone", 0.04), ("low_pass", 0.04))
}

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
_BASE = f"blurred by {BASE_BLUR:g} pixel, white noise {BASE_NOISE:g}"
_PLANTED = "S: period in pixels, a: RMS of the pattern in images from 0 to 1"


def draw(rows: Sequence[Row], curves: dict, examples: dict, out: Path) -> None:
    """Draws and saves all figures: curves of the first content, controls of all."""
    content = contents(rows)[0]
    with paper_style():
        save(planted(examples, content), out / "planted")
        save(roc(curves[content], setting(rows, content)), out / "roc")
    draw_rows(rows, out)


def draw_rows(rows: Sequence[Row], out: Path) -> None:
    """Draws and saves those that rows alone make."""
    content = contents(rows)[0]
    chosen = [row for row in rows if row["content"] == content]
    with paper_style():
        save(amplitude(chosen, setting(rows, content)), out / "amplitude")
        save(controls(rows), out / "controls")


def setting(rows: Sequence[Row], content: str) -> str:
    """Of what areas are, in a line: images, what is done to them, and sets."""
    sets = max(row["sets"] for row in select(rows, content=content))
    return (
        f"{content}, {_BASE}, with a pattern and without: {sets} sets each of "
        f"{SET_SIZE} images; {_PLANTED}"
    )


def planted(images: dict, content: str) -> Figure:
    """A target, its base, and what is planted on it: a row of `EXAMPLES` each."""
    titles = ["target", "base"]
    titles += [f"base + {'±1, ' * (p == 2)}S = {p}" for p in PERIODS]
    figure, axes = plt.subplots(len(EXAMPLES), len(titles), figsize=(PAGE, 4.6))
    for line, (row, cases) in zip(axes, EXAMPLES.items(), strict=True):
        for axis, name in zip(line, ["target", "base", *cases], strict=True):
            axis.imshow(images[name][..., 0], vmin=0, vmax=1)
            bare(axis)
        artifact, size = row
        line[0].set_ylabel(
            f"{LABELS[artifact]},\na = {size:g}: {GREYS * size:.3g} of 255"
        )
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, size=7)
    height, width, _ = images["target"].shape
    head(
        figure,
        f"{content}, {height} x {width} pixels, from 0 (black) to 1; base: {_BASE}; "
        f"{_PLANTED}",
    )
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


def roc(curves: dict, setting: str) -> Figure:
    """A row for each artifact at its target amplitude, a column for each period."""
    figure, axes = plt.subplots(
        2, len(PERIODS), figsize=(PAGE, 5.35), sharex=True, sharey=True
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
    head(figure, f"{setting}; grey: by chance")
    return figure


def amplitude(rows: Sequence[Row], setting: str) -> Figure:
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
        axis.set_xlabel("a (RMS, log scale)")
    legend(figure)
    lines = f"dotted: {SEEN:g}, seen; grey: 0.5, by chance"
    head(figure, f"{setting}; bands are 95 % intervals; {lines}")
    return figure


def controls(rows: Sequence[Row]) -> Figure:
    """Areas of controls: a row for each content, a column for each period."""
    names = contents(rows)
    figure, axes = plt.subplots(
        len(names),
        len(PERIODS),
        figsize=(PAGE, 1.3 + 1.75 * len(names)),
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
                color = "white" if _luma(image.cmap(area)) < 0.4 else "black"
                text = f"{area:.2f}"
                axis.text(x, y, text, ha="center", va="center", color=color, size=7)
            axis.axhline(len(OURS) - 0.5, color="black", linewidth=1)
            axis.set_title(f"{content}, S = {period}")
            axis.set_xticks(range(len(CONTROLS)), CONTROLS, rotation=45)
            axis.set_yticks(range(len(METRICS)), [LABELS[m] for m in METRICS])
            axis.grid(False)
            axis.tick_params(length=0)
    bar = figure.colorbar(
        image, ax=axes, location="bottom", shrink=0.5, aspect=40, pad=0.02
    )
    bar.set_label("AUC against the unchanged base (0.5 is right)")
    bar.outline.set_visible(False)
    sets = max(row["sets"] for row in select(rows))
    head(
        figure,
        f"what has no pattern of S pixels against the base ({_BASE}): {sets} sets each "
        f"of {SET_SIZE} images (jpeg does have blocks of 8); above the line caejax's "
        "metrics, below it others'",
    )
    return figure


def _luma(color):
    return np.dot(color[:3], (0.2126, 0.7152, 0.0722))


if __name__ == "__main__":
    draw_rows(read_csv(HERE / "results.csv"), HERE)
