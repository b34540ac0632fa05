"""Figures of a run and of a sweep.

Each is drawn as wide as it is asked for: for a page of a paper, and narrow, with the
same letters, for a telephone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from caejax.metrics.table import METRICS, PERIODS, ROUNDING_DB, column, title
from caejax.metrics.units import GREYS
from caejax.report.channels import (
    apart,
    aspect,
    grey,
    number_channels,
    planes,
    show_image,
)
from caejax.report.crops import TIMES, enlarged, is_large, windows_of
from caejax.report.decoders import styles
from caejax.report.fields import decoder_fields, naming_fields
from caejax.report.read import RunFiles, SweepFiles
from caejax.report.settings import label, setting_of, settings_of
from caejax.report.style import PAGE, bare, head, strip, wrapped

_PANEL = 1.65  # inches of a panel with axes, at least
_CELL = 0.62  # inches of a picture, at least
_LARGE = 1.15  # and at most
_GAP = 0.12  # of a picture's width, between examples and the tile below
_EACH = 0.8  # inches of an example, about
_TALL = 9.0  # inches of a page
_DPI = 200  # of figures
_LINEAR = 10  # steps, up to which their axis is not logarithmic
_PADDING = 0.1  # inches between pictures side by side
_LEAST_SPAN = 40  # dB of an axis above rounding
_ROUNDED = 1e-3  # dB; what is nearer is the same
_TICKS = 6  # more values than that are not all written at their axis

QUALITY, RIPPLE = "test/psnr", METRICS["dc_ripple_db"]


def reconstructions(run: RunFiles, width: float = PAGE) -> Figure:
    """Targets, inputs and outputs of a run, and its response to constant codes.

    As many examples as there is room for at their full size; of large ones, a part of
    each is enlarged.
    """
    names = ("target", "input", "output")
    target = run.samples["target"]
    room = int(width * _DPI / target.shape[2])
    count = max(1, min(len(target), round(width / _EACH), room))
    rows = {name: run.samples[name][:count] for name in names}
    if is_large(target):
        windows = windows_of(target[:count])
        parts = {f"{k}, {TIMES} x": enlarged(x, windows) for k, x in rows.items()}
        rows |= parts
    if "flat" in run.samples:
        scale = ripple_scale([run])
        drawn = f"ripple,\n±{in_greys(scale)} of 255"
        rows[drawn] = ripple(run.samples["flat"][:count], scale)
    size = min(width / count, _TALL / len(rows))
    ratios = [planes(images) for images in rows.values()]
    figure, axes = plt.subplots(
        len(rows),
        1,
        figsize=(size * count, size * sum(ratios) + 0.3),
        height_ratios=ratios,
    )
    for axis, (name, images) in zip(axes, rows.items(), strict=True):
        show_image(axis, strip(images))
        axis.set_ylabel(name)
    head(figure, setting_of(run.config))
    return figure


def ripple(images: np.ndarray, scale: float) -> np.ndarray:
    """How (B, H, W, C) deviate from their means, -scale black and scale white.

    Returns:
      The grey images, (B, H, W, 1) in [0, 1]; of other channels than one or three
      each by itself, (B, H, W, C).
    """
    deviation = images - images.mean((1, 2), keepdims=True)
    return np.clip(0.5 + 0.5 * grey(deviation) / scale, 0, 1)


def ripple_scale(runs: Sequence[RunFiles]) -> float:
    """The largest deviation of any run's flat codes, at least 1e-3."""
    flats = [run.samples["flat"] for run in runs if "flat" in run.samples]
    spans = [np.abs(f - f.mean((1, 2), keepdims=True)).max() for f in flats]
    return max([1e-3, *spans])


def two_digits(value: float) -> str:
    """A number of two digits, in full: "100" and not "1e+02"."""
    return f"{float(f'{value:.2g}'):g}"


def in_greys(value: float) -> str:
    """A part of an image's range in grey levels of 255, as a text of two digits."""
    return two_digits(GREYS * value)


def curves(run: RunFiles, width: float = PAGE) -> Figure:
    """Loss, PSNR and checkerboard ripple of a run against the step."""
    probed = is_probed(run)
    count = 2 + probed
    across = min(count, int(width / _PANEL))
    down = -(-count // across)
    figure, axes = plt.subplots(
        down, across, figsize=(width, 2.1 * down + 0.2), squeeze=False
    )
    axes = list(axes.flat)
    for axis in axes[count:]:
        axis.set_visible(False)
    splits = styles(("train", "val"))
    for axis, name in zip(axes, ("loss", "psnr"), strict=False):
        for split, style in splits.items():
            _plot(axis, curve(run.rows, name, split), split, style)
        axis.set(xlabel="step", ylabel=title(name))
        axis.legend()
    if all_positive(run.rows, "loss"):
        _log_axis(axes[0])  # it falls by orders of magnitude
    if probed:
        periods = _periods_of(run.rows)
        for name, style in styles([f"period {period}" for period in periods]).items():
            points = curve(run.rows, column(RIPPLE, int(name.split()[1])), "val")
            _plot(axes[2], points, name, style)
        _ripple_axis(axes[2])
        _end_at_rounding(axes[2])
        axes[2].legend()
    head(figure, setting_of(run.config))
    return figure


def is_probed(run: RunFiles) -> bool:
    """Whether a run's ripple has been measured along its training."""
    return any(column(RIPPLE, PERIODS[0]) in row for row in run.rows)


def curve(rows: Sequence[dict[str, Any]], name: str, split: str) -> list[tuple]:
    """A value along training as (step, value), from rows of metrics.jsonl."""
    return [(r["step"], r[name]) for r in rows if r["split"] == split and name in r]


def all_positive(rows: Sequence[dict[str, Any]], name: str) -> bool:
    """Whether a logarithmic axis can show all of a value along training."""
    values = [row[name] for row in rows if name in row]
    return bool(values) and min(values) > 0


def _log_axis(axis):
    axis.set_yscale("log")
    axis.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter("{x:g}")


def _plot(axis, points, name, style):
    axis.plot(*np.reshape(points, (-1, 2)).T, label=name, **style)


def _ripple_axis(axis):
    if axis.dataLim.x1 > _LINEAR:
        axis.set_xscale("symlog", linthresh=_LINEAR)
        axis.xaxis.set_major_formatter("{x:g}")
        axis.xaxis.set_minor_formatter("")
    scale = " (log scale)" * (axis.get_xscale() != "linear")
    axis.set(xlabel=f"step{scale}", ylabel=title(RIPPLE.name))


# How a line looks below which there is only rounding.
ROUNDING_LINE = {"color": "0.35", "lw": 0.8, "ls": (0, (4, 2))}


def mark_rounding(axis: Axes) -> None:
    """Draws where rounding begins, on an axis of dBFS that reaches so low."""
    low, high = axis.get_ylim()
    if low >= ROUNDING_DB:
        return
    axis.axhline(ROUNDING_DB, **ROUNDING_LINE)
    axis.annotate(
        "below: rounding",
        (1, ROUNDING_DB),
        (-2, -2),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=7,
        color="0.35",
    )
    axis.set_ylim(low, max(high, ROUNDING_DB + 5))


def _end_at_rounding(axis):
    """Ends an axis of dBFS where rounding begins, and draws what is below as none."""
    low, high = axis.get_ylim()
    if low >= ROUNDING_DB:
        return
    for line in axis.get_lines():
        line.set_ydata(np.maximum(line.get_ydata(), ROUNDING_DB))
    axis.axhline(ROUNDING_DB, **ROUNDING_LINE)
    high = max(high, ROUNDING_DB + _LEAST_SPAN)
    axis.set_ylim(ROUNDING_DB - 0.04 * (high - ROUNDING_DB), high)
    ticks = [y for y in axis.get_yticks() if ROUNDING_DB < y <= high]
    names = [f"{y:g}".replace("-", "\N{MINUS SIGN}") for y in ticks]
    axis.set_yticks([ROUNDING_DB, *ticks], ["none", *names])


def decoder_grid(
    sweep: SweepFiles, width: float = PAGE, examples: int = 4
) -> Figure | None:
    """Target, input and one column a decoder; below each, what it draws by itself.

    All columns share the other swept values, those of the best PSNR. Where a row has
    no room for all, it goes on below, with target and input again. None without
    finished convolutional runs.
    """
    runs = comparable_runs(sweep)
    if not runs:
        return None
    first = next(iter(runs.values()))
    shown = {name: first.samples[name] for name in ("target", "input")}
    examples = min(examples, len(shown["target"]))
    windows = windows_of(shown["target"][: examples // 2])
    most = max(1, int(width / _CELL) - len(shown))
    bands = -(-len(runs) // most)
    each = -(-len(runs) // bands)
    cell = min(width / (each + len(shown)), _LARGE)
    names = list(runs)
    longest = max(len(line) for name in [*names, "target"] for line in name.split("\n"))
    turned = longest * 0.065 > cell
    room = aspect(first.samples["flat"][0])
    column_of = _with_parts(shown["target"][:examples], windows)
    tall = aspect(strip(column_of, down=True)) + _GAP + room
    tall = (cell - _PADDING) * tall + 0.3 + (0.065 * longest if turned else 0.2)
    size = cell * (each + len(shown)), tall * bands + 0.25
    figure, axes = plt.subplots(bands, each + len(shown), figsize=size, squeeze=False)
    scale = ripple_scale(list(runs.values()))
    for band, row in enumerate(axes):
        for axis, (name, images) in zip(row, shown.items(), strict=False):
            images = _with_parts(images[:examples], windows)
            _column(axis, name, images, turned, room)
        # Beside the tiles, below target and input.
        ends = in_greys(scale)
        text = (
            f"pattern on a constant code, from −{ends} (black) to +{ends} (white) of "
            "255 grey levels, and its RMS"
        )
        _say(row[0], text, cell)
        chosen = names[band * each : (band + 1) * each]
        for axis, name in zip(row[2:], chosen, strict=False):
            run = runs[name]
            tile = ripple(run.samples["flat"][:1], scale)[0]
            images = _with_parts(run.samples["output"][:examples], windows)
            _column(axis, name, images, turned, room, tile)
            axis.set_xlabel(drawn_by(run.summary), fontsize=7)
        for axis in row[2 + len(chosen) :]:
            axis.set_visible(False)
    head(figure, setting_of_compared(sweep, runs))
    return figure


def _with_parts(images, windows):
    """Examples; of large ones the first half, and below a part of each enlarged."""
    half = len(windows)
    if not half or not is_large(images):
        return images
    return np.concatenate([images[:half], enlarged(images[:half], windows)])


def _column(axis, name, images, turned, room, tile=None):
    """Examples of one kind and, in the same axis and so as wide, a tile below them.

    Lengths are in widths of a picture; room is what the tile takes in other columns.
    """
    end = _put(axis, strip(images, down=True), 0)
    if tile is not None:
        _put(axis, tile, end + _GAP)
    bare(axis)
    axis.set(xlim=(0, 1), ylim=(end + _GAP + room, 0), aspect="equal")
    axis.set_facecolor("none")  # words of the first column reach below the second
    count = planes(images)
    if count > 1 and axis.get_subplotspec().is_first_col():
        number_channels(axis, (np.arange(count) + 0.5) * end / count)
    axis.set_title(name, rotation=90 if turned else 0)


def _put(axis, image, top):
    """Draws an image (H, W, C) from x 0 to 1, from y on; returns where it ends."""
    picture = apart(image)
    end = top + picture.shape[0] / picture.shape[1]
    shown = picture.squeeze(-1) if picture.shape[-1] == 1 else picture
    axis.imshow(shown, vmin=0, vmax=1, extent=(0, 1, end, top))
    return end


def _say(axis, text, cell):
    """Writes below the pictures of an axis, as wide as two of them."""
    low = axis.get_ylim()[0]
    axis.text(
        0,
        low,
        wrapped(text, 1.75 * cell, 6),
        va="bottom",
        fontsize=6,
        in_layout=False,
    )


def drawn_by(summary: Mapping[str, float]) -> str:
    """RMS in grey levels of what a decoder draws by itself, as a text."""
    drawn = drawn_grey(summary)
    if drawn is None:
        return ""
    return two_digits(drawn) if drawn else "none"


def drawn_grey(summary: Mapping[str, float]) -> float | None:
    """RMS in grey levels of what a decoder draws by itself; 0 where it is rounding."""
    worst = summary.get(column(RIPPLE, max(PERIODS), "test"))
    if worst is None:
        return None
    if worst < ROUNDING_DB:
        return 0.0
    seen = summary.get(column(METRICS["dc_ripple_image_db"], max(PERIODS), "test"))
    return float(GREYS * 10 ** ((worst if seen is None else seen) / 20))


def comparable_runs(sweep: SweepFiles) -> dict[str, RunFiles]:
    """One finished run a decoder, equal in all that does not change with it.

    They are at the setting that has most decoders; of several, at that of the highest
    PSNR. Of the seeds there they are of the one whose PSNRs are nearest to the means;
    of equally near ones, as two seeds always are, of the one of the highest PSNR.
    """
    others = [f for f in sweep.fields if f not in decoder_fields(sweep)]
    found: dict[tuple[Any, ...], dict[str, RunFiles]] = {}
    scores: dict[tuple[Any, ...], dict[str, float]] = {}
    for row, name, run in _convolutional(sweep):
        at = tuple(row[f] for f in others)
        found.setdefault(at, {}).setdefault(name, run)
        scores.setdefault(at, {}).setdefault(name, row[QUALITY])
    if not found:
        return {}
    best = max(found, key=lambda at: (len(found[at]), max(scores[at].values())))
    fixed = [i for i, field in enumerate(others) if field != "seed"]
    seeds = [
        at
        for at in found
        if found[at].keys() == found[best].keys()
        and all(at[i] == best[i] for i in fixed)
    ]
    means = {name: np.mean([scores[at][name] for at in seeds]) for name in found[best]}

    def distance(at):
        apart = sum(abs(scores[at][name] - mean) for name, mean in means.items())
        return round(float(apart), 6), -max(scores[at].values())

    return found[min(seeds, key=distance)]


def not_compared(sweep: SweepFiles, runs: Mapping[str, RunFiles]) -> list[str]:
    """Decoders with finished runs, of which `comparable_runs` has none."""
    names = dict.fromkeys(name for _, name, _ in _convolutional(sweep))
    return [name for name in names if name not in runs]


def setting_of_compared(sweep: SweepFiles, runs: Mapping[str, RunFiles]) -> str:
    """The setting that all of `comparable_runs` share, in a line; "" without any."""
    if not runs:
        return ""
    others = [f for f in sweep.fields if f not in decoder_fields(sweep)]
    return setting_of(next(iter(runs.values())).config, others)


def seeds_of(sweep: SweepFiles) -> int:
    """How many seeds the finished runs of a sweep have."""
    return len({row["seed"] for row in sweep.rows if row["status"] == "done"})


def _convolutional(sweep):
    """Rows of finished convolutional runs, their decoders' names, and the runs."""
    fields = naming_fields(sweep)
    for row in sweep.rows:
        if row["status"] == "done" and "flat" in sweep.runs[row["run_id"]].samples:
            run = sweep.runs[row["run_id"]]
            yield row, _named(row, fields) or _own_name(run.config["model"]), run


def _own_name(model):
    return str(model.get("upsampling", model["encoder"]))


def _named(row, fields):
    return "\n".join(str(row[field]) for field in fields)


def ripple_steps(sweep: SweepFiles, width: float = PAGE) -> Figure | None:
    """DC ripple against the step, a panel a period, mean and range over the runs."""
    groups = _by_decoder(sweep)
    if not groups:
        return None
    every = [row for runs in groups.values() for run in runs for row in run.rows]
    periods = _periods_of(every)
    across = min(len(periods), int(width / _PANEL))
    across = across if across == len(periods) else 1
    down = len(periods) // across
    figure, axes = plt.subplots(
        down,
        across,
        figsize=(width, (2.0 if down == 1 else 1.5) * down + 0.5),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    looks = styles(list(groups))
    for axis, period in zip(axes.flat, periods, strict=True):
        for name, runs in groups.items():
            curves = [curve(r.rows, column(RIPPLE, period), "val") for r in runs]
            _band(axis, list(map(dict, curves)), name, looks[name])
        _ripple_axis(axis)
        axis.set_title(f"period {period}")
        axis.label_outer()
    for axis in axes.flat:
        _end_at_rounding(axis)
    handles = axes.flat[0].get_legend_handles_labels()
    figure.legend(*handles, **below(groups, width))
    fields = [f for f in sweep.fields if f not in decoder_fields(sweep)]
    many = max(map(len, groups.values())) > 1
    head(figure, ("Mean and range: " if many else "") + settings_of(sweep, fields))
    return figure


def _periods_of(rows):
    """Periods of the ripples of rows of metrics.jsonl, but those that repeat others.

    Longer ones than decoders' strides multiply to hold the same as shorter ones.
    """
    return [PERIODS[0], *(p for p in PERIODS[1:] if _is_other(rows, p))]


def _is_other(rows, period):
    """Whether ripples of a period differ from those of half of it, but by rounding."""
    names = column(RIPPLE, period), column(RIPPLE, period // 2)
    pairs = [[row[name] for name in names] for row in rows if {*names} <= {*row}]
    return not pairs or bool(np.abs(np.diff(pairs)).max() > _ROUNDED)


def _by_decoder(sweep):
    groups: dict[str, list[RunFiles]] = {}
    for _, name, run in _convolutional(sweep):
        groups.setdefault(name, []).append(run)
    return groups


def _band(axis, curves, name, style):
    """Draws the mean of curves {x: y} where all have a value, and their range."""
    x = sorted(set.intersection(*(set(curve) for curve in curves)))
    y = np.array([[curve[step] for step in x] for curve in curves])
    axis.plot(x, y.mean(0), label=name, **style)
    axis.fill_between(x, y.min(0), y.max(0), color=style["color"], alpha=0.2, lw=0)


def against(sweep: SweepFiles, field: str, width: float = PAGE) -> Figure:
    """PSNR and DC ripple against a numeric swept field.

    A line a decoder, a column for each setting of the other swept fields; markers
    are means over seeds, bars their range.
    """
    rows = [row for row in sweep.rows if row["status"] == "done"]
    own = [field, "seed", *decoder_fields(sweep)]
    others = [f for f in sweep.fields if f not in own]
    naming = [f for f in naming_fields(sweep) if f != field]
    settings = list(dict.fromkeys(tuple(row[f] for f in others) for row in rows))
    drawn = (QUALITY, column(RIPPLE, max(PERIODS), "test"))
    drawn = [name for name in drawn if any(name in row for row in rows)]
    looks = styles(list(dict.fromkeys(_named(row, naming) for row in rows)))
    height = 1.9 if len(looks) < 8 else 2.5
    across = min(len(settings), max(1, int(width / _PANEL)))
    blocks = -(-len(settings) // across)
    width = min(width, 1.2 + 2.2 * across)
    figure, axes = plt.subplots(
        blocks * len(drawn),
        across,
        figsize=(width, height * blocks * len(drawn) + 0.5),
        squeeze=False,
        sharex=True,
        sharey="row",
    )
    # A column a setting; those beyond a page's width go below.
    columns = list(axes.reshape(blocks, len(drawn), across).swapaxes(1, 2))
    columns = [axes for block in columns for axes in block]
    for column_axes, setting in zip(columns, settings, strict=False):
        chosen = [r for r in rows if tuple(r[f] for f in others) == setting]
        for axis, measure in zip(column_axes, drawn, strict=True):
            for name, style in looks.items():
                series = [r for r in chosen if _named(r, naming) == name]
                _points(axis, series, field, measure, name or "all", style)
        pairs = zip(others, setting, strict=True)
        column_axes[0].set_title("\n".join(f"{label(f)} {v}" for f, v in pairs))
        column_axes[-1].set_xlabel(label(field))
        column_axes[-1].tick_params(labelbottom=True)
    for axis in np.ravel(columns[len(settings) :]):
        axis.set_visible(False)
    for column_axes in columns[::across]:
        for axis, measure in zip(column_axes, drawn, strict=True):
            axis.set_ylabel(_axis_label(measure))
    for column_axes in columns[: len(settings)]:
        for axis, measure in zip(column_axes, drawn, strict=True):
            if measure != QUALITY:
                _end_at_rounding(axis)
    _name_values(axes[0, 0], field, sorted({row[field] for row in rows}))
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, **below(looks, figure.get_figwidth()))
    many = len({row["seed"] for row in rows}) > 1
    what = "Means, and ranges over seeds: " if many else ""
    head(figure, what + settings_of(sweep))
    return figure


def _axis_label(name):
    """The title of a test value, on two lines where it is long."""
    return f"test {title(name)}".replace(", ", ",\n", 1)


def _points(axis, rows, field, measure, name, style):
    values: dict[float, list[float]] = {}
    for row in rows:
        if measure in row:
            values.setdefault(row[field], []).append(row[measure])
    if not values:
        return
    x = sorted(values)
    mean = np.array([np.mean(values[v]) for v in x])
    low = mean - [min(values[v]) for v in x]
    high = [max(values[v]) for v in x] - mean
    axis.errorbar(x, mean, (low, high), label=name, capsize=2, **style)


def _name_values(axis, field, values):
    """Writes a field's values at the axis that all panels share."""
    if field == "model.latent_channels" and len(values) > 1:
        axis.set_xscale("log", base=2)
        axis.minorticks_off()
    if len(values) <= _TICKS:
        axis.set_xticks(values, [str(value) for value in values])


def numeric_fields(sweep: SweepFiles) -> list[str]:
    """Swept fields with at least two numbers, seed left out."""
    fields = []
    for field in sweep.fields:
        values: set[Any] = {row[field] for row in sweep.rows}
        numeric = all(isinstance(value, int | float) for value in values)
        if field != "seed" and numeric and len(values) > 1:
            fields.append(field)
    return fields


def below(names: Sequence[str], width: float) -> dict[str, Any]:
    """Where a legend goes, with as many columns as so many inches have room for."""
    longest = max((len(line) for name in names for line in name.split("\n")), default=1)
    room = max(1, int((width - 0.1) / (0.5 + 0.062 * longest)))
    return {"loc": "outside lower center", "ncols": min(len(names), room)}
