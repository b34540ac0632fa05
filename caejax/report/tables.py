"""Tables: for the terminal with rich, and as Markdown."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from caejax.report.read import SweepFiles
from caejax.report.references import with_references

Row = dict[str, Any]

MEASURES = {
    "test/psnr": "PSNR (dB)",
    "test/psnr_noisy": "input's PSNR",
    "test/ssim": "SSIM",
    "init/dc_ripple_db_s2": "ripple s2, init (dBFS)",
    "test/dc_ripple_db_s2": "ripple s2 (dBFS)",
    "test/dc_ripple_db_s4": "ripple s4 (dBFS)",
    "test/dc_ripple_db_s8": "ripple s8 (dBFS)",
    "test/lattice_peak_db_s2": "peak s2 (dB)",
    "params": "params",
}

TERMINAL = ("test/psnr", "test/ssim", "test/dc_ripple_db_s2", "test/dc_ripple_db_s8")


def sweep_table(sweep: SweepFiles) -> tuple[list[str], list[list[str]]]:
    """Header and cells: a line a setting, over its finished seeds, and a reference.

    Figures are the mean and, in brackets, the range over seeds.
    """
    fields, rows = with_references(sweep)
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        if row["status"] == "done":
            groups.setdefault(tuple(row[f] for f in fields), []).append(row)
    measures = [m for m in MEASURES if any(m in row for row in sweep.rows)]
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
    digits = {"test/ssim": 3, "test/psnr": 2, "test/psnr_noisy": 2}.get(measure, 1)
    mean = f"{np.mean(values):.{digits}f}"
    if len(values) == 1:
        return mean
    return f"{mean} [{min(values):.{digits}f}, {max(values):.{digits}f}]"


def to_markdown(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    rows = [header, ["---"] * len(header), *lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def print_sweep(sweep: SweepFiles) -> None:
    """Prints the sweep's table, as much of it as 80 columns have room for."""
    header, lines = sweep_table(sweep)
    fields = header[: header.index("seeds")]
    shown = [*fields, *(MEASURES[name] for name in TERMINAL)]
    kept = [i for i, name in enumerate(header) if name in shown]
    table = Table(title=escape("mean [range] over seeds"))
    for i in kept:
        table.add_column(header[i].split(".")[-1], no_wrap=header[i] in fields)
    for line in lines:
        table.add_row(*(escape(line[i]) for i in kept))
    Console().print(table)


def print_figures(figures: dict[str, float]) -> None:
    """Prints the figures of one run."""
    table = Table("figure", "value")
    for name, value in figures.items():
        table.add_row(name, f"{value:,}" if isinstance(value, int) else f"{value:.4g}")
    Console().print(table)
