"""The study's figures, from the CSV files and the galleries' pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from caejax.metrics import table
from caejax.metrics.table import PERIODS
from caejax.metrics.units import GREYS
from caejax.report import patterns
from caejax.report.channels import show_image
from caejax.report.figures import mark_rounding
from caejax.report.read import RunFiles
from caejax.report.style import (
    PAGE,
    head,
    paper_style,
    save,
    series_style,
    strip,
)
from experiments.checkerboard import analysis, arms, tables
from experiments.checkerboard.arms import DECODER, ENCODER
from experiments.checkerboard.pictures import STRETCH
from experiments.checkerboard.records import Arm
from experiments.checkerboard.residuals import Arrays
from experiments.shared.cells import mean_interval
from experiments.shared.pictures import Pictures
from experiments.shared.rows import Row, distinct, done
from experiments.shared.styles import (
    GREY,
    beside,
    kind_style,
    plain_numbers,
    points,
)

FORMATS = ("png", "pdf")
_RANGE = "; means, bars are the range over seeds"
_SHOWN = {  # by each of an arm's figures
    "ripple_steps": "; medians, bands are the range over seeds",
    "psnr_ripple": "; means with 95 % intervals",
    "residual_spectra": "; means over seeds",
    "residual_phase_means": ", of which seed 0 is shown",
}
_NONE, _FLOOR = -200, -208  # dBFS of no ripple, and the lower end of axes


def draw(kept: Mapping[str, Arm], out: Path) -> None:
    """Draws and saves all that there are runs for."""
    with paper_style():
        for name in tables.primaries(kept):
            arm, data = kept[name], name.removeprefix("primary_")
            drawn = {
                "ripple_steps": curves(arm.curves),
                "psnr_ripple": scatter(arm.rows),
                **residuals(arm.residuals),
            }
            for title, figure in drawn.items():
                head(figure, f"{_setting(name, arm)}{_SHOWN.get(title, '')}")
                save(figure, out / f"{title}_{data}", formats=FORMATS)
        rows = {name: kept[name].rows for name in tables.primaries(kept)}
        rows |= tables.matched_rows(kept)
        rows = {name: found for name, found in rows.items() if _has_reference(found)}
        if rows:
            figure = forest(rows)
            head(figure, _pairs(kept[name] for name in rows))
            save(figure, out / "psnr_differences", formats=FORMATS)
        if "grid_mnist" in kept:
            figure = grid(kept["grid_mnist"].rows)
            head(figure, f"{_setting('grid_mnist', kept['grid_mnist'])}{_RANGE}")
            save(figure, out / "grid", formats=FORMATS)
        if "downsampling_bsds" in kept:
            figure = gradients(kept["downsampling_bsds"].rows)
            arm = kept["downsampling_bsds"]
            head(figure, f"{_setting('downsampling_bsds', arm)}{_RANGE}")
            save(figure, out / "gradients", formats=FORMATS)


def _setting(name, arm):
    """An arm's data, noise and seeds in a line."""
    told = [tables.TITLES[name], _noise(arm), f"{_seeds(arm.rows)} seeds"]
    return ", ".join(filter(None, told))


def _noise(arm):
    corruption = arm.about.get("config_of_first_run", {}).get("corruption", {})
    swept = len({row.get("corruption.level") for row in arm.rows}) > 1
    if not corruption:
        return ""
    level = "as above panels" if swept else f"{corruption['level']:g}"
    return f"{corruption['name']} noise {level}"


def _seeds(rows):
    return len(distinct(done(rows), "seed"))


def _pairs(shown):
    """What the marks of paired differences are, behind the noise of all arms."""
    noise = sorted({_noise(arm) for arm in shown} - {""})
    told = "differences paired by seed: each seed, and means with 95 % intervals"
    return ", ".join([*noise, told])


def _has_reference(rows):
    return any(row[DECODER] == arms.REFERENCE for row in rows)


def _legend(figure, axis, columns=5):
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)


def curves(rows: Sequence[Row]) -> Figure:
    """Ripple against the step: median over seeds and range, a panel a period."""
    figure, axes = plt.subplots(
        2,
        len(PERIODS),
        figsize=(PAGE, 3.9),
        sharex=True,
        sharey="row",
        height_ratios=(3, 2),
    )
    last = max(row["step"] for row in rows)
    for column, s in zip(axes.T, PERIODS, strict=True):
        for kind in analysis.kinds_of(rows):
            found: dict[int, list[float]] = {}
            for row in rows:
                if row[DECODER] == kind:
                    value = float(row[f"dc_ripple_db_s{s}"])
                    found.setdefault(row["step"], []).append(value)
            steps = sorted(found)
            values = [np.array(found[step]) for step in steps]
            style = kind_style(kind)
            middle = [np.median(v) for v in values]
            ends = [v.min() for v in values], [v.max() for v in values]
            for axis in column:
                axis.plot(steps, middle, label=kind, **style)
                axis.fill_between(steps, *ends, color=style["color"], alpha=0.12, lw=0)
        column[0].set_xscale("symlog", linthresh=10)
        plain_numbers(column[1].xaxis)
        column[0].set(title=f"period {s}", xlim=(-1, 1.3 * last))
        column[1].set_xlabel("step (log scale)")
    names = [f"dc_ripple_db_s{s}" for s in PERIODS]
    values = [float(row[name]) for row in rows for name in names]
    _part(axes, values, table.title("dc_ripple_db"))
    _legend(figure, axes[0, 0])
    return figure


def _part(axes, values, title):
    """Of two rows of panels of these ripples, the lower shows what is only rounding."""
    least = min((x for x in values if x > analysis.CLEAN), default=analysis.CLEAN)
    axes[0, 0].set(ylabel=title, ylim=(max(analysis.CLEAN, least - 5), None))
    axes[1, 0].set(ylabel=f"below\n{analysis.CLEAN} dBFS", ylim=(_FLOOR, None))
    for axis in axes[1]:
        axis.set_ylim(top=analysis.CLEAN)
        mark_rounding(axis)


def scatter(rows: Sequence[Row]) -> Figure:
    """PSNR against trained ripple: means over seeds with their intervals."""
    figure, axes = plt.subplots(
        1, 2, figsize=(PAGE, 3.2), sharey=True, width_ratios=(2, 3)
    )
    found = {
        kind: [
            mean_interval(analysis.figures(rows, kind, m))
            for m in ("test/dc_ripple_db_s8", "test/psnr")
        ]
        for kind in analysis.kinds_of(done(rows))
    }
    none = [kind for kind, (x, _) in found.items() if x[0] <= _NONE]
    for kind, (x, y) in found.items():
        style = points(kind_style(kind))
        axis = axes[int(x[0] > analysis.CLEAN)]
        place = x[0]
        if kind in none:  # side by side: they are all at one place
            place += none.index(kind) - (len(none) - 1) / 2
        axis.errorbar(place, y[0], _bar(y), _bar(x), lw=0.8, label=kind, **style)
    titles = f"below {analysis.CLEAN} dBFS: rounding; {_NONE}: none", "not clean"
    for axis, title in zip(axes, titles, strict=True):
        axis.set(xlabel=table.title("dc_ripple_db_s8"), title=title)
        axis.xaxis.set_major_locator(MaxNLocator(5, steps=(1, 2, 5, 10)))
    axes[0].set_ylabel(f"test {table.title('psnr')}")
    handles = [a.get_legend_handles_labels() for a in axes]
    figure.legend(
        handles[0][0] + handles[1][0],
        handles[0][1] + handles[1][1],
        loc="outside lower center",
        ncols=5,
    )
    return figure


def residuals(arrays: Arrays) -> dict[str, Figure]:
    """What is left of the test images by decoder, in frequency and by phase."""
    runs = {kind: RunFiles({}, {}, [], a) for kind, a in arrays.items()}
    found = {
        "residual_spectra": patterns.spectra(runs),
        "residual_phase_means": patterns.phase_means(runs),
    }
    return {name: figure for name, figure in found.items() if figure is not None}


def _bar(values):
    """Lengths of an interval's two arms; none for a single seed."""
    mean, low, high = values
    return None if np.isnan(low) else [[mean - low], [high - mean]]


def forest(arms_rows: Mapping[str, Sequence[Row]]) -> Figure:
    """PSNR minus the reference's, paired by seed: a panel an arm, a line a decoder."""
    kinds = [kind for kind in arms.KINDS if kind != arms.REFERENCE]
    figure, axes = plt.subplots(
        1, len(arms_rows), figsize=(PAGE, 3.9), sharex=True, sharey=True, squeeze=False
    )
    for axis, (name, rows) in zip(axes[0], arms_rows.items(), strict=True):
        for contrast in analysis.spread_over_seeds(rows, "test/psnr"):
            kind = contrast.name.split(" - ")[0]
            y, values = kinds.index(kind), np.asarray(contrast.differences)
            axis.plot(values, np.full(len(values), y), "|", color=GREY, ms=5)
            if len(values):
                mean = mean_interval(values)
                look = points(kind_style(kind))
                if analysis.clean_by_construction(kind):
                    look["mfc"] = "white"
                axis.errorbar(mean[0], y, xerr=_bar(mean), **look)
        axis.axvline(0, color="black", lw=0.6)
        title = tables.TITLES[name].replace(", ", ",\n")
        axis.set_title(f"{title},\n{_seeds(rows)} seeds")
        axis.set_xlabel(f"PSNR - {arms.REFERENCE}'s\n(dB)")
    dot = {"ls": "none", "marker": "o", "color": GREY}
    groups = {
        "filled: not clean by construction": Line2D([], [], **dot),
        "hollow: clean by construction": Line2D([], [], **dot, mfc="white"),
        "a seed": Line2D([], [], **{**dot, "marker": "|"}),
    }
    figure.legend(groups.values(), groups, loc="outside lower center", ncols=3)
    axes[0, 0].set_yticks(range(len(kinds)), kinds)
    axes[0, 0].invert_yaxis()
    return figure


def grid(rows: Sequence[Row]) -> Figure:
    """PSNR and ripple against the bottleneck: a column a noise level."""
    rows = done(rows)
    levels = sorted({row["corruption.level"] for row in rows})
    ripple = "test/dc_ripple_db_s8"
    figure, axes = plt.subplots(
        3,
        len(levels),
        figsize=(PAGE, 4.3),
        sharex=True,
        sharey="row",
        squeeze=False,
        height_ratios=(5, 3, 2),
    )
    kinds = analysis.kinds_of(rows)
    for column, level in zip(axes.T, levels, strict=True):
        for axis, measure in zip(column, ("test/psnr", ripple, ripple), strict=True):
            for kind, place in zip(kinds, beside(len(kinds)), strict=True):
                some = [row for row in rows if row["corruption.level"] == level]
                sizes = sorted({row["model.latent_channels"] for row in some})
                values = [
                    analysis.figures(
                        [r for r in some if r["model.latent_channels"] == size],
                        kind,
                        measure,
                    )
                    for size in sizes
                ]
                look = kind_style(kind)
                _means(axis, place * np.array(sizes), values, label=kind, **look)
            _log_ticks(axis, sizes)
        column[0].set_title(f"noise {level:g}")
        column[-1].set_xlabel("bottleneck channels")
    axes[0, 0].set_ylabel(f"test {table.title('psnr')}")
    title = table.title("dc_ripple_db_s8").replace(", ", ",\n")
    _part(axes[1:], [row[ripple] for row in rows], title)
    _legend(figure, axes[0, 0])
    return figure


def gradients(rows: Sequence[Row]) -> Figure:
    """Gradient by phase of the input, by period: mean over seeds and range."""
    figure, axes = plt.subplots(1, 2, figsize=(PAGE, 2.6), sharey=True)
    titles = {"init": "before training", "test": "after training"}
    kinds = analysis.kinds_of(done(rows), ENCODER)
    for axis, (split, title) in zip(axes, titles.items(), strict=True):
        for index, place in enumerate(beside(len(kinds))):
            kind = kinds[index]
            values = [
                analysis.figures(rows, kind, f"{split}/grad_phase_db_s{s}", ENCODER)
                for s in PERIODS
            ]
            look = series_style(index)
            _means(axis, place * np.array(PERIODS), values, label=kind, **look)
        _log_ticks(axis, PERIODS)
        axis.set(xlabel="period (pixels)", title=title)
    axes[0].set_ylabel("gradient, strongest phase\nover weakest (dB)")
    _legend(figure, axes[0])
    return figure


def _means(axis, x, values, **style):
    """A line of means over seeds with their range, a point for each array of values."""
    mean, low, high = (
        np.array([f(v) for v in values]) for f in (np.mean, np.min, np.max)
    )
    axis.errorbar(x, mean, (mean - low, high - mean), capsize=2, **style)


def _log_ticks(axis, x):
    """A logarithmic axis with ticks at these numbers alone."""
    axis.set_xscale("log", base=2)
    axis.set_xticks(x, [str(number) for number in x])
    axis.minorticks_off()


def gallery(shown: Pictures, name: str, arm: Arm, out: Path) -> None:
    """Draws and saves what each decoder's first seed makes of images and flat codes.

    Args:
      shown: what `pictures.chosen` has found.
      name: the arm's name.
      arm: what is kept of it.
      out: the picture's path without suffix.
    """
    with paper_style():
        figure = _gallery(shown)
        head(figure, f"{_setting(name, arm)}, of which seed 0 is shown")
        save(figure, out, formats=FORMATS)


def _gallery(shown):
    named = {"target": shown["target"], "input": shown["input"]}
    named |= dict(zip(shown["kinds"], shown["output"], strict=True))
    count, side = shown["target"].shape[:2]
    size = PAGE / len(named)
    figure, axes = plt.subplots(
        2, 1, figsize=(PAGE, (count + 1) * size + 1.1), height_ratios=(count, 1)
    )
    columns = [strip(images / 255, down=True) for images in named.values()]
    picture = strip(np.stack(columns))
    show_image(axes[0], picture)
    step = (picture.shape[1] - side) / (len(named) - 1)
    places = step * np.arange(len(named)) + side / 2
    axes[0].set_xticks(places, named, rotation=45, ha="left", rotation_mode="anchor")
    axes[0].xaxis.tick_top()
    axes[0].tick_params(length=0, pad=2)
    # Below the decoders alone.
    ripple = strip(shown["ripple"][..., None] / 255)
    blank = np.ones((side, picture.shape[1] - ripple.shape[1], 1))
    show_image(axes[1], np.hstack([blank, ripple]))
    most = GREYS * STRETCH
    axes[1].set_xlabel(
        "what each makes of a constant code, about its mean: from black "
        f"-{most:.0f} to white +{most:.0f} grey levels of 255"
    )
    return figure
