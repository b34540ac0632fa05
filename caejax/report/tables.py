"""Tables: for the terminal with rich, as Markdown and as LaTeX."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from caejax.report.read import SweepFiles
from caejax.report.references import with_references

Row = dict[str, Any]

MEASURES = {
    "test/psnr": "PSNR (dB)",
    "test/ssim": "SSIM",
    "test/dc_ripple_db_s2": "ripple s2 (dBFS)",
    "test/dc_ripple_db_s4": "ripple s4 (dBFS)",
    "test/dc_ripple_db_s8": "ripple s8 (dBFS)",
    "test/lattice_peak_db_s2": "peak s2 (dB)",
    "init/dc_ripple_db_s2": "ripple s2, init (dBFS)",
    "test/psnr_noisy": "input's PSNR (dB)",
    "params": "params",
}

_DIGITS = {"test/ssim": 3, "test/psnr": 2, "test/psnr_noisy": 2}

TERMINAL = ("test/psnr", "test/ssim", "test/dc_ripple_db_s2", "test/dc_ripple_db_s8")


# The columns for which a page of a paper is wide enough.
PAPER = (*TERMINAL, "params")


def sweep_table(
    sweep: SweepFiles, measures: Sequence[str] = tuple(MEASURES)
) -> tuple[list[str], list[list[str]]]:
    """Header and cells: a line a setting, over its finished seeds, and a reference.

    Figures are the mean and, in brackets, the range over seeds.

    Args:
      sweep: what its folder holds.
      measures: the figures wanted; those that no run has are left out.
    """
    fields, rows = with_references(sweep)
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        if row["status"] == "done":
            groups.setdefault(tuple(row[f] for f in fields), []).append(row)
    measures = [m for m in measures if any(m in row for row in sweep.rows)]
    header = [*fields, "seeds", *(MEASURES[m] for m in measures)]
    lines = [
        [*map(str, setting), str(len(rows)), *(_cell(rows, m) for m in measures)]
        for setting, rows in groups.items()
    ]
    return header, lines


def _cell(rows: Sequence[Row], measure: str) -> str:
    values = [row[measure] for row in rows if measure in row]
    if not values:
        return ""
    if measure == "params":
        return f"{values[0]:,}"
    digits = _DIGITS.get(measure, 1)
    # "z": what rounds to zero has no sign.
    mean, low, high = (
        f"{value:z.{digits}f}" for value in (np.mean(values), min(values), max(values))
    )
    return mean if low == high else f"{mean} [{low}, {high}]"


def runs_table(sweep: SweepFiles) -> tuple[list[str], list[list[str]]]:
    """Header and cells: a line a run, those that failed among them."""
    fields = list(dict.fromkeys([*sweep.fields, "seed"]))
    measures = [m for m in MEASURES if any(m in row for row in sweep.rows)]
    header = [*fields, "status", *(MEASURES[m] for m in measures), "run"]
    lines = [
        [
            *(str(row[f]) for f in fields),
            row["status"],
            *(_cell([row], m) for m in measures),
            row["run_id"],
        ]
        for row in sweep.rows
    ]
    return header, lines


def to_markdown(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    rows = [header, ["---"] * len(header), *lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


_LATEX = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}
_NUMBER = re.compile(r"-?[\d,.]+( \[.*\])?")


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
    escaped = "".join(_LATEX.get(c, c) for c in text)
    minus = re.sub(r"(?<![\w)])-(?=\d)", "$-$", escaped)
    # Behind the end of a row, a bracket would be read as its height.
    return f"{{}}{minus}" if minus.startswith("[") else minus


def print_sweep(sweep: SweepFiles) -> None:
    """Prints the sweep's table, as much of it as 80 columns have room for."""
    header, lines = sweep_table(sweep)
    fields = header[: header.index("seeds")]
    shown = [*fields, *(MEASURES[name] for name in TERMINAL)]
    kept = [i for i, name in enumerate(header) if name in shown]
    title = "mean over seeds; tables/results.md has the ranges"
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for i in kept:
        table.add_column(header[i].split(".")[-1], no_wrap=header[i] in fields)
    for line in lines:
        table.add_row(*(escape(line[i].split(" [")[0]) for i in kept))
    Console().print(table)


def print_figures(figures: dict[str, float]) -> None:
    """Prints the figures of one run."""
    table = Table("figure", "value")
    for name, value in figures.items():
        table.add_row(name, number(value))
    Console().print(table)


def number(value: float) -> str:
    """A figure of a summary as text."""
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
