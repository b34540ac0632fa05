"""Rows of plain data as CSV files, and back."""

import codecs
import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from caejax.files.atomic import damaged, no_file, write_atomically

Row = dict[str, Any]

# Columns of hashes: text, even one that looks like a number.
_HASHES = ("run_id", "setting")
# What Python writes, or a spreadsheet; not 007, 1_000 or other digits, which are names.
_NUMBER = re.compile(
    r"[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]+)?|[+-]?(inf|nan)",
    re.IGNORECASE,
)


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
    form = {"restval": "", "lineterminator": "\n"}
    writer = csv.DictWriter(text, columns, **form)
    # By itself the module quotes no carriage return, which readers end a line at.
    quoting = csv.DictWriter(text, columns, **form, quoting=csv.QUOTE_ALL)
    writer.writeheader()
    for row in rows:
        cells = {k: _text(v, float_format) for k, v in row.items()}
        returns = any("\r" in cell for cell in map(str, cells.values()))
        (quoting if returns else writer).writerow(cells)
    write_atomically(path, text.getvalue())


def _text(value, float_format):
    if isinstance(value, float) and float_format:
        return format(value, float_format)
    return value


def read_csv(
    path: Path,
    fields: Sequence[str] = (),
    *,
    needed: Sequence[str] = (),
    numbers: Sequence[str] = (),
    mend: str = "",
) -> list[Row]:
    """Reads a CSV file's rows, numbers parsed but for hashes; none if it is missing.

    Files that a spreadsheet has saved are read, too: with a byte order mark, with
    semicolons or tabs between the cells, and then also with decimal commas.

    Args:
      path: the CSV file's path.
      fields: the fields whose cells may be empty; other empty cells are left out of
        their row.
      needed: columns that no row lacks.
      numbers: such ones that hold numbers.
      mend: what is to be done where the file is damaged.

    Raises:
      CaejaxError: it is damaged: no text, a line of more or fewer cells than there are
        columns, a column that is missing, or words for a number; values of metrics,
        test/psnr for instance, are numbers wherever they are.
    """
    try:
        text = _decode(path.read_bytes())
        cells = _delimiter(text)
        lines = csv.DictReader(
            io.StringIO(text, newline=""), delimiter=cells, strict=True
        )
        rows = [_row(row, lines, fields) for row in lines if any(row.values())]
        for name in (*needed, *numbers):
            if name not in (lines.fieldnames or ()):
                raise ValueError(f"it has no column {name}")
        for i, row in enumerate(rows, start=1):
            _check(row, i, {*needed, *numbers} - {*fields}, numbers)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise damaged(path, no_file(error), mend) from None
    except (ValueError, csv.Error) as error:
        raise damaged(path, error, mend) from error
    return rows


def _row(row, lines, fields):
    if None in row or None in row.values():
        raise ValueError(f"line {lines.line_num} has not a cell a column")
    return {
        name: text if name in _HASHES else _parse(text, lines.reader.dialect.delimiter)
        for name, text in row.items()
        if text or name in fields
    }


def _check(row, i, needed, numbers):
    for name in needed - set(row):
        raise ValueError(f"row {i} has no {name}")
    for name, value in row.items():
        if isinstance(value, str) and (name in numbers or "/" in name):
            raise ValueError(f"row {i} has {value[:40]!r} for {name}")


def _parse(text, delimiter):
    number = text.replace(",", ".", 1) if delimiter != "," else text
    if not _NUMBER.fullmatch(number):
        return text
    try:
        return int(number)
    except ValueError:
        return float(number)


def _decode(data):
    wide = data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return data.decode("utf-16" if wide else "utf-8-sig")


def _delimiter(text):
    """What is between the names of columns, of which there are several."""
    head = text.split("\n", 1)[0]
    return max(",;\t", key=head.count)
