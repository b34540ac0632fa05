"""The one exception that users are meant to read, how it is raised and shown."""

import difflib
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

Value = TypeVar("Value")


class CaejaxError(Exception):
    """A mistake or a missing thing outside the code.

    The message is one line that names the thing and the mend. The commands print
    it without a traceback and exit with 1.
    """


def lookup(table: Mapping[str, Value], name: str, field: str) -> Value:
    """Finds a named thing, or says which names the config field can hold.

    Args:
      table: the known things.
      name: the one wanted.
      field: dotted config field that holds the name.

    Raises:
      CaejaxError: the table has no such name.
    """
    if name not in table:
        raise CaejaxError(
            f"config.{field} is {name!r:.200}{did_you_mean(name, table)}; "
            f"known: {', '.join(table)}"
        )
    return table[name]


def chosen(words: Iterable[str], known: Iterable[str], flag: str) -> list[str]:
    """The names that a flag of several lists, in the order of the known ones.

    Args:
      words: the flag's; "all" alone for all names, empty ones do not count.
      known: the names there are.
      flag: without its dashes.

    Raises:
      CaejaxError: a word is none of the names.
    """
    words, known = {word for word in words if word}, list(known)
    if words == {"all"}:
        return known
    for word in sorted(words - set(known)):
        raise CaejaxError(
            f"--{flag} has {word!r}{did_you_mean(word, known)}; "
            f"known: all, {', '.join(known)}"
        )
    return [name for name in known if name in words]


def did_you_mean(name: object, names: Iterable[str]) -> str:
    """ ", did you mean 'x'?" for the nearest name, or nothing."""
    near = difflib.get_close_matches(str(name), list(names), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def exit_code(command: Callable[[], int], stopped: str) -> int:
    """Runs a command, whose foreseen errors become one line each.

    Args:
      command: returns the exit code.
      stopped: what is said after Ctrl-C.
    """
    try:
        return command()
    except (CaejaxError, OSError) as error:
        return print_error(describe(error))
    except KeyboardInterrupt:
        print_error(stopped)
        return 130


def describe(error: CaejaxError | OSError) -> str:
    """The line that an error is shown as."""
    if isinstance(error, CaejaxError):
        return str(error)
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"


def print_error(line: str) -> int:
    """Prints one line to the error output; returns the exit code of a failure."""
    print(f"error: {' '.join(line.split())}", file=sys.stderr)
    return 1
