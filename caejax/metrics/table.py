"""The table of metrics: what they are called, need and say. JAX is not imported.

A metric is one entry here and its function. Whatever goes through the table then has
it: metrics.jsonl, summary.json, results.csv, TensorBoard, tables, pages and studies.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from caejax.parameters import resolve

PERIODS = (2, 4, 8)  # of the patterns that up to three stages of stride 2 can draw
ROUNDING_DB = -100  # dBFS; a DC ripple below that is rounding

# What a metric's function is given and gives, for images (B, H, W, C) in [0, 1]. The
# period comes last where the metric has periods, but not behind `Means`, which have it.
NEEDS = {
    "output": "(output, target) to a value an image, which are averaged",
    "input": "(corrupted input, target) to a value an image, which are averaged",
    "residual": "(`caejax.metrics.parts.Means` over a split, of the parts that the "
    "metric names) to one value",
    "decoder": "(`caejax.metrics.responses.Responses` of the linear output to codes "
    "of clean images) to values an image, which are averaged",
    "ramps": "as for a decoder, of codes that rise linearly besides",
    "image": "as for a decoder, whose output activation follows; left out where that "
    "is linear",
    "shown": "as for a decoder, of its images as they are shown, clipped to [0, 1]",
    "model": "(restore, corrupted images) to values an image, which are averaged; "
    "restore gives the model's images, clipped to [0, 1]",
    "gradient": "(gradient of the loss with respect to corrupted inputs) to one value",
    "layers": "(kinds of the decoder's upsampling, name of the initialiser) to one "
    "value, or None where there is none",
}
# When a metric is measured if its entry does not say.
_WHEN = {
    "output": ("val", "test", "level"),
    "input": ("val", "test", "level"),
    "residual": ("val", "test", "level"),
    "decoder": ("val", "test", "init", "probe"),
    "ramps": ("test", "init"),
    "image": ("val", "test", "init", "probe"),
    "shown": ("val", "test", "init", "probe"),
    "model": ("test",),
    "gradient": ("test", "init"),
    "layers": ("init",),
}


class Metric(NamedTuple):
    """A metric.

    Attributes:
      name: the metric's name in files; if it has periods, its columns are NAME_s2,
        NAME_s4 …
      label: the name that people read.
      unit: the unit, "dB" for instance; empty for a pure number.
      digits: number of digits behind the point, in tables.
      better: "higher" or "lower", whichever is better; empty where neither is.
      needs: what its function is given, a key of `NEEDS`.
      function: "module:function", imported when it is first used, or the function.
      text: one sentence on what it says.
      finish: what the mean over images is taken to, a function of what the metric's
        own function returns, "caejax.metrics.units:decibels" for instance; of those
        that need a decoder or a model. By default it is the value.
      short: the label where there is little room; by default the label.
      periods: periods of the patterns that it is measured for; none for most.
      parts: names of `caejax.metrics.parts.PARTS` that a metric of need "residual" is
        made of.
      room: (n, p): images need at least n periods and p pixels a side.
      images: the least number of images that it needs.
      highest: the most that it can be; what rounding adds to that is cut off.
      when: the occasions: "val" (after every epoch), "test", "init" (before training),
        "probe" (at config.train.probe_steps), "level" (at another level of noise, or
        for another estimator); by default what is usual for its need.
      columns: columns of results.csv that reports' tables show; None for all of the
        test.
      brief: the columns that tables with little room show.
    """

    name: str
    label: str
    unit: str
    digits: int
    better: str
    needs: str
    function: str | Callable[..., Any]
    text: str
    finish: str | Callable[..., Any] = ""
    short: str = ""
    periods: tuple[int, ...] = ()
    parts: tuple[str, ...] = ()
    room: tuple[int, int] = (0, 0)
    images: int = 1
    highest: float = math.inf
    when: tuple[str, ...] = ()
    columns: tuple[str, ...] | None = None
    brief: tuple[str, ...] = ()


_QUALITY = "caejax.metrics.quality"
_CHECKERBOARD = "caejax.metrics.checkerboard"
_PARTS = "caejax.metrics.parts"
_UNITS = "caejax.metrics.units"
_RAMPS = "caejax.metrics.ramps"
_VISIBILITY = "caejax.metrics.visibility"
_SHIFTS = "caejax.metrics.shifts"
_GREY = "grey levels"
_BORDER = 8  # pixels of both borders that metrics of fine detail leave out

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "psnr",
            "PSNR",
            "dB",
            2,
            "higher",
            "output",
            f"{_QUALITY}:psnr",
            "Peak signal-to-noise ratio of the output, of each image by itself.",
            brief=("test/psnr",),
        ),
        Metric(
            "ssim",
            "SSIM",
            "",
            3,
            "higher",
            "output",
            f"{_QUALITY}:unclipped_ssim",
            "Structural similarity of output and target, Gaussian windows of 11 "
            "pixels.",
            room=(0, 11),
            highest=1.0,
            brief=("test/ssim",),
        ),
        Metric(
            "mse",
            "MSE",
            "",
            5,
            "lower",
            "output",
            f"{_QUALITY}:mse",
            "Mean squared error of the output.",
            columns=(),
        ),
        Metric(
            "bce",
            "cross-entropy",
            "nats",
            4,
            "lower",
            "output",
            f"{_QUALITY}:bce",
            "Binary cross-entropy of the output, a mean over pixels.",
            columns=(),
        ),
        Metric(
            "dc_ripple_db",
            "DC ripple",
            "dBFS",
            1,
            "lower",
            "decoder",
            f"{_CHECKERBOARD}:ripple_power",
            "Pattern that the decoder's linear output draws on constant codes; below "
            "-100 dBFS there is only rounding.",
            finish=f"{_UNITS}:decibels",
            short="ripple",
            periods=PERIODS,
            columns=(
                *(f"test/dc_ripple_db_s{s}" for s in PERIODS),
                "init/dc_ripple_db_s2",
            ),
            brief=("test/dc_ripple_db_s2", "test/dc_ripple_db_s8"),
        ),
        Metric(
            "dc_ripple_image_db",
            "DC ripple of the image",
            "dBFS",
            1,
            "lower",
            "image",
            f"{_CHECKERBOARD}:ripple_power",
            "What the output activation leaves visible of the DC ripple.",
            finish=f"{_UNITS}:decibels",
            short="ripple of the image",
            periods=PERIODS,
            columns=(),
        ),
        Metric(
            "dc_ripple_relative_db",
            "relative DC ripple",
            "dB",
            1,
            "lower",
            "decoder",
            f"{_CHECKERBOARD}:relative_powers",
            "DC ripple relative to the decoder's own response to the constant.",
            finish=f"{_UNITS}:ratio_db",
            short="relative ripple",
            periods=PERIODS,
            when=("init",),
            columns=(),
        ),
        Metric(
            "dc_ripple_grey",
            "size of the DC ripple",
            _GREY,
            2,
            "lower",
            "decoder",
            f"{_CHECKERBOARD}:ripple_power",
            "RMS of the DC ripple in grey levels of 255.",
            finish=f"{_UNITS}:grey_levels",
            short="ripple",
            periods=PERIODS,
            columns=("test/dc_ripple_grey_s8",),
            brief=("test/dc_ripple_grey_s8",),
        ),
        Metric(
            "dc_ripple_image_grey",
            "size of the image's DC ripple",
            _GREY,
            2,
            "lower",
            "image",
            f"{_CHECKERBOARD}:ripple_power",
            "RMS in grey levels of 255 of what the output activation leaves.",
            finish=f"{_UNITS}:grey_levels",
            short="ripple of the image",
            periods=PERIODS,
            columns=(),
        ),
        Metric(
            "ripple_visibility",
            "visibility of the DC ripple",
            "thresholds",
            2,
            "lower",
            "shown",
            f"{_VISIBILITY}:visible_ripple",
            "How many times as strong as the weakest that an eye sees at 60 cm from a "
            "screen of 96 pixels an inch (Barten 2003).",
            finish=f"{_UNITS}:root",
            short="visibility",
            periods=PERIODS,
            columns=("test/ripple_visibility_s8",),
        ),
        Metric(
            "ramp_ripple_db",
            "ripple on ramps",
            "dB",
            1,
            "lower",
            "ramps",
            f"{_RAMPS}:ramp_powers",
            "Pattern on codes that rise linearly, against the output's slope by pixel; "
            "-6 dB for steps of two equal pixels.",
            finish=f"{_UNITS}:ratio_db",
            short="ramp ripple",
            periods=PERIODS,
            columns=("test/ramp_ripple_db_s2", "test/ramp_ripple_db_s8"),
        ),
        Metric(
            "ramp_ripple_grey",
            "size of the ripple on ramps",
            _GREY,
            2,
            "lower",
            "ramps",
            f"{_RAMPS}:ramp_powers",
            "RMS of that pattern in grey levels of 255, where a code rises by a "
            "twelfth of itself a pixel.",
            finish=f"{_UNITS}:part_grey_levels",
            short="ramp ripple",
            periods=PERIODS,
            columns=(),
        ),
        Metric(
            "shift_error_db",
            "shift error",
            "dBFS",
            2,
            "lower",
            "model",
            f"{_SHIFTS}:shift_power",
            "Output for the input shifted by one pixel against the shifted output.",
            finish=f"{_UNITS}:decibels",
            room=(0, _BORDER + 1),
        ),
        Metric(
            "shift_error_grey",
            "size of the shift error",
            _GREY,
            2,
            "lower",
            "model",
            f"{_SHIFTS}:shift_power",
            "RMS of that difference in grey levels of 255.",
            finish=f"{_UNITS}:grey_levels",
            short="shift error",
            room=(0, _BORDER + 1),
            columns=(),
        ),
        Metric(
            "lattice_peak_db",
            "lattice peak",
            "dB",
            2,
            "lower",
            "residual",
            f"{_PARTS}:lattice_peak",
            "How far the residuals' mean spectrum stands out at a period's "
            "frequencies; about 0 without a pattern.",
            short="peak",
            periods=PERIODS,
            parts=("residual",),
            room=(2, 0),
            columns=("test/lattice_peak_db_s2",),
        ),
        Metric(
            "lattice_peak_unpaired_db",
            "lattice peak without targets",
            "dB",
            2,
            "lower",
            "residual",
            f"{_PARTS}:lattice_peak_unpaired",
            "The same of the outputs themselves, minus that of the targets.",
            short="unpaired peak",
            periods=PERIODS,
            parts=("output", "target"),
            room=(2, 0),
            columns=(),
        ),
        Metric(
            "lattice_power",
            "power of the residuals' pattern",
            "",
            8,
            "lower",
            "residual",
            f"{_PARTS}:pattern_power",
            "Power of the pattern that all residuals share, unbiased, hence signed.",
            short="residual pattern power",
            periods=PERIODS,
            parts=("phase_means", "phase_variance"),
            room=(2, 0),
            images=2,
            columns=(),
        ),
        Metric(
            "lattice_grey",
            "size of the residuals' pattern",
            _GREY,
            3,
            "lower",
            "residual",
            f"{_PARTS}:pattern_grey",
            "RMS in grey levels of 255 of the pattern that all residuals share; "
            "signed, as the power is.",
            short="residual pattern",
            periods=PERIODS,
            parts=("phase_means", "phase_variance"),
            room=(2, 0),
            images=2,
            columns=("test/lattice_grey_s8",),
        ),
        Metric(
            "lattice_visibility",
            "visibility of the residuals' pattern",
            "thresholds",
            3,
            "lower",
            "residual",
            f"{_PARTS}:pattern_visibility",
            "The same pattern against the weakest that an eye sees at 60 cm from a "
            "screen of 96 pixels an inch (Barten 2003).",
            short="residual pattern visibility",
            periods=PERIODS,
            parts=("phase_means", "visible_power"),
            room=(2, 0),
            images=2,
            columns=(),
        ),
        Metric(
            "phase_var_db",
            "unevenness of detail",
            "dB",
            2,
            "lower",
            "residual",
            f"{_PARTS}:detail_ratio",
            "How unevenly the residuals' fine detail is spread over the phases of a "
            "period; to be read against nearest_k3.",
            short="phase",
            periods=PERIODS,
            parts=("detail",),
            room=(1, _BORDER),
            columns=(),
        ),
        Metric(
            "phase_var_cv",
            "variation of detail",
            "",
            3,
            "lower",
            "residual",
            f"{_PARTS}:detail_variation",
            "Coefficient of variation of the same detail over the phases.",
            short="phase variation",
            periods=PERIODS,
            parts=("detail",),
            room=(1, _BORDER),
            columns=(),
        ),
        Metric(
            "phase_var_grey",
            "size of the unevenness of detail",
            _GREY,
            2,
            "lower",
            "residual",
            f"{_PARTS}:detail_grey",
            "Root of the standard deviation over the phases of that detail's power, in "
            "grey levels of 255.",
            short="phase",
            periods=PERIODS,
            parts=("detail",),
            room=(1, _BORDER),
            columns=(),
        ),
        Metric(
            "grad_phase_db",
            "unevenness of the gradient",
            "dB",
            2,
            "lower",
            "gradient",
            f"{_CHECKERBOARD}:grad_phase_db",
            "How unevenly the encoder looks at the phases of its input.",
            short="gradient",
            periods=PERIODS,
            room=(1, _BORDER),
            columns=(),
        ),
        Metric(
            "overlap_db",
            "overlap",
            "dB",
            2,
            "lower",
            "layers",
            "caejax.metrics.overlap:stages_overlap_db",
            "Uneven overlap of the kernels with their stride, before training.",
            periods=PERIODS,
            columns=(),
        ),
        Metric(
            "psnr_noisy",
            "PSNR of the input",
            "dB",
            2,
            "higher",
            "input",
            f"{_QUALITY}:psnr",
            "PSNR of the corrupted input itself.",
            short="input's PSNR",
        ),
        Metric(
            "ssim_noisy",
            "SSIM of the input",
            "",
            3,
            "higher",
            "input",
            f"{_QUALITY}:unclipped_ssim",
            "SSIM of the corrupted input itself.",
            short="input's SSIM",
            room=(0, 11),
            highest=1.0,
            columns=(),
        ),
    )
}


def when_measured(metric: Metric) -> tuple[str, ...]:
    """The occasions at which a metric is measured."""
    return metric.when or _WHEN[metric.needs]


def column(metric: Metric, period: int | None = None, stage: str = "") -> str:
    """The name of a metric's value in files.

    Args:
      metric: the metric whose value it is.
      period: the pattern's period; None for a metric without periods.
      stage: "test" or "init" in summaries and results; empty along training.
    """
    name = metric.name if period is None else f"{metric.name}_s{period}"
    return f"{stage}/{name}" if stage else name


class Reading(NamedTuple):
    """One of the values that a metric has.

    Attributes:
      column: the value's name in files, without a stage.
      period: what its function is given last: (S,), or () without periods.
    """

    column: str
    period: tuple[int, ...]


def readings(metric: Metric) -> list[Reading]:
    """The values of a metric: one a period, or a single one."""
    if not metric.periods:
        return [Reading(metric.name, ())]
    return [Reading(column(metric, s), (s,)) for s in metric.periods]


def function_of(metric: Metric) -> Callable[..., Any]:
    """A metric's function, imported where the table names it."""
    return resolve(metric.function)


def finish_of(metric: Metric) -> Callable[..., Any]:
    """What a metric's mean over images is taken to its value with."""
    return resolve(metric.finish) if metric.finish else float


def shown_columns() -> list[str]:
    """Columns of results.csv that reports' tables show, in their order."""
    return [name for metric in METRICS.values() for name in _shown(metric)]


def brief_columns() -> list[str]:
    """Those of them for which a terminal or a page of a paper has room."""
    return [name for metric in METRICS.values() for name in metric.brief]


def _shown(metric):
    if metric.columns is not None:
        return metric.columns
    return tuple(f"test/{reading.column}" for reading in readings(metric))


class Column(NamedTuple):
    """What the name of a value in files stands for.

    Attributes:
      metric: the metric whose value it is.
      period: the pattern's period; None where the name has none.
      stage: "test" or "init", before the slash; empty where there is no slash.
    """

    metric: Metric
    period: int | None
    stage: str


def find(name: str) -> Column | None:
    """Reads "test/dc_ripple_db_s8", or "psnr"; None if it is no metric's."""
    *stage, rest = name.split("/")
    if rest in METRICS:
        return Column(METRICS[rest], None, "".join(stage))
    base, _, digits = rest.rpartition("_s")
    if base in METRICS and digits in map(str, METRICS[base].periods):
        return Column(METRICS[base], int(digits), "".join(stage))
    return None


def title(name: str, *, short: bool = False) -> str:
    """How a value is called, with its unit: "DC ripple, period 8 (dBFS)".

    Args:
      name: the value's name in files; one that is no metric's is its own title.
      short: whether to use the short label, for columns: "ripple s8 (dBFS)".
    """
    found = find(name)
    if found is None:
        return name
    metric, period, stage = found
    words = (metric.short or metric.label) if short else metric.label
    if period is not None:
        words += f" s{period}" if short else f", period {period}"
    if stage == "init":
        words += ", init" if short else ", before training"
    return words + (f" ({metric.unit})" if metric.unit else "")


def digits(name: str) -> int:
    """How many digits behind the point a value has in tables."""
    found = find(name)
    return found.metric.digits if found else 1


def formatted(name: str, value: float) -> str:
    """A value with its metric's digits and without a sign on zero."""
    return f"{value:z.{digits(name)}f}"


def to_markdown() -> str:
    """The table for documentation: a line a metric."""
    lines = [
        "| name | short name | unit | better | what it measures |",
        "| --- | --- | --- | --- | --- |",
    ]
    for metric in METRICS.values():
        name = f"`{metric.name}`" + (", by period" if metric.periods else "")
        cells = (name, metric.label, metric.unit, metric.better, metric.text)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
