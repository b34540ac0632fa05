"""What follows from the measured times, and the tables of it in Markdown."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from caejax.report.tables import to_markdown
from experiments.shared import idle
from experiments.shared.cells import bracketed
from experiments.shared.machine import in_words
from experiments.shared.turns import ratio_quartiles
from experiments.speed.interleave import REFERENCE

Record = dict[str, Any]

NAMES = {
    "caejax": "caejax",
    "flax": "stock Flax",
    "equinox": "equinox",
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
      ratio: the lower quartile, median and upper quartile of the ratios to caejax, of
        the rounds on an idle machine; above 1 caejax is faster. None without caejax
        or without such a round.
      gflops: the arithmetic of the layers, as defined, in GFLOP a second.
    """

    ms: float
    ratio: tuple[float, float, float] | None
    gflops: float


def summarise(record: Record) -> dict[str, Summary]:
    """By implementation, what a system's times amount to."""
    measured = record["implementations"]
    reference = measured.get(REFERENCE)
    idle_rounds = rounds_on_idle_machine(record)

    def ratio(one):
        if reference is None or not idle_rounds:
            return None
        pairs = [(one["ms"][i], reference["ms"][i]) for i in idle_rounds]
        return ratio_quartiles(*zip(*pairs, strict=True))

    def ms(one):
        return float(np.median([one["ms"][i] for i in idle_rounds] or one["ms"]))

    return {
        name: Summary(
            ms=ms(one), ratio=ratio(one), gflops=1000 * record["gflop"] / ms(one)
        )
        for name, one in measured.items()
    }


def rounds_on_idle_machine(record: Record) -> list[int]:
    """Numbers of a record's rounds in which the machine did nothing else.

    All of them where that was not looked at.
    """
    if machine := record.get("machine"):
        return [i for i, found in enumerate(machine) if idle.was_idle(found)]
    first = next(iter(record["implementations"].values()), {"ms": []})
    return list(range(len(first["ms"])))


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
                disturbed(records),
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


def disturbed(records: Sequence[Record]) -> str:
    """Which rounds gave no ratio because the machine was not idle, and how it was."""
    lines = []
    for record in records:
        machine = [found for found in record.get("machine", ()) if found]
        busy = [found for found in machine if not idle.was_idle(found)]
        if busy:
            worst = {name: max(found[name] for found in busy) for name in busy[0]}
            lines.append(
                f"- {record['name']}: {len(busy)} of {len(machine)} rounds left out, "
                "the machine was not idle: other processes took up to "
                f"{worst['others']:.0%} of all cores, the host {worst['steal']:.0%}; "
                f"load average up to {worst['load']:g}\n"
            )
    return "".join(lines)


def failures(records: Sequence[Record]) -> str:
    """What was not measured, and why."""
    return "".join(
        f"- {record['name']}, {NAMES[name]}: not measured, {reason}\n"
        for record in records
        for name, reason in record["failures"].items()
    )


def grid_report(results: Record, names: Sequence[str]) -> str:
    """Each cell against the fastest PyTorch there, and equinox.

    Args:
      results: the grid's results.
      names: all cells' names.
    """
    header = ["cell", "caejax, ms a step", "best PyTorch, ms", "which", "ratio"]
    header += ["equinox, ratio", "GFLOP/s", "idle rounds"]
    lines = []
    records = {record["name"]: record for record in results["grid"]}
    for name, record in records.items():
        summaries = summarise(record)
        best = best_torch(summaries)
        line = [name, *["-"] * 6]
        if REFERENCE in summaries:
            line[1] = f"{summaries[REFERENCE].ms:.3g}"
            line[6] = f"{summaries[REFERENCE].gflops:.3g}"
        if best:
            line[2:5] = (
                f"{summaries[best].ms:.3g}",
                NAMES[best],
                ratio_of(summaries, best),
            )
        if "equinox" in summaries:
            line[5] = ratio_of(summaries, "equinox")
        rounds = len(rounds_on_idle_machine(record))
        lines.append([*line, f"{rounds} of {len(record.get('machine', ()))}"])
    parts = [
        "Written by study.py --grid.\n",
        f"{in_words(results['setting'])}.\n",
        f"{len(records)} of {len(names)} cells are measured. Ratio: time over caejax's "
        "of the same round, median [quartiles] of the rounds on an idle machine: other "
        f"processes took at most {idle.MOST['others']:.0%} of all cores, the host of a "
        f"virtual machine {idle.MOST['steal']:.0%}.\n",
        to_markdown(header, lines),
        disturbed(results["grid"]),
        failures(results["grid"]),
    ]
    return "\n".join(part for part in parts if part)


def ratio_of(summaries: dict[str, Summary], name: str) -> str:
    """An implementation's ratio, or why there is none."""
    ratio = summaries[name].ratio
    return interval(ratio) if ratio else "machine not idle"


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
        disturbed(results["scaling"]),
        failures(results["scaling"]),
    ]
    return "\n".join(part for part in parts if part)


def image_us(record: Record, summary: Summary) -> float:
    """Microseconds an image."""
    return 1000 * summary.ms / record["batch"]
