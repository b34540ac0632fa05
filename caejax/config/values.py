"""Values that users give to fields: made plain data, held to a type, shown.

Whoever computes values has them as NumPy's, JAX's or Python's other numbers and
arrays. A config holds what JSON can: bool, int, float, str, and tuples of these.
"""

import decimal
import fractions
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from caejax.errors import CaejaxError

MOST = 10_000  # entries of a tuple, or characters of a string
_LONGEST = 200  # characters of a value in an error message
_DIGITS = 1000  # of a whole number, beyond which Python does not even print some


def plain(value: Any, field: str) -> Any:
    """A value as plain data, however it was computed.

    Numbers and arrays of NumPy, JAX and PyTorch become those of Python, as do
    `Decimal` and `Fraction`; floats of less than 64 bits keep their shortest decimal.
    Paths become strings; lists, ranges and arrays become tuples, mappings dicts.
    Zero has no sign.

    Args:
      value: the value; None stays as it is.
      field: the dotted config field, for error messages.

    Raises:
      CaejaxError: it is no plain data, or larger than any field may be.
    """
    if isinstance(value, bool | None):
        return value
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise _refused(value, field)
        return {name: plain(x, f"{field}.{name}") for name, x in value.items()}
    if isinstance(value, str | os.PathLike):
        return _short_enough(_text(value, field), field)
    if isinstance(value, list | tuple | range):
        return tuple(plain(x, field) for x in _short_enough(value, field))
    if isinstance(value, int):
        return _printable(int(value), field)
    if isinstance(value, decimal.Decimal | fractions.Fraction):
        return _number(value, field)
    if isinstance(value, float) and type(value).__module__ != "numpy":
        return float(value) + 0.0
    if hasattr(value, "__array__"):
        return _from_array(value, field)
    raise _refused(value, field)


def _text(value, field):
    text = os.fspath(value)
    if not isinstance(text, str):  # a path may be bytes
        raise _refused(value, field)
    return str.__str__(text)  # of a member of an enumeration its text, not its name


def _short_enough(value, field):
    if len(value) > MOST:
        what = "characters" if isinstance(value, str) else "entries"
        raise CaejaxError(
            f"config.{field} has {len(value):,} {what}; it may have {MOST:,}"
        )
    return value


def _printable(value, field):
    if value.bit_length() > _DIGITS * math.log2(10):
        raise CaejaxError(f"config.{field} is a number of more than {_DIGITS} digits")
    return value


def _number(value, field):
    """Whole numbers as int, others as float; `Decimal` and `Fraction` have both."""
    try:
        number = float(value)
        whole = abs(number) < 2**53 and value == int(number)
    except (OverflowError, ValueError) as error:  # a signalling NaN
        raise _refused(value, field) from error
    return int(number) if whole else number + 0.0


def _from_array(value, field):
    try:
        array = np.asarray(value)
    except Exception as error:  # of another library, say a tensor on its device
        raise _refused(value, field) from error
    if array.size > MOST:
        raise CaejaxError(
            f"config.{field} has {array.size:,} entries; it may have {MOST:,}"
        )
    if np.ma.is_masked(value):
        raise _refused(value, field)
    if array.dtype.kind == "O":
        return plain(array.tolist(), field)
    if array.ndim:
        return tuple(_from_array(x, field) for x in array)
    if array.dtype.kind not in "fV":
        return plain(array.item(), field)
    # That of 0.1 in float32 is 0.1, not 0.10000000149; bfloat16 is of kind V.
    try:
        return float(str(array[()])) + 0.0
    except ValueError as error:
        raise _refused(value, field) from error


def _refused(value, field):
    return CaejaxError(
        f"config.{field} is {shown(value)}, of type {type(value).__name__}; give a "
        "number, a text, True or False, or a tuple of these"
    )


def fitting(value: Any, kind: type) -> Any:
    """A plain value as a field of a type holds it.

    Args:
      value: what `plain` returned.
      kind: bool, int, float, str or tuple; a field of any other type holds anything.

    Raises:
      TypeError: the field does not take it.
    """
    if value is None:
        raise TypeError
    if kind is float and type(value) is int:
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    if kind in (bool, int, float, str, tuple) and type(value) is not kind:
        raise TypeError
    return value


def shown(value: Any) -> str:
    """A value for an error message, cut where it is long, in one line."""
    try:
        text = repr(value)
    except Exception:  # of a class of the user's, or a number of too many digits
        text = f"a {type(value).__name__}"
    text = " ".join(text.split())
    if len(text) > _LONGEST:
        half = _LONGEST // 2
        text = f"{text[:half]} … {text[-half:]}"
    return text
