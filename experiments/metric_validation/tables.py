"""The study's tables in Markdown."""

from collections.abc import Iterator, Sequence
from typing import Any

from caejax.metrics.table import PERIODS
from caejax.report.tables import to_markdown
from experiments.metric_validation.scores import METRICS, OURS, SET_SIZE, SET_SIZES
from experiments.shared import rows as shared
from experiments.shared.cells import bracketed
from experiments.shared.rows import Row, distinct

PAIRED = OURS[:4]
SEEN = 0.95  # an artifact with at least this area counts as seen
CLEAN = 0.1  # a control counts as passed within 0.5 +- this
ARTIFACTS = ("tone", "content", "low_pass")
CHECKERS = ("checker_tone", "checker_low_pass")
CONTROLS = ("none", "noise", "blur", "sharpen", "shift", "jpeg")
TARGETS = (
    ("tone", 0.01, "lattice_peak_db"),
    ("low_pass", 0.04, "phase_var_db"),
    ("content", 0.04, "phase_var_db"),
)


def select(rows: Sequence[Row], **wanted: Any) -> list[Row]:
    """The rows that have these values, those of sets of 16 unless told."""
    return shared.select(rows, **{"set_size": SET_SIZE, **wanted})


def one(rows: Sequence[Row], **wanted: Any) -> Row:
    """The one row that has these values."""
    (row,) = select(rows, **wanted)
    return row


def contents(rows: Sequence[Row]) -> list[str]:
    """The contents, in their order."""
    return distinct(rows, "content")


def report(rows: Sequence[Row], peaks: dict[str, dict[int, float]]) -> str:
    """All tables."""
    parts = [
        "Written by study.py. Areas under the ROC curve for sets of 16 images, with "
        "their 95 % intervals in brackets.\n",
        "## Targets\n",
        targets(rows),
        "## Controls of the paired metrics\n",
        controls_met(rows),
    ]
    for content in contents(rows):
        chosen = [row for row in rows if row["content"] == content]
        parts += [
            f"## {content}: smallest amplitude seen\n",
            f"From it on, every area is at least {SEEN}; - where none is.\n",
            thresholds(chosen),
            f"## {content}: areas at the target amplitudes\n",
            areas(chosen),
            f"## {content}: controls\n",
            controls(chosen),
            f"## {content}: smaller sets\n",
            smaller_sets(chosen),
        ]
    parts += ["## What the targets themselves have\n", own(peaks)]
    return "\n".join(parts)


def targets(rows: Sequence[Row]) -> str:
    """Whether the metrics see what they are meant to see."""

    def lines() -> Iterator[list[str]]:
        for content in contents(rows):
            for artifact, amplitude, metric in TARGETS:
                found = [
                    one(
                        rows,
                        content=content,
                        artifact=artifact,
                        amplitude=amplitude,
                        metric=metric,
                        period=period,
                    )
                    for period in PERIODS
                ]
                met = ["yes" if row["auc"] >= SEEN else "no" for row in found]
                verdict = met[0] if len(set(met)) == 1 else ", ".join(met)
                cells = map(interval, found)
                yield [content, artifact, f"{amplitude:g}", metric, *cells, verdict]

    header = ["content", "artifact", "amplitude", "metric"]
    header += [f"S = {p}" for p in PERIODS] + [f"at least {SEEN}"]
    return to_markdown(header, list(lines()))


def controls_met(rows: Sequence[Row]) -> str:
    """How many controls leave each paired metric within 0.5 +- 0.1, and the rest.

    JPEG at period 8 is left out: it has that lattice.
    """
    lines = []
    for content in contents(rows):
        for metric in PAIRED:
            found = [
                row
                for row in select(rows, content=content, metric=metric)
                if row["artifact"] in CONTROLS
                and (row["artifact"], row["period"]) != ("jpeg", 8)
            ]
            out = [row for row in found if abs(row["auc"] - 0.5) > CLEAN]
            named = [
                f"{row['artifact']} S = {row['period']}: {interval(row)}" for row in out
            ]
            passed = f"{len(found) - len(out)} of {len(found)}"
            lines.append([content, metric, passed, "; ".join(named) or "-"])
    return to_markdown(["content", "metric", "within 0.5 ± 0.1", "outside"], lines)


def thresholds(rows: Sequence[Row]) -> str:
    """The smallest amplitude from which on an artifact is seen."""
    columns = [(a, p) for a in ARTIFACTS for p in PERIODS] + [(a, 2) for a in CHECKERS]
    lines = []
    for metric in METRICS:
        cells = []
        for artifact, period in columns:
            found = select(rows, artifact=artifact, period=period, metric=metric)
            smallest = None
            for row in sorted(found, key=lambda row: -row["amplitude"]):
                if row["auc"] < SEEN:
                    break
                smallest = row["amplitude"]
            cells.append("-" if smallest is None else f"{smallest:g}")
        lines.append([metric, *cells])
    return to_markdown(["metric", *(f"{a} {p}" for a, p in columns)], lines)


def areas(rows: Sequence[Row]) -> str:
    """Tone at 0.01, the modulated ones at 0.04."""
    columns = [
        (artifact, amplitude, period)
        for artifact, amplitude, _ in TARGETS
        for period in PERIODS
    ]
    columns += [(CHECKERS[0], 0.01, 2), (CHECKERS[1], 0.04, 2)]
    lines = []
    for metric in METRICS:
        keys = ("artifact", "amplitude", "period")
        found = [
            one(rows, metric=metric, **dict(zip(keys, column, strict=True)))
            for column in columns
        ]
        lines.append([metric, *map(interval, found)])
    return to_markdown(["metric", *(f"{a} {x:g} S={p}" for a, x, p in columns)], lines)


def controls(rows: Sequence[Row]) -> str:
    """Every metric at every period after every control."""
    lines = []
    for period in PERIODS:
        for metric in METRICS:
            found = [
                one(rows, metric=metric, period=period, artifact=c) for c in CONTROLS
            ]
            lines.append([metric, str(period), *map(interval, found)])
    return to_markdown(["metric", "S", *CONTROLS], lines)


def smaller_sets(rows: Sequence[Row]) -> str:
    """Areas of the paired metrics at the target amplitudes by set size."""
    lines = []
    for artifact, amplitude, _ in TARGETS:
        for metric in PAIRED:
            for size in SET_SIZES:
                found = select(
                    rows,
                    artifact=artifact,
                    amplitude=amplitude,
                    metric=metric,
                    set_size=size,
                )
                if found:
                    cells = map(interval, found)
                    first = [artifact, f"{amplitude:g}", metric, str(size)]
                    lines.append([*first, *cells])
    header = ["artifact", "amplitude", "metric", "images a set"]
    return to_markdown([*header, *(f"S = {p}" for p in PERIODS)], lines)


def own(peaks: dict[str, dict[int, float]]) -> str:
    """`lattice_peak_db` of the targets."""
    lines = [
        [content, *(f"{peak:.2f}" for peak in values.values())]
        for content, values in peaks.items()
    ]
    header = ["lattice_peak_db (dB) of", *(f"S = {p}" for p in PERIODS)]
    return to_markdown(header, lines)


def interval(row: Row) -> str:
    """An area and its interval."""
    return bracketed(row["auc"], row["low"], row["high"])
