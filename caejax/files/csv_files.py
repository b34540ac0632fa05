"""Rows of plain data as CSV files, and back."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from caejax.files.atomic import write_atomically

Row = dict[str, Any]

# Columns of hashes: text, even one that looks like a number.
_HASHES = ("run_id", "setting")


def write_csv(path: Path, rows: Sequence[Row], float_format: str = "") -> None:
    """Writes rows as CSV, atomically; the columns are all that any row has.

    Args:
      path: the CSV file's path.
      rows: the rows, plain data.
      float_format: the format of floats, ".4f" for instance; by default all their
        digits.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: _text(v, float_format) for k, v in row.items()})
    write_atomically(path, text.getvalue())


def _text(value, float_format):
    if isinstance(value, float) and float_format:
        return format(value, float_format)
    return value


def read_csv(path: Path, fields: Sequence[str] = ()) -> list[Row]:
    """Reads a CSV file's rows, numbers parsed but for hashes; none if it is missing.

    Args:
      path: the CSV file's path.
      fields: the fields whose cells may be empty; other empty cells are left out of
        their row.
    """
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [
            {
                name: text if name in _HASHES else _parse(text)
                for name, text in row.items()
                if text or name in fields
            }
            for row in csv.DictReader(file)
        ]


def _parse(text):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
