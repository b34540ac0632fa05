"""The study's figures, from the arms' CSV files alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from caejax.metrics import table
from caejax.report.figures import ROUNDING_LINE
from caejax.report.style import PAGE, bare, head, paper_style, save
from experiments.checkerboard.residuals import SPECTRUM
from experiments.shared.cells import mean_interval
from experiments.shared.rows import Row, by_columns, done
from experiments.shared.styles import (
    GREY,
    beside,
    kind_style,
    plain_numbers,
    points,
)
from experiments.tying import claims, plan
from experiments.tying.claims import PATTERN, PSNR, RIPPLE, SSIM
from experiments.tying.records import DECODER, Kept, by_seed

FORMATS = ("png", "pdf")
FLOOR = 0.01  # grey levels; what is less is drawn there, as it is rounding
SPAN = 0.6  # dB, and what a difference beyond it is marked by
_STEP = 1.15  # from one series to the next of what would be drawn on each other
RATIO = 3.0  # dB, of spectra against the reference's
_SPANS = {PSNR: SPAN, SSIM: 0.02}
_IMAGES = {"bsds": "BSDS500, colour patches", "mnist": "MNIST"}
_PAIRED = "paired by seed: means with 95 % intervals; band: no difference that matters"
_LINES = f"dotted: 1 grey level; dashed: {FLOOR:g}, where rounding begins"
_SHOWN = {  # by what a figure's name begins with
    "ties": _PAIRED,
    "differences": f"{_PAIRED}; strokes are seeds",
    "sizes": f"medians, strokes are seeds; {_LINES}",
    "quality": f"means with 95 % intervals; left of the dashed line: below {FLOOR:g}, "
    "rounding, side by side",
    "ripple": f"medians, bands are the range over seeds; {_LINES}",
    "spectra": "residuals, means over seeds",
    "flats": f"constant codes; below {FLOOR:g} there is only rounding",
    "grid": "means, bars are the range over seeds",
}


def draw(arms: Mapping[str, Kept], out: Path) -> None:
    """Draws and saves all that there are runs for."""
    with paper_style():
        for name, figure in _figures(arms).items():
            if figure is not None:
                head(figure, _setting(name, arms))
                save(figure, out / name, formats=FORMATS)


def _setting(name, arms):
    """A figure's data, code, noise, seeds and steps, and what its marks are."""
    shown, _, data = name.rpartition("_")
    first, _, arm = shown.partition("_")
    drawn = next(
        arms[x]
        for x in (f"{arm}_{data}", f"{first}_{data}", *_forms(data))
        if x in arms
    )
    rows = done(drawn.rows)
    level = "as above panels" if first == "grid" else f"{plan.NOISE:g}"
    seeds, steps = ({row.get(k) for row in rows} for k in ("seed", "steps"))
    told = [_IMAGES[data], f"code of {plan.CODE[data]} channels" * (first != "grid")]
    told += [f"gaussian noise {level}", f"{len(seeds)} seeds"]
    told += [f"{most:,} steps" for most in steps if len(steps) == 1 and most]
    return f"{', '.join(filter(None, told))}; {_SHOWN[first]}"


def _forms(data):
    return [f"{form}_{data}" for form in plan.FORMS]


def _figures(arms):
    found = {}
    for data in plan.DATA:
        found[f"ties_{data}"] = ties(arms, data)
        for equal in ("plain", "multiplications", "time"):
            arm, plain = arms.get(f"{equal}_{data}"), arms.get(f"plain_{data}")
            if arm and plain:
                title = f"differences_{equal}_{data}"
                found[title] = differences(arm.rows, plain.rows)
        plain = arms.get(f"plain_{data}")
        if plain:
            found[f"sizes_{data}"] = sizes(plain.rows)
            found[f"quality_ripple_{data}"] = scatter(plain.rows)
            found[f"ripple_steps_{data}"] = curves(plain.curves)
            found[f"spectra_{data}"] = spectra(plain.spectra)
            found[f"flats_{data}"] = flats(plain.flats)
        if grid_arm := arms.get(f"grid_{data}"):
            found[f"grid_{data}"] = grid(grid_arm.rows)
    return found


def _style(decoder):
    return kind_style(plan.stages(decoder)[-1])


def _bar(values):
    """Lengths of an interval's two arms; none for a single seed."""
    mean, low, high = values
    return None if np.isnan(low) else [[mean - low], [high - mean]]


def _paired(rows, other, first, second, measure):
    one, two = by_seed(rows, measure), by_seed(other, measure)
    seeds = [s for n, s in one if n == first and (second, s) in two]
    return np.array([one[first, s] - two[second, s] for s in seeds])


def _values(rows, name, measure):
    found = by_seed(rows, measure).items()
    return np.array([value for (decoder, _), value in found if decoder == name])


def differences(rows: Sequence[Row], reference: Sequence[Row]) -> Figure | None:
    """PSNR and SSIM minus the reference's, paired by seed, on one scale.

    A mean beyond the scale is an arrow at its end with its number.
    """
    names = [n for (n,) in by_columns(done(rows), [DECODER]) if n != plan.REFERENCE]
    if not names:
        return None
    height = 1.4 + 0.2 * len(names)
    figure, axes = plt.subplots(1, 2, figsize=(PAGE, height), sharey=True)
    for axis, measure in zip(axes, (PSNR, SSIM), strict=True):
        span = _SPANS[measure]
        for y, name in enumerate(names):
            x = _paired(rows, reference, name, plan.REFERENCE, measure)
            if not len(x):
                continue
            mean = mean_interval(x)
            if abs(mean[0]) > span:
                _arrow(axis, mean[0], span, y, _style(name)["color"])
                continue
            axis.plot(
                np.clip(x, -span, span), np.full(len(x), y), "|", color=GREY, ms=5
            )
            axis.errorbar(mean[0], y, xerr=_bar(mean), **points(_style(name)))
        margin = claims.MARGINS[measure.removeprefix("test/")]
        axis.axvspan(-margin, margin, color=GREY, alpha=0.25, lw=0)
        axis.axvline(0, color="black", lw=0.6)
        count = len({seed for _, seed in by_seed(rows, measure)})
        axis.set(xlim=(-1.08 * span, 1.08 * span))
        axis.xaxis.set_major_locator(MaxNLocator(5))
        axis.set_xlabel(f"{table.title(measure)} - {plan.REFERENCE}'s, {count} seeds")
    axes[0].set_yticks(range(len(names)), names)
    axes[0].invert_yaxis()
    return figure


def _arrow(axis, value, span, y, color):
    side = np.sign(value)
    axis.annotate(
        f"{value:+.2f}",
        (side * span, y),
        (side * 0.8 * span, y),
        color=color,
        fontsize=7,
        ha="center",
        va="center",
        arrowprops={"arrowstyle": "->", "color": color},
    )


def ties(arms: Mapping[str, Kept], data: str) -> Figure | None:
    """What tying costs in each form: projected, started or blurred minus untied."""
    pairs = [("shuffle_icnr", "shuffle_k3"), ("shuffle_tied", "shuffle_k3")]
    pairs += [("shuffle_hold", "shuffle_k3"), ("deconv_k4_tied", "deconv_k4")]
    pairs += [("bilinear_k3", "nearest_k3")]
    forms = [f for f in plan.FORMS if f"{f}_{data}" in arms]
    if not forms:
        return None
    figure, axes = plt.subplots(1, 2, figsize=(PAGE, 2.8))
    for axis, measure in zip(axes, (PSNR, SSIM), strict=True):
        for i, (first, second) in enumerate(pairs):
            for j, form in enumerate(forms):
                rows = arms[f"{form}_{data}"].rows
                x = _paired(rows, rows, first, second, measure)
                if len(x) < 2:
                    continue
                mean = mean_interval(x)
                label = f"{first} - {second}" if j == 0 else None
                style = points(_style(first))
                axis.errorbar(
                    j + 0.12 * (i - 2), mean[0], _bar(mean), label=label, **style
                )
        margin = claims.MARGINS[measure.removeprefix("test/")]
        axis.axhspan(-margin, margin, color=GREY, alpha=0.25, lw=0)
        axis.axhline(0, color="black", lw=0.6)
        axis.set_xticks(range(len(forms)), forms)
        axis.set_ylabel(f"difference in {table.title(measure)}")
    _legend(figure, axes[0], 3)
    return figure


def _legend(figure, axis, columns=5):
    handles, labels = axis.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=columns)


def sizes(rows: Sequence[Row]) -> Figure | None:
    """How large patterns are in grey levels: of constant codes, and in residuals."""
    names = [name for (name,) in by_columns(done(rows), [DECODER])]
    if not names:
        return None
    measures = RIPPLE, "test/ramp_ripple_grey_s8", PATTERN
    height = 1.4 + 0.2 * len(names)
    figure, axes = plt.subplots(1, 3, figsize=(PAGE, height), sharey=True)
    for axis, measure in zip(axes, measures, strict=True):
        for y, name in enumerate(names):
            x = np.maximum(_values(rows, name, measure), FLOOR)
            if not len(x):
                continue
            axis.plot(x, np.full(len(x), y), "|", color=GREY, ms=5)
            axis.plot(np.median(x), y, **points(_style(name)))
        axis.axvline(1, color="black", lw=0.6, ls=":")
        axis.axvline(FLOOR, **ROUNDING_LINE)
        axis.set(xscale="log", xlim=(FLOOR / 1.5, None))
        plain_numbers(axis.xaxis)
        axis.set_xlabel(table.title(measure, short=True))
    axes[0].set_yticks(range(len(names)), names)
    axes[0].invert_yaxis()
    return figure


def scatter(rows: Sequence[Row]) -> Figure | None:
    """PSNR and SSIM against the ripple of constant codes in grey levels.

    Those below `FLOOR` stand side by side left of it, whatever their rounding is.
    """
    names = [name for (name,) in by_columns(done(rows), [DECODER])]
    if not names:
        return None
    figure, axes = plt.subplots(1, 2, figsize=(PAGE, 3.2))
    for axis, measure in zip(axes, (PSNR, SSIM), strict=True):
        place = FLOOR
        for name in names:
            x, y = (mean_interval(_values(rows, name, m)) for m in (RIPPLE, measure))
            x = np.maximum(x, FLOOR)
            if x[0] == FLOOR:
                place /= _STEP
                x = np.full(3, place)
            axis.errorbar(
                x[0], y[0], _bar(y), _bar(x), label=name, lw=0.8, **points(_style(name))
            )
        axis.axvline(FLOOR, **ROUNDING_LINE)
        axis.set(xscale="log", xlabel=table.title(RIPPLE), ylabel=table.title(measure))
        plain_numbers(axis.xaxis)
    _legend(figure, axes[0])
    return figure


def curves(rows: Sequence[Row]) -> Figure | None:
    """Ripple against the step in grey levels: median over seeds and range."""
    if not rows:
        return None
    figure, axes = plt.subplots(1, 2, figsize=(PAGE, 3.0), sharey=True)
    for axis, s in zip(axes, (2, 8), strict=True):
        for (name,), some in by_columns(rows, [DECODER]).items():
            found: dict[int, list[float]] = {}
            for row in some:
                value = row.get(f"dc_ripple_grey_s{s}")
                if value not in (None, ""):
                    found.setdefault(row["step"], []).append(max(float(value), FLOOR))
            steps = sorted(found)
            style = _style(name)
            middle = [np.median(found[step]) for step in steps]
            axis.plot(steps, middle, label=name, **style)
            ends = [min(found[step]) for step in steps], [max(found[x]) for x in steps]
            axis.fill_between(steps, *ends, color=style["color"], alpha=0.1, lw=0)
        axis.axhline(1, color="black", lw=0.6, ls=":")
        axis.axhline(FLOOR, **ROUNDING_LINE)
        axis.set_xscale("symlog", linthresh=10)
        axis.set(xlabel="step (log scale)", title=f"period {s}")
        axis.set(yscale="log", xlim=(-1, None))
        plain_numbers(axis.xaxis)
        plain_numbers(axis.yaxis)
    axes[0].set_ylabel("ripple (grey levels of 255)")
    _legend(figure, axes[0])
    return figure


def spectra(arrays: Mapping[str, Mapping[str, np.ndarray]]) -> Figure | None:
    """Mean spectra of residuals against the reference's, within 3 dB."""
    if plan.REFERENCE not in arrays:
        return None
    reference = arrays[plan.REFERENCE][SPECTRUM]
    names = [name for name in arrays if name != plan.REFERENCE]
    if not names:
        return None
    figure, axes = _tiles(len(names), most=6, height=1.25)
    for axis, name in zip(axes.ravel(), names, strict=False):
        ratio = np.divide(
            arrays[name][SPECTRUM],
            reference,
            out=np.ones_like(reference),
            where=reference > 0,
        )
        decibels = 10 * np.log10(np.maximum(ratio, 1e-9))
        image = axis.imshow(decibels, cmap="RdBu_r", vmin=-RATIO, vmax=RATIO)
        axis.set_title(name, fontsize=7)
    figure.colorbar(image, ax=axes, label=f"against {plan.REFERENCE} (dB)", shrink=0.8)
    return figure


def _tiles(count, most, height):
    """A page of bare axes, at most so many beside each other, of a height in inches."""
    columns = min(most, count)
    lines = -(-count // columns)
    figure, axes = plt.subplots(
        lines, columns, figsize=(PAGE, 0.4 + height * lines), squeeze=False
    )
    for axis in axes.ravel():
        bare(axis)
    return figure, axes


def flats(rows: Sequence[Row]) -> Figure | None:
    """What each decoder makes of a constant code, enlarged, the median seed."""
    found = by_columns(rows, [DECODER])
    if not found:
        return None
    pictures = {
        name: np.array(
            [[float(x) for k, x in r.items() if k[1:].isdigit()] for r in some]
        )
        for (name,), some in found.items()
    }
    span = np.percentile([np.abs(p).max() for p in pictures.values()], 75)
    figure, axes = _tiles(len(pictures), most=5, height=1.65)
    for axis, (name, picture) in zip(axes.ravel(), pictures.items(), strict=False):
        image = axis.imshow(picture, vmin=-max(span, 1), vmax=max(span, 1))
        row = found[(name,)][0]
        size = float(row["grey"])
        text = f"{size:.2f}" if size >= FLOOR else f"below {FLOOR}"
        axis.set_title(f"{name}\n{text} grey levels, seed {row['seed']}", fontsize=6)
    figure.colorbar(image, ax=axes, label="grey levels about the mean", shrink=0.8)
    return figure


def _numbers(row):
    return [float(value) for name, value in row.items() if name[1:].isdigit()]


def grid(rows: Sequence[Row]) -> Figure | None:
    """PSNR minus the reference's against the code, by noise: means and ranges."""
    rows = done(rows)
    if not rows:
        return None
    levels = sorted({float(row["corruption.level"]) for row in rows})
    figure, axes = plt.subplots(
        1, len(levels), figsize=(PAGE, 2.9), sharey=True, squeeze=False
    )
    for axis, level in zip(axes[0], levels, strict=True):
        some = [r for r in rows if float(r["corruption.level"]) == level]
        codes = sorted({row["model.latent_channels"] for row in some})
        names = [n for (n,) in by_columns(some, [DECODER]) if n != plan.REFERENCE]
        for name, place in zip(names, beside(len(names), _STEP), strict=True):
            values = []
            for code in codes:
                here = [r for r in some if r["model.latent_channels"] == code]
                values.append(_paired(here, here, name, plan.REFERENCE, PSNR))
            if not all(map(len, values)):
                continue
            mean, low, high = (
                np.array([f(v) for v in values]) for f in (np.mean, np.min, np.max)
            )
            bars = np.maximum((mean - low, high - mean), 0)
            x = place * np.array(codes)
            axis.errorbar(x, mean, bars, capsize=2, label=name, **_style(name))
        axis.set_xscale("log", base=2)
        axis.set_xticks(codes, [str(code) for code in codes])
        axis.minorticks_off()
        axis.axhline(0, color="black", lw=0.6)
        axis.set(title=f"noise {level:g}", xlabel="channels of the code")
    axes[0, 0].set_ylabel(f"PSNR - {plan.REFERENCE}'s (dB),\nbars: range of seeds")
    _legend(figure, axes[0, 0])
    return figure
