"""Lines for people, whatever is in the names that they tell of."""

import contextlib
import functools
import re
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import TextIO

# Control characters, what turns the direction of writing, ends of lines that are no
# newlines, and bytes of names that are no text.
_ACTING = ("Cc", "Cf", "Cs", "Zl", "Zp")
_HELP = 80  # columns of help, at most
_NO_BREAK = "\N{NO-BREAK SPACE}"
_JOINERS = "\u200c\u200d"  # parts of words and of emoji


def printable(text: str) -> str:
    """The text in one line, with characters that a terminal would act on escaped.

    "\\x1b" for instance is written as those four characters.
    """
    if text.isprintable():
        return text
    return "".join(
        _escaped(c) if unicodedata.category(c) in _ACTING and c not in _JOINERS else c
        for c in text
    )


def _escaped(character):
    if character.isascii():
        return repr(character)[1:-1]
    return character.encode("ascii", "backslashreplace").decode()


def fitted(parts: Sequence[str], width: int) -> str:
    """Those parts for which so many columns have room; the first one in any case."""
    line, *rest = parts
    for part in rest:
        if len(line) + 2 + len(part) <= width:
            line = f"{line}  {part}"
    return line


def duration(seconds: float) -> str:
    """Seconds as people say them: "20 s", "3 min", "2 h 5 min"."""
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def columns(stream: TextIO | None = None) -> int | None:
    """The width of the terminal that is written to; None where there is none.

    Args:
      stream: what is written to; by default the standard output.
    """
    on_terminal = (stream or sys.stdout).isatty()
    return shutil.get_terminal_size().columns if on_terminal else None


def left_out(names: Iterable[str], shown: Iterable[str]) -> str:
    """Which columns of a table are not among those shown; "" where all are."""
    rest = ", ".join(name for name in names if name not in {*shown})
    return f"left out here: {rest}" if rest else ""


def broken(text: str, width: int | None) -> str:
    """A line, broken between words where it has more columns; None for any.

    Units stay with their numbers.
    """
    if width is None:
        return text
    text = re.sub(r"(\d) (%|dB)", rf"\1{_NO_BREAK}\2", text)
    made = textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)
    return made.replace(_NO_BREAK, " ")


def help_columns() -> int:
    """The columns of help: those of the terminal, or COLUMNS, and 80 at most."""
    return min(_HELP, shutil.get_terminal_size().columns)


def command_lines(command: str, width: int) -> str:
    """A command as help shows it, on several lines that a shell takes as one."""
    return " \\\n".join(
        textwrap.wrap(
            command,
            width - 2,
            initial_indent="  ",
            subsequent_indent="      ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    )


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table, with its columns below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True))
        for row in rows
    ]


def fitting(
    names: Iterable[str],
    dropped: Iterable[str],
    table: Callable[[Sequence[str]], Sequence[str]],
    width: int | None,
) -> list[str]:
    """The columns of a table that a width has room for.

    Args:
      names: all of them.
      dropped: those that may be left out, the first ones first.
      table: the lines of a table with some of them.
      width: the columns of the terminal; None for any.
    """
    kept = list(names)
    for name in dropped:
        if width is None or max(map(len, table(kept))) <= width:
            break
        kept.remove(name)
    return kept


def refilled(text: str, width: int) -> str:
    """Paragraphs, each filled anew if one of its lines is too long.

    Args:
      text: paragraphs with an empty line between them. The lines of one that is
        indented are those of a list, and stay lines.
      width: columns that there are.
    """
    return "\n\n".join(_refilled(x, width) for x in text.strip("\n").split("\n\n"))


def _refilled(paragraph, width):
    lines = paragraph.splitlines()
    if max(map(len, lines), default=0) <= width:
        return paragraph
    if not paragraph.startswith(" "):
        return broken(" ".join(lines), width)
    fill = functools.partial(textwrap.fill, width=width, subsequent_indent=" " * 4)
    return "\n".join(map(fill, lines))


def tell(text: str) -> None:
    """Prints a line; on a terminal that is narrower some, broken between words."""
    print(broken(printable(text), columns()), flush=True)


def tell_parts(*parts: str) -> None:
    """Prints a line of those parts for which a terminal has room, or of all."""
    tell(fitted(parts, columns() or sys.maxsize))


def write_any_text() -> None:
    """Lets standard output and errors escape what their encoding does not have."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")
