"""The study's figures, from its JSON files alone.

    python -m experiments.speed.figures

draws those that are committed anew, without measuring.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from caejax.report.style import PAGE, head, paper_style, save, series_style
from experiments.shared.machine import in_words
from experiments.shared.styles import plain_numbers
from experiments.speed.interleave import REFERENCE
from experiments.speed.tables import NAMES, best_torch, image_us, summarise

Record = dict[str, Any]

HERE = Path(__file__).parent
LINES = (1.0, 1.3)  # level with caejax, and slower by a margin worth having
TITLES = {"systems": "published systems", "kinds": "every kind of upsampling"}
_UNITS = {
    "batch size": "batch (images)",
    "image side": "image side (pixels)",
    "width": "width (times 32, 32, 16)",
    "depth": "depth (stages)",
}
_PACKAGES = ("caejax", "jax", "flax", "torch")


def draw(results: Record, out: Path) -> None:
    """Draws and saves the figure of either measurement."""
    with paper_style():
        if "scaling" in results:
            save(scaling(results), out / "scaling")
        else:
            save(ratios(results), out / "speed")


def redraw(out: Path = HERE) -> None:
    """Draws and saves all figures of the JSON files beside this one."""
    for name in ("results", "scaling", "torch_compile/results"):
        results = json.loads((HERE / f"{name}.json").read_text())
        draw(results, (out / name).parent)


def _setting(results):
    """On what was measured, in a line; what is not recorded is left out."""
    setting = results["setting"]
    told = [f"{setting['cores']} CPU cores"]
    if "machine" in setting:
        told = [f"{setting['cores']} {setting['machine']} CPU cores"]
    if "dtype" in setting:
        told.append(setting["dtype"])
    if "rounds" in setting:
        told.append(f"{setting['rounds']} rounds of {setting['seconds']:g} s in turns")
    told.append(in_words({k: setting[k] for k in _PACKAGES if k in setting}))
    return ", ".join(filter(None, told))


def _shared(records):
    """The batch and the side of images, each where all of them have one."""
    batches, sides = ({record.get(k) for record in records} for k in ("batch", "side"))
    told = [f"batch {batch}" for batch in batches if len(batches) == 1]
    told += [f"{side} x {side} pixels" for side in sides if len(sides) == 1 and side]
    return ", ".join(told)


def _labels(records):
    """Names of systems, with their batch where they do not all share one."""
    if len({record["batch"] for record in records}) == 1:
        return [record["name"] for record in records]
    return [
        f"{record['name'].partition(' batch')[0]}, batch {record['batch']}"
        for record in records
    ]


def ratios(results: Record) -> Figure:
    """Each implementation's time over caejax's, a panel for each set of systems."""
    parts = [part for part in TITLES if results.get(part)]
    rows = [len(results[part]) for part in parts]
    figure, axes = plt.subplots(
        1, len(parts), figsize=(PAGE, 1.4 + 0.26 * max(rows)), squeeze=False
    )
    for axis, part in zip(axes[0], parts, strict=True):
        _panel(axis, results[part])
        axis.set_title(f"{TITLES[part]}\n{_shared(results[part])}")
    handles = {}
    for axis in axes[0]:
        found = zip(*axis.get_legend_handles_labels(), strict=True)
        handles |= {label: handle for handle, label in found}
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=5)
    head(
        figure,
        f"a step of training: {_setting(results)}; medians of a round's ratios, bars "
        f"are quartiles; dashed: {LINES[1]:g} times caejax's time",
    )
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
        xlabel="time / caejax's time (log scale)",
        yticks=range(len(records)),
        yticklabels=_labels(records),
        ylim=(len(records) - 0.5, -0.5),
    )


def _plain_numbers(axis):
    axis.set_major_locator(plt.LogLocator(subs=(1, 2, 3, 5)))
    plain_numbers(axis)


def scaling(results: Record) -> Figure:
    """Time an image of caejax and of the best PyTorch, a panel for each axis.

    A dotted line grows from caejax's first point as the arithmetic does.
    """
    records = results["scaling"]
    names = list(dict.fromkeys(record["axis"] for record in records))
    figure, axes = plt.subplots(
        1, len(names), figsize=(PAGE, 2.7), sharey=False, squeeze=False
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
        axis.set_title(_shared(chosen).replace(", ", "\n"), fontsize=7)
        axis.set(xlabel=_UNITS.get(name, name), xscale="log", yscale="log")
        _plain_numbers(axis.yaxis)
        values = [record["value"] for record in chosen]
        axis.set_xticks(values, [f"{value:g}" for value in values])
        axis.minorticks_off()
    figure.supylabel("µs an image", fontsize=8)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    head(
        figure,
        "training with nearest_k3 and widths of 32, 32, 16 but for what varies, log "
        f"scales: {_setting(results)}",
    )
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


if __name__ == "__main__":
    redraw()
