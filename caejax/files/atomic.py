"""Text, JSON and JSON lines, in files that are whole or not there."""

import contextlib
import errno
import hashlib
import itertools
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from caejax.errors import CaejaxError
from caejax.terminal.notes import note

Row = dict[str, Any]

_parts: set[Path] = set()  # of files that are being written


def _part_name(name):
    """A name that no other writer of the file has, on whichever machine."""
    end = f"{secrets.token_hex(4)}.part"
    part = f".{name}.{end}"
    if len(os.fsencode(part)) <= 255:  # more than most file systems take
        return part
    return f".{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}.{end}"


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Opens a file that takes its name only when it is whole.

    Several may write it at the same time: the last one that is done has it. Devices,
    pipes and the streams of a process are written to and stay what they are; what is
    said after a pipe has been closed is lost without a word.
    """
    if _is_stream(path):
        with (
            contextlib.suppress(BrokenPipeError),
            naming(path),
            path.open("wb") as file,
        ):
            yield file
        return
    part = path.with_name(_part_name(path.name))
    if path.is_dir() and not path.is_symlink():
        move_aside(path, path.parent / "damaged")
    _parts.add(part)
    try:
        with naming(path):
            with part.open("wb") as file:
                yield file
            os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
        _parts.discard(part)


def _is_stream(path):
    """Whether a path is no file or folder, as /dev/null, /dev/stdout and FIFOs."""
    above = os.path.realpath(path.parent)
    known = above == "/dev" or above.startswith("/proc/")
    return known or (path.exists() and not (path.is_file() or path.is_dir()))


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Gives errors of a disk the name of the file that is written, where they lack it.

    Libraries' errors of a disk that is full become an OSError.
    """
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
    except Exception as error:
        if os.strerror(errno.ENOSPC) in str(error):
            full = errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)
            raise OSError(*full) from error
        raise


def forget_parts() -> None:
    """Removes what is half-written, before a process is ended in the midst of it."""
    for part in list(_parts):
        with contextlib.suppress(OSError):
            part.unlink()


def write_atomically(path: Path, text: str) -> None:
    """Writes a text file that is never seen half-written."""
    with replacing(path) as file:
        # Bytes of names that are no text are escaped.
        file.write(text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, value: Any) -> None:
    """Writes indented JSON, atomically."""
    write_atomically(path, json.dumps(value, indent=2) + "\n")


def move_aside(path: Path, folder: Path) -> Path:
    """Moves a file or a folder into a folder of others, whose names it does not take.

    Returns:
      Where it is now.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = (f"{path.name}{end}" for end in _ends())
    free = next(folder / name for name in names if not (folder / name).exists())
    path.rename(free)
    return free


def _ends():
    yield ""
    yield from (f"-{i}" for i in itertools.count(2))


def read_json(path: Path, mend: str = "") -> Row:
    """Reads a JSON object.

    Args:
      path: the file's path.
      mend: what is to be done where it is damaged.

    Raises:
      FileNotFoundError: there is no such file.
      CaejaxError: the file is damaged.
    """
    try:
        value = json.loads(path.read_bytes())
    except NotADirectoryError as error:  # nor is there a folder for it
        raise FileNotFoundError(error.errno, error.strerror, str(path)) from None
    except OSError as error:
        raise damaged(path, no_file(error), mend) from None
    except (ValueError, RecursionError) as error:
        raise damaged(path, error, mend) from error
    if not isinstance(value, dict):
        raise damaged(path, "it holds no JSON object", mend)
    return value


def no_file(error: OSError) -> str:
    """What is there in place of a file; other errors of reading one are raised."""
    if error.errno == errno.EISDIR:
        return "it is a folder"
    if error.errno == errno.ELOOP:
        return "it is a link to itself"
    raise error


def damaged(path: Path, why: object, mend: str = "") -> CaejaxError:
    """The error that a file is not what was written, and what mends it."""
    reason = " ".join(str(why).split()) or type(why).__name__
    return CaejaxError(f"{path} is damaged ({reason[:200]}){mend and '; '}{mend}")


def read_rows(path: Path) -> list[Row]:
    """Reads a run's JSON lines: objects with a step, a split and numbers.

    A last line cut off by a kill is left out, and so are damaged ones, with a note.
    """
    try:
        # What follows the last newline was never finished.
        lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    except OSError as error:
        note(f"{path}: {no_file(error)}; the run's rows are lost")
        return []
    rows = [_row(line) for line in lines]
    if broken := [str(i) for i, row in enumerate(rows, start=1) if row is None]:
        word = "line" if len(broken) == 1 else "lines"
        note(f"{path} is damaged; left out: {word} {', '.join(broken)}")
    return [row for row in rows if row is not None]


def _row(line):
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict):
        return None
    values = {"step": None, **row}
    split = values.pop("split", None)
    numbers = all(is_number(value) for value in values.values())
    return row if isinstance(split, str) and numbers else None


def is_number(value: Any) -> bool:
    """Whether a value of JSON is a number, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)
