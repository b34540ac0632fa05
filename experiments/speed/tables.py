"""What follows from the measured times, and the tables of it in Markdown."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from caejax.report.tables import to_markdown
from experiments.shared.cells import bracketed
from experiments.shared.machine import in_words
from experiments.shared.turns import ratio_quartiles
from experiments.speed.interleave import REFERENCE

Record = dict[str, Any]

NAMES = {
    "caejax": "caejax",
    "flax": "stock Flax",
    "torch_nchw": "PyTorch NCHW",
    "torch_nhwc": "PyTorch channels_last",
    "torch_compile": "torch.compile",
    "caejax_matmul": "caejax, matmul",
    "caejax_polyphase": "caejax, polyphase",
    "caejax_stock": "caejax, stock",
}


class Summary(NamedTuple):
    """One implementation of one system.

    Attributes:
      ms: the median of the rounds' milliseconds a step.
      ratio: the lower quartile, median and upper quartile of the rounds' ratios to
        caejax; above 1 caejax is faster. None without caejax.
      gflops: the arithmetic of the layers, as defined, in GFLOP a second.
    """

    ms: float
    ratio: tuple[float, float, float] | None
    gflops: float


def summarise(record: Record) -> dict[str, Summary]:
    """By implementation, what a system's times amount to."""
    measured = record["implementations"]
    reference = measured.get(REFERENCE)
    return {
        name: Summary(
            ms=float(np.median(one["ms"])),
            ratio=reference and ratio_quartiles(one["ms"], reference["ms"]),
            gflops=1000 * record["gflop"] / float(np.median(one["ms"])),
        )
        for name, one in measured.items()
    }


def best_torch(summaries: dict[str, Summary]) -> str | None:
    """The PyTorch implementation with the smallest median."""
    names = [name for name in summaries if name.startswith("torch")]
    return min(names, key=lambda name: summaries[name].ms, default=None)


def highest_peak(peaks: dict[str, dict[str, float] | str]) -> float | None:
    """The fastest matrix product of any library and size, GFLOP/s."""
    found = [
        x
        for by_size in peaks.values()
        if isinstance(by_size, dict)
        for x in by_size.values()
    ]
    return max(found, default=None)


def report(results: Record) -> str:
    """All tables of a run of the study."""
    parts = [
        "Written by study.py.\n",
        f"{in_words(results['setting'])}.\n",
        "## Matrix products\n",
        "Fastest of five, GFLOP/s, by side of the square matrices.\n",
        peak_table(results["peaks"]),
    ]
    peak = highest_peak(results["peaks"])
    titles = {"systems": "Systems", "kinds": "The general model with every kind"}
    for part, title in titles.items():
        if records := results.get(part):
            parts += [
                f"## {title}\n",
                "ms a step: median over rounds. Ratio: this implementation's time "
                "over caejax's of the same round, median [quartiles]; above 1 caejax "
                "is faster. GFLOP/s: of the layers as defined; in brackets the share "
                "of the fastest matrix product.\n",
                speed_table(records, peak),
                failures(records),
            ]
    return "\n".join(part for part in parts if part)


def peak_table(peaks: dict[str, dict[str, float] | str]) -> str:
    """A line for each library that has one."""
    found = {name: sizes for name, sizes in peaks.items() if isinstance(sizes, dict)}
    sides = list(next(iter(found.values()), {}))
    lines = [
        [name, *(f"{sizes[side]:.0f}" for side in sides)]
        for name, sizes in found.items()
    ]
    return to_markdown(["library", *sides], lines)


def speed_table(records: Sequence[Record], peak: float | None) -> str:
    """A line for each implementation of each system."""
    header = ["system", "implementation", "ms a step", "ratio", "GFLOP/s"]
    header += ["first 2 steps, s", "memory, MiB", "largest difference"]
    lines = []
    for record in records:
        for name, summary in summarise(record).items():
            one = record["implementations"][name]
            share = f" ({summary.gflops / peak:.0%})" if peak else ""
            lines.append(
                [
                    record["name"],
                    NAMES[name],
                    f"{summary.ms:.3g}",
                    interval(summary.ratio),
                    f"{summary.gflops:.3g}{share}",
                    f"{one['first_steps_s']:.1f}",
                    f"{one['resident_mib']:.0f}",
                    f"{one['max_difference']:.1e}",
                ]
            )
    return to_markdown(header, lines)


def interval(quartiles: tuple[float, float, float] | None) -> str:
    """1.23 [1.20, 1.31]."""
    low, middle, high = quartiles or (None, None, None)
    return bracketed(middle, low, high)


def failures(records: Sequence[Record]) -> str:
    """What was not measured, and why."""
    return "".join(
        f"- {record['name']}, {NAMES[name]}: not measured, {reason}\n"
        for record in records
        for name, reason in record["failures"].items()
    )


def scaling_report(results: Record) -> str:
    """Time an image against each size."""
    header = ["axis", "value", "caejax, us an image", "GFLOP/s"]
    header += ["best PyTorch, us an image", "which", "ratio"]
    lines = []
    for record in results["scaling"]:
        summaries = summarise(record)
        best = best_torch(summaries)
        line = [record["axis"], f"{record['value']:g}", *["-"] * 5]
        if REFERENCE in summaries:
            line[2] = f"{image_us(record, summaries[REFERENCE]):,.0f}"
            line[3] = f"{summaries[REFERENCE].gflops:.3g}"
        if best:
            line[4] = f"{image_us(record, summaries[best]):,.0f}"
            line[5:] = NAMES[best], interval(summaries[best].ratio)
        lines.append(line)
    parts = [
        "Written by study.py --scaling.\n",
        f"{in_words(results['setting'])}.\n",
        to_markdown(header, lines),
        failures(results["scaling"]),
    ]
    return "\n".join(part for part in parts if part)


def image_us(record: Record, summary: Summary) -> float:
    """Microseconds an image."""
    return 1000 * summary.ms / record["batch"]
