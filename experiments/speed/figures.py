"""The study's figures."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from caejax.report.style import PAGE, series_style
from experiments.speed.interleave import REFERENCE
from experiments.speed.tables import NAMES, best_torch, image_us, summarise

Record = dict[str, Any]

LINES = (1.0, 1.3)  # level with caejax, and slower by a margin worth having
TITLES = {"systems": "systems", "kinds": "every kind of upsampling"}


def ratios(results: Record) -> Figure:
    """Each implementation's time over caejax's, a panel for each set of systems."""
    parts = [part for part in TITLES if results.get(part)]
    rows = [len(results[part]) for part in parts]
    figure, axes = plt.subplots(
        1, len(parts), figsize=(PAGE, 0.9 + 0.26 * max(rows)), squeeze=False
    )
    for axis, part in zip(axes[0], parts, strict=True):
        _panel(axis, results[part])
        axis.set_title(TITLES[part])
    handles = {}
    for axis in axes[0]:
        found = zip(*axis.get_legend_handles_labels(), strict=True)
        handles |= {label: handle for handle, label in found}
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=5)
    return figure


def _panel(axis: Axes, records: Sequence[Record]) -> None:
    summaries = [summarise(record) for record in records]
    measured = {name for one in summaries for name in one} - {REFERENCE}
    others = [name for name in NAMES if name in measured]
    for i, name in enumerate(others):
        found = [
            (y, one[name].ratio)
            for y, one in enumerate(summaries)
            if name in one and one[name].ratio
        ]
        if not found:
            continue
        y = np.array([y for y, _ in found]) + 0.64 * ((i + 0.5) / len(others) - 0.5)
        low, middle, high = np.array([quartiles for _, quartiles in found]).T
        style = series_style(list(NAMES).index(name)) | {"linestyle": "none"}
        errors = [middle - low, high - middle]
        axis.errorbar(middle, y, xerr=errors, label=NAMES[name], **style)
    for x, line in zip(LINES, ("-", "--"), strict=True):
        axis.axvline(x, color="black", linestyle=line, linewidth=0.8)
    axis.set_xscale("log")
    _plain_numbers(axis.xaxis)
    axis.set(
        xlabel="time / caejax's time",
        yticks=range(len(records)),
        yticklabels=[record["name"] for record in records],
        ylim=(len(records) - 0.5, -0.5),
    )


def _plain_numbers(axis):
    axis.set_major_locator(plt.LogLocator(subs=(1, 2, 3, 5)))
    axis.set_major_formatter(ScalarFormatter())
    axis.set_minor_formatter(NullFormatter())


def scaling(records: Sequence[Record]) -> Figure:
    """Time an image of caejax and of the best PyTorch, a panel for each axis.

    A dotted line grows from caejax's first point as the arithmetic does.
    """
    names = list(dict.fromkeys(record["axis"] for record in records))
    figure, axes = plt.subplots(
        1, len(names), figsize=(PAGE, 2.2), sharey=False, squeeze=False
    )
    for axis, name in zip(axes[0], names, strict=True):
        chosen = [record for record in records if record["axis"] == name]
        for i, (label, pick) in enumerate(
            {"caejax": lambda _: REFERENCE, "best PyTorch": best_torch}.items()
        ):
            points = []
            for record in chosen:
                found = summarise(record)
                if (best := pick(found)) in found:
                    points.append((record["value"], image_us(record, found[best])))
            if points:
                axis.plot(*zip(*points, strict=True), label=label, **series_style(i))
        _plot_arithmetic(axis, chosen)
        axis.set(xlabel=name, xscale="log", yscale="log")
        _plain_numbers(axis.yaxis)
        axis.set_xticks([record["value"] for record in chosen])
        axis.xaxis.set_major_formatter(ScalarFormatter())
        axis.xaxis.set_minor_formatter(NullFormatter())
    axes[0, 0].set_ylabel("µs an image")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


def _plot_arithmetic(axis, records):
    found = [(record, summarise(record).get(REFERENCE)) for record in records]
    if not found or any(summary is None for _, summary in found):
        return
    times = [image_us(record, summary) for record, summary in found]
    rates = [summary.gflops for _, summary in found]
    work = np.multiply(times, rates)
    values = [record["value"] for record in records]
    grown = times[0] * work / work[0]
    style = {"color": "0.4", "linestyle": ":", "zorder": 1}
    axis.plot(values, grown, label="arithmetic, from caejax's first", **style)
