"""The study's tables in Markdown, and the few numbers that are made from rows."""

from collections.abc import Iterator, Sequence

import numpy as np

from caejax.metrics.table import PERIODS
from caejax.report.tables import to_markdown
from experiments.shared.cells import bracketed, digits, median_and_range
from experiments.shared.rows import Row, distinct, select

CLEAN = -100  # dB
NEAR = 3  # dB, within which ICNR counts as level with a plain shuffle
VARIANTS = {
    "linear": "linear stages",
    "relu": "ReLU between the stages",
    "decoder": "`ConvDecoder`: ReLU behind each stage, last convolution",
}


def untied(rows: Sequence[Row]) -> list[str]:
    """The kinds for which the theory has a ripple at initialisation."""
    return distinct([row for row in rows if np.isfinite(row["theory_db"])], "kind")


def report(
    *,
    ripple: Sequence[Row],
    overlap: Sequence[Row],
    training: Sequence[Row],
    variance: Sequence[Row],
) -> str:
    """All tables."""
    parts = ["Written by study.py.\n", "## 1. Ripple at initialisation\n"]
    parts += [
        f"Relative to the mean, in dB, over {ripple[0]['seeds']} seeds, half as many "
        "of clean kinds. First the ratio of expectations over all seeds, in brackets "
        "the 95 % interval of a bootstrap over seeds; then the median of single seeds "
        "and the range of 95 % of them.\n"
    ]
    for variant, title in VARIANTS.items():
        chosen = select(ripple, variant=variant)
        parts += [f"### {title}\n", ripple_table(chosen)]
    parts += [
        "### In dBFS\n",
        "Median of single seeds and the range of 95 % of them; the codes have power "
        "1.\n",
        full_scale_table(ripple),
        "## 2. Overlap at initialisation\n",
        f"`overlap_db` of {overlap[0]['seeds']} seeds in dB. Bias and 95 % range are "
        "those of its readings if the theory is exact.\n",
        overlap_table(overlap),
        "## 3. Ripple in training\n",
        "`dc_ripple_db` of the linear output at period 8, in dBFS: median over "
        f"{len(distinct(training, 'seed'))} seeds and, in brackets, their range.\n",
    ]
    for loss in distinct(training, "loss"):
        chosen = select(training, loss=loss)
        parts += [
            f"### {loss}\n",
            training_table(chosen, 8),
            "shuffle_icnr minus shuffle_k3 in dB, paired by seed: median [range].\n",
            gap_table(chosen),
        ]
    parts += [
        "### First steps\n",
        f"First recorded step at which shuffle_icnr is above {CLEAN} dBFS, and at "
        f"which it is at most {NEAR} dB below shuffle_k3 of the same seed: median "
        "[range] over seeds.\n",
        arrival_table(training),
        "## 4. RMS of the activations\n",
        f"Behind stages 1, 2 and 3 (behind the ReLU where there is one), over "
        f"{variance[0]['seeds']} seeds; in brackets the theory. Codes have RMS 1.\n",
    ]
    for name in distinct(variance, "input"):
        parts += [f"### {name} codes\n", variance_table(select(variance, input=name))]
    return "\n".join(parts)


def ripple_table(rows: Sequence[Row]) -> str:
    """A line for each kind, a column for each number of stages."""
    depths = distinct(rows, "stages")
    header = ["kind"]
    for n in depths:
        header += [f"L = {n}: theory", "pooled", "single seeds"]
    lines = []
    for kind in distinct(rows, "kind"):
        line = [kind]
        for row in select(rows, kind=kind):
            finite = np.isfinite(row["theory_db"])
            line += [
                f"{row['theory_db']:.2f}" if finite else "clean",
                interval(row, "pooled", ".2f", middle="db"),
                interval(row, "relative_db"),
            ]
        lines.append(line)
    return to_markdown(header, lines)


def interval(row: Row, name: str, write: str = ".1f", middle: str = "median") -> str:
    """A row's NAME_median, or another middle, with NAME_low and NAME_high."""
    return bracketed(*(row[f"{name}_{end}"] for end in (middle, "low", "high")), write)


def full_scale_table(rows: Sequence[Row]) -> str:
    """A line for each kind, a column for each variant and number of stages."""
    columns = [(v, n) for v in VARIANTS for n in distinct(rows, "stages")]
    lines = [
        [
            kind,
            *(
                interval(select(rows, kind=kind, variant=v, stages=n)[0], "dbfs")
                for v, n in columns
            ),
        ]
        for kind in distinct(rows, "kind")
    ]
    return to_markdown(["kind", *(f"{v}, L = {n}" for v, n in columns)], lines)


def overlap_table(rows: Sequence[Row]) -> str:
    """A line for each row."""
    header = ["kind", "L", "theory", "measured", "bias", "without bias"]
    header += ["95 % of readings", "inside"]
    lines = []
    for row in rows:
        low, high = row["expected_low"], row["expected_high"]
        # Of clean kinds the range is a point but for rounding.
        inside = low - 1e-3 <= row["measured_db"] <= high + 1e-3
        names = "theory_db", "measured_db", "bias_db", "corrected_db"
        lines.append(
            [
                row["kind"],
                str(row["stages"]),
                *(digits(row[name], ".2f") for name in names),
                f"[{low:.2f}, {high:.2f}]",
                "yes" if inside else "no",
            ]
        )
    return to_markdown(header, lines)


def by_seed(rows: Sequence[Row], kind: str, period: int) -> np.ndarray:
    """Ripple of one kind and loss: (seeds, steps)."""
    found = select(rows, kind=kind)
    ripple = np.array([row[f"dc_ripple_db_s{period}"] for row in found])
    return ripple.reshape(len(distinct(found, "seed")), -1)


def training_table(rows: Sequence[Row], period: int) -> str:
    """A line for each kind, a column for each step."""
    steps = distinct(rows, "step")
    lines = [
        [kind, *map(median_and_range, by_seed(rows, kind, period).T)]
        for kind in distinct(rows, "kind")
    ]
    return to_markdown(["kind", *(f"step {s}" for s in steps)], lines)


def gap_table(rows: Sequence[Row]) -> str:
    """ICNR against a plain shuffle: a line for each period, a column for each step."""
    steps = distinct(rows, "step")
    lines = [
        [f"S = {period}", *map(median_and_range, gaps(rows, period).T)]
        for period in PERIODS
    ]
    return to_markdown(["period", *(f"step {s}" for s in steps)], lines)


def gaps(rows: Sequence[Row], period: int) -> np.ndarray:
    """shuffle_icnr minus shuffle_k3 in dB: (seeds, steps)."""
    ours, plain = (by_seed(rows, f"shuffle_{k}", period) for k in ("icnr", "k3"))
    return ours - plain


def arrival_table(rows: Sequence[Row]) -> str:
    """A line for each loss and period."""

    def lines() -> Iterator[list[str]]:
        for loss in distinct(rows, "loss"):
            chosen = select(rows, loss=loss)
            steps = np.array(distinct(chosen, "step"))
            for period in PERIODS:
                dirty = by_seed(chosen, "shuffle_icnr", period) > CLEAN
                level = gaps(chosen, period) >= -NEAR
                yield [
                    loss,
                    f"S = {period}",
                    arrivals(dirty, steps),
                    arrivals(level, steps),
                ]

    header = ["loss", "period", f"above {CLEAN} dBFS", f"within {NEAR} dB"]
    return to_markdown(header, list(lines()))


def arrivals(reached: np.ndarray, steps: np.ndarray) -> str:
    """Median and range of the first step at which something holds, by seed."""
    first = np.where(reached.any(1), steps[reached.argmax(1)], np.inf)
    return median_and_range(first, lambda x: "never" if np.isinf(x) else f"{x:g}")


def variance_table(rows: Sequence[Row]) -> str:
    """A line for each kind, a column for each setting."""
    settings = distinct(rows, "setting")
    lines = []
    for kind in distinct(rows, "kind"):
        line = [kind]
        for setting in settings:
            found = select(rows, kind=kind, setting=setting)
            measured, expected = (
                ", ".join(f"{row[name]:.3f}" for row in found)
                for name in ("rms", "theory_rms")
            )
            line.append(f"{measured} [{expected}]")
        lines.append(line)
    return to_markdown(["kind", *settings], lines)
