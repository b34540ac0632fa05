"""What entries of tables by name share: parameters with ranges, and choices.

A corruption, a loss and a source of data may each have parameters of its own. Their
tables name functions as "module:function", so that tables can be read without JAX.
`within` and `threshold` check the numbers that functions of `import caejax` are given.
"""

import importlib
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from caejax.errors import CaejaxError, did_you_mean, lookup

COUNTABLE = 2**31 - 1
"""The largest whole number that compiled programs count with."""

LARGEST = (2 - 2**-23) * 2.0**127
"""The largest finite float32."""


class Parameter(NamedTuple):
    """A number that an entry of a table takes.

    Attributes:
      default: the value where none is given; a float, or an int for whole numbers.
      low: the least value that it may have.
      high: the greatest value that it may have.
      doc: one sentence on what it does.
    """

    default: float
    low: float = 0.0
    high: float = math.inf
    doc: str = ""


class Entry(Protocol):
    """What every table's entry has."""

    @property
    def params(self) -> Mapping[str, Parameter]:
        """Its parameters by name."""


class Choice(NamedTuple):
    """An entry of a table and the values of its parameters; can be hashed.

    Attributes:
      name: a key of the table.
      params: every parameter's name and value, in the order of their names.
    """

    name: str
    params: tuple[tuple[str, float], ...] = ()


def choose(
    table: Mapping[str, Entry],
    name: str,
    given: Mapping[str, float],
    fields: tuple[str, str],
) -> Choice:
    """Chooses an entry of a table.

    Args:
      table: the table's entries by name.
      name: the wanted entry's name.
      given: values of the entry's parameters by name; others have their defaults.
      fields: dotted config fields of the name and of the parameters, for error
        messages.

    Raises:
      CaejaxError: a name or a parameter that is not known, or a value that is no
        number or out of its range.
    """
    entry = lookup(table, name, fields[0])
    values = filled(entry.params, given, f"{fields[0]} {name!r}", fields[1])
    return Choice(name, tuple(sorted(values.items())))


def filled(
    params: Mapping[str, Parameter], given: Mapping[str, Any], whose: str, field: str
) -> dict[str, float]:
    """Values of all parameters, those given and the defaults of the others.

    Args:
      params: the known parameters.
      given: the given values by name.
      whose: what has the parameters, for error messages.
      field: dotted config field of the section that holds them.

    Raises:
      CaejaxError: as `choose`.
    """
    for name in given:
        if name not in params:
            raise unknown(name, params, whose, field)
    values = {name: parameter.default for name, parameter in params.items()}
    return {
        name: checked(params[name], given.get(name, value), f"{field}.{name}")
        for name, value in values.items()
    }


def unknown(name: str, known: Iterable[str], whose: str, field: str) -> CaejaxError:
    """The error that a section has a name which what it belongs to does not have.

    Args:
      name: the name in the section that is not known.
      known: the names that the section may have.
      whose: what the section belongs to.
      field: the section's dotted config field.
    """
    known = list(known)
    return CaejaxError(
        f"config.{field} has {name!r}{did_you_mean(name, known)}, which {whose} does "
        f"not have; known: {', '.join(known) or 'none'}"
    )


def checked(parameter: Parameter, value: Any, field: str) -> float:
    """The value, of the parameter's type.

    Raises:
      CaejaxError: it is no number, not whole where it must be, or out of range.
    """
    whole = isinstance(parameter.default, int)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        kind = "a whole number" if whole else "a number"
        raise CaejaxError(f"config.{field} is {value!r:.200}; it must be {kind}")
    low, high = parameter.low, parameter.high
    most = COUNTABLE if whole else LARGEST
    if not low <= value <= min(high, most):
        bound = f"at least {low:g}"
        if math.isfinite(high) or value > most:
            bound = f"between {low:g} and {min(high, most):.10g}"
        raise CaejaxError(f"config.{field} is {value!s:.200}; it must be {bound}")
    return type(parameter.default)(value)


def resolve(function: str | Callable[..., Any]) -> Callable[..., Any]:
    """The function that "module:function" names; a function is one already."""
    if callable(function):
        return function
    module, name = function.split(":")
    return getattr(importlib.import_module(module), name)


def within(value: Any, name: str, least: float, most: float, wanted: str) -> float:
    """A number that a function is given, in a range.

    Args:
      value: what is given; text is none, and nan lies in no range.
      name: what it is called in errors.
      least, most: the ends of the range.
      wanted: what to give, in words.

    Raises:
      CaejaxError: it is no number, or lies outside.
    """
    try:
        found = math.nan if isinstance(value, str | bytes) else float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not least <= found <= most:
        raise CaejaxError(f"{name} is {value!r:.80}; give {wanted}")
    return found


def threshold(value: Any) -> float:
    """The threshold of a function in dB; inf and -inf are some.

    Raises:
      CaejaxError: it is no number.
    """
    return within(value, "threshold_db", -math.inf, math.inf, "a number of dB, as -60")
