"""The study's tables in Markdown, and the rules by which values are judged."""

from collections.abc import Callable, Sequence

import numpy as np

from caejax.metrics.table import title
from caejax.report.tables import to_markdown
from experiments.seeds.systems import Source, System, planned_epochs
from experiments.shared.cells import median_and_range
from experiments.shared.rows import Row, distinct, select

MARGIN = 1.10  # of a median that is as good
AGREEMENT = 0.02  # of medians that agree

HEADER = (
    "system",
    "reported by",
    "figure",
    "caejax: median [range]",
    "ratio",
    "verdict",
    "test MSE",
    *map(title, ("test/psnr", "test/ssim")),
    "dead units",
    "parameters",
    "seconds",
    "seeds",
)


def as_good(values: np.ndarray, figure: float) -> str:
    """A reported value not below the minimum, a median at most 10 % above it."""
    if figure < values.min():
        return "no: the figure is below the minimum"
    return _at_most(values, figure, MARGIN)


def at_or_below(values: np.ndarray, figure: float) -> str:
    """A median that is at most the reported value."""
    return _at_most(values, figure, 1.0)


def _at_most(values, figure, factor):
    excess = np.median(values) / figure - 1
    return "yes" if excess <= factor - 1 + 1e-12 else f"no: {100 * excess:.2g} % above"


def agrees(values: np.ndarray, figure: float) -> str:
    """A median within 2 % of the reported value, or seeds on both sides of it."""
    distance = np.median(values) / figure - 1
    if abs(distance) <= AGREEMENT:
        return "yes"
    if values.min() <= figure <= values.max():
        return f"yes, within the range ({100 * distance:+.1f} %)"
    return f"no: {100 * distance:+.1f} %"


RULES: dict[str, Callable[[np.ndarray, float], str]] = {
    "as good": as_good,
    "at or below": at_or_below,
    "agrees": agrees,
}


def verdict(values: np.ndarray, source: Source, planned: int) -> str:
    """What the source's rule says of these seeds, marked where some are missing."""
    text = f"{source.rule}: {RULES[source.rule](values, source.figure)}"
    return text if len(values) >= planned else f"{text}, so far"


def is_whole(row: Row) -> bool:
    """Whether a run has all epochs of its source's schedule."""
    return row["epochs"] == row["planned_epochs"]


def report(
    systems: Sequence[System], rows: Sequence[Row], pytorch: Sequence[Row] = ()
) -> str:
    """All tables; shortened runs are kept apart and beside no source's value.

    Args:
      systems: the systems with their references.
      rows: caejax's results, a row a run.
      pytorch: PyTorch's results, a row for each seed of pytorch.py.
    """
    short = [row for row in rows if not is_whole(row)]
    parts = [
        "Written by study.py.\n",
        "## Whole schedules\n",
        "Only runs of all epochs of the source's schedule. Figures are in the source's "
        "units: " + "; ".join(_units(systems)) + ". Verdicts: *as good*, the figure "
        "is not below caejax's minimum and the median is within 10 % of it or better; "
        "*at or below*, the median is; *agrees*, the medians are within 2 %, or the "
        "figure lies within caejax's range. MSE, "
        "PSNR, SSIM and dead units (of the code, 0 on all test images) are medians, "
        "dead units with their range; seconds are the median of training alone.\n",
        to_markdown(
            HEADER,
            [
                line
                for system in systems
                for line in lines(system, [r for r in rows if is_whole(r)])
            ],
        ),
    ]
    by_death = dead_table([row for row in rows if is_whole(row)], pytorch)
    if by_death:
        parts += [
            "## Figures by dead units\n",
            "Of systems whose seeds differ in them: the figure's range, and of how "
            "many seeds.\n",
            by_death,
        ]
    if short:
        parts += [
            "## Shortened runs\n",
            "Stopped before the end of the source's schedule, hence not beside its "
            "figure.\n",
            short_table(short),
        ]
    return "\n".join(parts)


def _units(systems):
    names: dict[str, list[str]] = {}
    for system in systems:
        names.setdefault(system.unit.text, []).append(system.name)
    return [f"{text} ({', '.join(found)})" for text, found in names.items()]


def lines(system: System, rows: Sequence[Row]) -> list[list[str]]:
    """A line for each value reported of a system, one where there is none."""
    rows = select(rows, system=system.name)
    count = f"{len(rows)} of {system.seeds}, {planned_epochs(system)} epochs"
    end = [*_test_cells(rows), count]
    return [
        [system.name, *_figure_cells(rows, source, system), *end]
        for source in system.sources or (None,)
    ]


def _figure_cells(rows, source, system):
    reported = [source.who, number(source.figure)] if source else ["", "none"]
    if not rows:
        return [*reported, "not run yet", "", ""]
    values = np.array([row["figure"] for row in rows])
    cells = [*reported, median_and_range(values, number)]
    if source is None:
        return [*cells, "", ""]
    ratio = f"{np.median(values) / source.figure:.3f}"
    return [*cells, ratio, verdict(values, source, system.seeds)]


def _test_cells(rows):
    if not rows:
        return [""] * 6
    middle = {
        name: np.median([row[name] for row in rows])
        for name in ("test_mse", "test_psnr", "test_ssim", "dead_units", "seconds")
    }
    dead = [row["dead_units"] for row in rows]
    return [
        f"{middle['test_mse']:.5f}",
        f"{middle['test_psnr']:.2f}",
        f"{middle['test_ssim']:.3f}",
        f"{middle['dead_units']:g} [{min(dead)}, {max(dead)}]",
        f"{rows[0]['params']:,}",
        f"{middle['seconds']:,.0f}",
    ]


def dead_table(rows: Sequence[Row], pytorch: Sequence[Row]) -> str:
    """A line for each number of dead units, of systems where it varies."""
    lines = []
    for name in distinct(rows, "system"):
        ours, theirs = (_by_death(some, name) for some in (rows, pytorch))
        if len(ours) > 1:
            counts = sorted(ours | theirs)
            lines += [
                [name, str(n), _range(ours.get(n, [])), _range(theirs.get(n, []))]
                for n in counts
            ]
    header = ["system", "dead units", "caejax", "PyTorch"]
    return to_markdown(header, lines) if lines else ""


def _by_death(rows, name):
    found: dict[int, list[float]] = {}
    for row in select(rows, system=name):
        found.setdefault(row["dead_units"], []).append(row["figure"])
    return found


def _range(values):
    if not values:
        return ""
    ends = dict.fromkeys((number(min(values)), number(max(values))))
    return f"{' to '.join(ends)} ({len(values)})"


def number(value: float) -> str:
    """Four significant digits, thousands as such."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def short_table(rows: Sequence[Row]) -> str:
    """A line for each shortened run."""
    header = ["system", "seed", "epochs", "figure so far", "test MSE", title("psnr")]
    return to_markdown(
        header,
        [
            [
                row["system"],
                str(row["seed"]),
                f"{row['epochs']} of {row['planned_epochs']}",
                number(row["figure"]),
                f"{row['test_mse']:.5f}",
                f"{row['test_psnr']:.2f}",
            ]
            for row in rows
        ],
    )
