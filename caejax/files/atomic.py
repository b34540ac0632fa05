"""Text, JSON and JSON lines, in files that are whole or not there."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

Row = dict[str, Any]

_parts: set[Path] = set()  # of files that are being written


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Opens a file that takes its name only when it is whole."""
    part = path.with_name(f".{path.name}.part")
    _parts.add(part)
    try:
        with part.open("wb") as file:
            yield file
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
        _parts.discard(part)


def forget_parts() -> None:
    """Removes what is half-written, before a process is ended in the midst of it."""
    for part in list(_parts):
        with contextlib.suppress(OSError):
            part.unlink()


def write_atomically(path: Path, text: str) -> None:
    """Writes a text file that is never seen half-written."""
    with replacing(path) as file:
        file.write(text.encode())


def write_json(path: Path, value: Any) -> None:
    """Writes indented JSON, atomically."""
    write_atomically(path, json.dumps(value, indent=2) + "\n")


def read_rows(path: Path) -> list[Row]:
    """Reads JSON lines; a last line cut off by a kill is left out."""
    if not path.exists():
        return []
    lines = path.read_text().split("\n")
    # What follows the last newline was never finished.
    return [json.loads(line) for line in lines[:-1]]
