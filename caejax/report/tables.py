"""Tables: for the terminal with rich, as Markdown and as LaTeX."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from caejax.metrics.table import brief_columns, find, formatted, shown_columns, title
from caejax.report import below_input
from caejax.report.intervals import ENOUGH
from caejax.report.missing import lacking, short_runs
from caejax.report.read import SweepFiles
from caejax.report.references import with_references
from caejax.report.words import worse_than_input
from caejax.terminal.lines import printable, tell
from caejax.terminal.tables import print_table

Row = dict[str, Any]

PARAMS = "params"  # the one column of tables that is no metric's

TRAINING = {
    PARAMS: "parameters",
    "epochs": "epochs",
    "steps": "steps",
    "train_seconds": "seconds of training",
}
_NOTES = {
    "best_step": "step of the best validation loss",
    "best_val_loss": "best validation loss",
    "test/loss": "loss of test images",
}


def called(name: str, *, short: bool = False) -> str:
    """What a value of a summary is called; short, as `title` has it, for columns."""
    return {**TRAINING, **_NOTES}.get(name) or title(name, short=short)


def columns() -> list[str]:
    """The columns of results.csv that tables show."""
    return [*shown_columns(), PARAMS]


def paper_columns() -> list[str]:
    """Those for which a page of a paper is wide enough."""
    return [*brief_columns(), PARAMS]


def sweep_table(
    sweep: SweepFiles, wanted: Sequence[str] | None = None
) -> tuple[list[str], list[list[str]]]:
    """Header and cells: a line a setting, over its finished seeds, and a reference.

    Values are the mean and, in brackets, the range over seeds.

    Args:
      sweep: what the sweep's folder holds.
      wanted: the columns of results.csv to show, by default `columns`; those that no
        run has are left out.
    """
    fields, groups = by_setting(sweep)
    shown = known(sweep, columns() if wanted is None else wanted)
    header = [*fields, "seeds", *_headings(shown)]
    lines = [
        [*map(str, setting), str(len(rows)), *(cell(rows, name) for name in shown)]
        for setting, rows in groups.items()
    ]
    return header, lines


def by_setting(sweep: SweepFiles) -> tuple[list[str], dict[tuple, list[Row]]]:
    """The fields of a sweep's settings, and each setting's rows of finished runs.

    References are settings of their own; see `with_references`.
    """
    fields, rows = with_references(sweep)
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        if row["status"] == "done":
            groups.setdefault(tuple(row[f] for f in fields), []).append(row)
    return fields, groups


def known(sweep: SweepFiles, names: Sequence[str]) -> list[str]:
    """Those of some columns of results.csv that a run has.

    Without those of a period whose values are those of twice the period, as where
    decoders' strides multiply to less.
    """
    there = [name for name in names if any(name in row for row in sweep.rows)]
    return [name for name in there if not _is_repeated(sweep.rows, name, there)]


def _is_repeated(rows, name, names):
    stem, _, period = name.rpartition("_s")
    twice = f"{stem}_s{2 * int(period)}" if period.isdigit() else ""
    if twice not in names:
        return False
    pairs = [(row.get(name, np.nan), row.get(twice, np.nan)) for row in rows]
    return np.allclose(*np.transpose(pairs), rtol=1e-5, atol=1e-6, equal_nan=True)


def _headings(names):
    return [title(name, short=True) for name in names]


def cell(rows: Sequence[Row], name: str) -> str:
    """A column's mean over rows and, in brackets, their range; "" where none has it."""
    values = [row[name] for row in rows if name in row]
    if not values:
        return ""
    if name == PARAMS:
        return f"{values[0]:,}"
    mean, low, high = (
        formatted(name, value) for value in (np.mean(values), min(values), max(values))
    )
    return mean if low == high else f"{mean} [{low}, {high}]"


def runs_table(sweep: SweepFiles) -> tuple[list[str], list[list[str]]]:
    """Header and cells: a line a run, those that failed among them."""
    fields = list(dict.fromkeys([*sweep.fields, "seed"]))
    shown = known(sweep, columns())
    header = [*fields, "status", *_headings(shown), "run"]
    lines = [
        [
            *(str(row[f]) for f in fields),
            row["status"],
            *(cell([row], name) for name in shown),
            row["run_id"],
        ]
        for row in sweep.rows
    ]
    return header, lines


def to_markdown(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table; of its cells only what is between backticks is formatted."""
    rows = [map(_to_markdown, row) for row in (header, *lines)]
    rows.insert(1, ["---"] * len(header))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _to_markdown(text):
    def escaped(found):
        code = len(found[0]) > 1
        return found[0].replace("|", r"\|") if code else f"\\{found[0]}"

    return re.sub(r"`[^`]+`|[|<&*`\\]", escaped, printable(text))


_LATEX = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}
_ALSO_KNOWN = "–—‘’“”…€"
_NUMBER = re.compile(r"[-+]?[\d,.]+( \[.*\])?")


def to_latex(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A LaTeX table of the package booktabs; columns of numbers are flush right.

    Of a dotted config field, the header keeps the last name.
    """
    header = [re.sub(r"^[\w.]+\.(?=\w+$)", "", name) for name in header]
    columns = zip(*lines, strict=True)
    numeric = [all(_NUMBER.fullmatch(cell or "0") for cell in c) for c in columns]
    sides = "".join("lr"[right] for right in numeric)
    return "\n".join(
        [
            r"% Needs \usepackage{booktabs}; \footnotesize\setlength{\tabcolsep}{3pt}",
            r"% before it makes a sweep of two axes fit two columns of a paper.",
            rf"\begin{{tabular}}{{@{{}}{sides}@{{}}}}",
            r"\toprule",
            _latex_row(header),
            r"\midrule",
            *map(_latex_row, lines),
            r"\bottomrule",
            "\\end{tabular}\n",
        ]
    )


def _latex_row(cells):
    return " & ".join(map(_to_latex, cells)) + r" \\"


def _to_latex(text):
    escaped = "".join(_LATEX.get(c, c) for c in _in_known_letters(text))
    minus = re.sub(r"(?<![\w)])-(?=\d)", "$-$", escaped)
    # Behind the end of a row, a bracket would be read as its height.
    return f"{{}}{minus}" if minus.startswith("[") else minus


def _in_known_letters(text):
    """The text with what LaTeX does not know without further packages escaped."""
    return "".join(
        c if c < "\u0180" or c in _ALSO_KNOWN else _escape(c) for c in printable(text)
    )


def _escape(character):
    return character.encode("ascii", "backslashreplace").decode()


def print_sweep(sweep: SweepFiles) -> None:
    """Prints the sweep's table, as much of it as the terminal has room for.

    Rows of unequal numbers of seeds have these in a column.
    """
    header, lines = sweep_table(sweep, brief_columns())
    seeds = [int(line[header.index("seeds")]) for line in lines] or [0]
    uneven = len(set(seeds)) > 1
    kept = [i for i, name in enumerate(header) if name != "seeds" or uneven]
    print_table(
        [header[i].split(".")[-1] for i in kept],
        [[line[i].split(" [")[0] for i in kept] for line in lines],
        above=_what_cells_are(seeds),
        below="" if min(seeds) >= ENOUGH else "too few seeds to tell which is better",
    )
    if said := below_input.counted(sweep):
        tell(said)
    if said := short_runs(sweep):
        tell(said)
    if what := lacking(sweep):
        tell(f"{what}; give the command that began the sweep again to finish it")


def _what_cells_are(seeds):
    if max(seeds) <= 1:
        return "one seed a setting"
    whose = f"{seeds[0]}" if len(set(seeds)) == 1 else "each row's"
    return f"mean over {whose} seeds; tables/results.md has the ranges"


# What most people want to know of a run, at most; in units of the image where the
# output has an activation.
_ESSENTIAL = (
    *("psnr", "psnr_noisy", "ssim", "ssim_noisy", "loss"),
    *("dc_ripple_grey_s8", "lattice_grey_s2", "lattice_grey_s8"),
    *("params", "train_seconds", "epochs"),
)
_OF_THE_IMAGE = {"dc_ripple_grey_s8": "dc_ripple_image_grey_s8"}


def print_essentials(values: dict[str, float], more: str) -> None:
    """Prints of the values of one run those that say most.

    Args:
      values: the values, by their names in files.
      more: where all of them are.
    """
    by_name = {name.removeprefix("test/"): name for name in values}
    wanted = (_OF_THE_IMAGE.get(name, name) for name in _ESSENTIAL)
    pairs = zip(wanted, _ESSENTIAL, strict=True)
    names = [by_name.get(image, by_name.get(name)) for image, name in pairs]
    print_table(
        ("what", "value", "name in files"),
        [
            (called(name, short=True), _formatted(name, values[name]), name)
            for name in filter(None, names)
        ],
        below=f"all {len(values)} values: {more}",
    )
    if said := worse_than_input(values):
        tell(said)


def _formatted(name, value):
    return formatted(name, value) if find(name) else number(value)


def print_values(values: dict[str, float]) -> None:
    """Prints all values of one run."""
    print_table(("name", "value"), [(k, number(v)) for k, v in values.items()])


def number(value: float) -> str:
    """A value of a summary as text."""
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def all_numbers(summary: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Name, value and name in files of all that a summary holds."""
    return [(called(name), number(x), name) for name, x in summary.items()]
