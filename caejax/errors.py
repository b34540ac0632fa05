"""The one exception that users are meant to read, and the lookup that raises it."""

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

Value = TypeVar("Value")


class CaejaxError(Exception):
    """A mistake or a missing thing outside the code.

    The message is one line that names the thing and the mend. `caejax.main`
    prints it without a traceback and exits with 1.
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
            f"config.{field} is {name!r}{did_you_mean(name, table)}; "
            f"known: {', '.join(table)}"
        )
    return table[name]


def did_you_mean(name: object, names: Iterable[str]) -> str:
    """ ", did you mean 'x'?" for the nearest name, or nothing."""
    near = difflib.get_close_matches(str(name), list(names), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
