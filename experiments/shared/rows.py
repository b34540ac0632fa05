"""Rows of a table as plain dictionaries: which there are, and how they are kept."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from caejax.errors import CaejaxError
from experiments.shared.cells import digits

Row = dict[str, Any]


def select(rows: Sequence[Row], **wanted: Any) -> list[Row]:
    """The rows that have these values."""
    return [row for row in rows if all(row[k] == v for k, v in wanted.items())]


def distinct(rows: Sequence[Row], name: str) -> list[Any]:
    """The values of one column, in their order, each once."""
    return list(dict.fromkeys(row[name] for row in rows))


def done(rows: Sequence[Row]) -> list[Row]:
    """The rows of a sweep's runs that are finished."""
    return select(rows, status="done")


def by_columns(
    rows: Sequence[Row], names: Sequence[str]
) -> dict[tuple[Any, ...], list[Row]]:
    """Rows in groups of equal values of these columns, in their order."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    return groups


def rounded(row: Row, spec: str, **of_columns: str) -> Row:
    """A row as CSV files keep it: floats as text, so that what is read back is equal.

    Args:
      row: the row, plain data.
      spec: the format of floats, ".5g" for five significant digits.
      **of_columns: the formats of columns that have another one.
    """
    return {
        name: digits(value, of_columns.get(name, spec))
        if isinstance(value, float)
        else value
        for name, value in row.items()
    }


def check_none_failed(rows: Sequence[Row], name: str, folder: Path) -> None:
    """Checks that no run of a sweep has failed.

    Args:
      rows: the rows that `run_sweep` returned.
      name: the sweep's name, for people.
      folder: the sweep's folder.

    Raises:
      CaejaxError: runs failed.
    """
    if failed := len(select(rows, status="failed")):
        raise CaejaxError(
            f"{failed} runs of {name} failed; {folder / 'results.csv'} says why"
        )
