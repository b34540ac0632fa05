"""Figures of a run and of a sweep."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from caejax.metrics.table import METRICS, PERIODS, column, title
from caejax.report.channels import grey, planes, show_image
from caejax.report.fields import decoder_fields, naming_fields
from caejax.report.read import RunFiles, SweepFiles
from caejax.report.style import PAGE, series_style, strip

_COLUMNS = 4  # of panels that a page's width has room for
_TICKS = 6  # more values than that are not all written at their axis

QUALITY, RIPPLE = "test/psnr", METRICS["dc_ripple_db"]

LABELS = {
    "corruption.level": "noise level",
    "corruption.name": "corruption",
    "model.upsampling": "upsampling",
    "model.downsampling": "downsampling",
    "data.source": "data",
    "model.latent_channels": "bottleneck channels",
}


def label(field: str) -> str:
    """How a field or a value is called in figures."""
    return LABELS.get(field, title(field))


def reconstructions(run: RunFiles) -> Figure:
    """Targets, inputs and outputs of a run, and its response to constant codes."""
    rows = {name: run.samples[name] for name in ("target", "input", "output")}
    if "flat" in run.samples:
        rows["ripple"] = ripple(run.samples["flat"], ripple_scale([run]))
    size = PAGE / len(rows["target"])
    ratios = [planes(images) for images in rows.values()]
    figure, axes = plt.subplots(
        len(rows), 1, figsize=(PAGE, size * sum(ratios)), height_ratios=ratios
    )
    for axis, (name, images) in zip(axes, rows.items(), strict=True):
        show_image(axis, strip(images))
        axis.set_ylabel(name)
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


def curves(run: RunFiles) -> Figure:
    """Loss, PSNR and checkerboard ripple of a run against the step."""
    probed = any(column(RIPPLE, PERIODS[0]) in row for row in run.rows)
    figure, axes = plt.subplots(1, 2 + probed, figsize=(PAGE, 2.1), squeeze=False)
    for axis, name in zip(axes[0], ("loss", "psnr"), strict=False):
        for index, split in enumerate(("train", "val")):
            _plot(axis, curve(run.rows, name, split), split, index)
        axis.set(xlabel="step", ylabel=title(name))
        axis.legend()
    if probed:
        for index, period in enumerate(PERIODS):
            points = curve(run.rows, column(RIPPLE, period), "val")
            _plot(axes[0, 2], points, f"period {period}", index)
        _ripple_axis(axes[0, 2])
        axes[0, 2].legend()
    return figure


def curve(rows: Sequence[dict[str, Any]], name: str, split: str) -> list[tuple]:
    """A value along training as (step, value), from rows of metrics.jsonl."""
    return [(r["step"], r[name]) for r in rows if r["split"] == split and name in r]


def _plot(axis, points, name, index):
    axis.plot(*np.reshape(points, (-1, 2)).T, label=name, **series_style(index))


def _ripple_axis(axis):
    axis.set_xscale("symlog", linthresh=10)
    axis.set(xlabel="step", ylabel=title(RIPPLE.name))


def decoder_grid(sweep: SweepFiles, examples: int = 4) -> Figure | None:
    """Target, input and one column a decoder; below, what each makes of flat codes.

    All columns share the other swept values, those of the best PSNR. None without
    finished convolutional runs.
    """
    runs = comparable_runs(sweep)
    if not runs:
        return None
    first = next(iter(runs.values()))
    columns = {"target": first.samples["target"], "input": first.samples["input"]}
    columns |= {name: run.samples["output"] for name, run in runs.items()}
    examples = min(examples, len(first.samples["target"]))
    size = min(PAGE / len(columns), 1.15)
    crowded = len(columns) > 7
    each = planes(first.samples["target"])
    down = examples * each
    figure, axes = plt.subplots(
        2,
        len(columns),
        figsize=(
            size * len(columns),
            size * (down + each) + (1.4 if crowded else 0.5),
        ),
        height_ratios=(down, each),
        squeeze=False,
    )
    for axis, (name, images) in zip(axes[0], columns.items(), strict=True):
        axis.set_title(name, rotation=90 if crowded else 0)
        show_image(axis, strip(images[:examples], down=True))
    for axis in axes[1, :2]:
        axis.axis("off")
    axes[1, 0].text(
        0,
        0.5,
        f"ripple on a\nconstant code\n({RIPPLE.unit})",
        va="center",
        fontsize=7,
        in_layout=False,
        transform=axes[1, 0].transAxes,
    )
    scale = ripple_scale(list(runs.values()))
    for axis, run in zip(axes[1, 2:], runs.values(), strict=True):
        show_image(axis, ripple(run.samples["flat"][:1], scale)[0])
        worst = run.summary.get(column(RIPPLE, max(PERIODS), "test"))
        axis.set_xlabel("" if worst is None else f"{worst:.0f}")
    return figure


def comparable_runs(sweep: SweepFiles) -> dict[str, RunFiles]:
    """One finished run a decoder, equal in all that does not change with it."""
    done = list(_convolutional(sweep))
    if not done:
        return {}
    others = [f for f in sweep.fields if f not in decoder_fields(sweep)]
    best, _, _ = max(done, key=lambda found: found[0][QUALITY])
    runs: dict[str, RunFiles] = {}
    for row, name, run in done:
        if all(row[f] == best[f] for f in others):
            runs.setdefault(name, run)
    return runs


def _convolutional(sweep):
    """Rows of finished convolutional runs, their decoders' names, and the runs."""
    fields = naming_fields(sweep)
    for row in sweep.rows:
        if row["status"] == "done" and "flat" in sweep.runs[row["run_id"]].samples:
            run = sweep.runs[row["run_id"]]
            yield row, _named(row, fields) or _own_name(run.config["model"]), run


def _own_name(model):
    return model.get("upsampling", model["encoder"])


def _named(row, fields):
    return "\n".join(str(row[field]) for field in fields)


def ripple_steps(sweep: SweepFiles) -> Figure | None:
    """DC ripple against the step, a panel a period, mean and range over the runs."""
    groups = _by_decoder(sweep)
    if not groups:
        return None
    figure, axes = plt.subplots(1, len(PERIODS), figsize=(PAGE, 2.2), sharey=True)
    for axis, period in zip(axes, PERIODS, strict=True):
        for index, (name, runs) in enumerate(groups.items()):
            curves = [curve(r.rows, column(RIPPLE, period), "val") for r in runs]
            _band(axis, list(map(dict, curves)), name, index)
        _ripple_axis(axis)
        axis.set_title(f"period {period}")
    for axis in axes[1:]:
        axis.set_ylabel("")
    figure.legend(*axes[0].get_legend_handles_labels(), **_below(len(groups)))
    return figure


def _by_decoder(sweep):
    groups: dict[str, list[RunFiles]] = {}
    for _, name, run in _convolutional(sweep):
        groups.setdefault(name, []).append(run)
    return groups


def _band(axis, curves, name, index):
    """Draws the mean of curves {x: y} where all have a value, and their range."""
    x = sorted(set.intersection(*(set(curve) for curve in curves)))
    y = np.array([[curve[step] for step in x] for curve in curves])
    style = series_style(index)
    axis.plot(x, y.mean(0), label=name, **style)
    axis.fill_between(x, y.min(0), y.max(0), color=style["color"], alpha=0.2, lw=0)


def against(sweep: SweepFiles, field: str) -> Figure:
    """PSNR and DC ripple against a numeric swept field.

    A line a decoder, a column for each setting of the other swept fields; markers
    are means over seeds, bars their range.
    """
    rows = [row for row in sweep.rows if row["status"] == "done"]
    own = [field, "seed", *decoder_fields(sweep)]
    others = [f for f in sweep.fields if f not in own]
    naming = [f for f in naming_fields(sweep) if f != field]
    settings = list(dict.fromkeys(tuple(row[f] for f in others) for row in rows))
    drawn = (QUALITY, column(RIPPLE, PERIODS[0], "test"))
    drawn = [name for name in drawn if any(name in row for row in rows)]
    names = list(dict.fromkeys(_named(row, naming) for row in rows))
    height = 1.9 if len(names) < 8 else 2.5
    across = min(len(settings), _COLUMNS)
    blocks = -(-len(settings) // across)
    width = min(PAGE, 1.2 + 2.2 * across)
    figure, axes = plt.subplots(
        blocks * len(drawn),
        across,
        figsize=(width, height * blocks * len(drawn) + 0.3),
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
            for index, name in enumerate(names):
                series = [r for r in chosen if _named(r, naming) == name]
                _points(axis, series, field, measure, name or "all", index)
        pairs = zip(others, setting, strict=True)
        column_axes[0].set_title("\n".join(f"{label(f)} {v}" for f, v in pairs))
        column_axes[-1].set_xlabel(label(field))
        column_axes[-1].tick_params(labelbottom=True)
    for axis in np.ravel(columns[len(settings) :]):
        axis.set_visible(False)
    for column_axes in columns[::across]:
        for axis, measure in zip(column_axes, drawn, strict=True):
            axis.set_ylabel(_axis_label(measure))
    _name_values(axes[0, 0], field, sorted({row[field] for row in rows}))
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, **_below(len(names), figure.get_figwidth()))
    return figure


def _axis_label(name):
    """The title of a test value, on two lines where it is long."""
    return f"test {title(name)}".replace(", ", ",\n", 1)


def _points(axis, rows, field, measure, name, index):
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
    axis.errorbar(x, mean, (low, high), label=name, capsize=2, **series_style(index))


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


def _below(entries, width=PAGE):
    """Where a legend goes, with as many columns as so many inches have room for."""
    return {"loc": "outside lower center", "ncols": min(entries, int(width / 1.1))}
