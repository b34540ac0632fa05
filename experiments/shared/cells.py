"""Cells of tables: numbers to so many digits, and what is in brackets behind them."""

import math
from collections.abc import Callable

import numpy as np

from caejax.report import intervals

Write = str | Callable[[float], str]


def digits(value: float, spec: str) -> str:
    """A number in a format such as ".2f", without a sign where it is then zero."""
    text = format(value, spec)
    return text.removeprefix("-") if float(text) == 0 else text


def bracketed(
    middle: float | None,
    low: float | None = None,
    high: float | None = None,
    write: Write = ".2f",
) -> str:
    """A number and two ends: "12.34 [11.20, 13.41]".

    Args:
      middle: the number; where it is None, "" is returned.
      low: the lower end, None or NaN if there is none; then the number stands alone.
      high: the upper end, likewise.
      write: a format of numbers, or a function of a number.
    """
    say = (lambda x: format(x, write)) if isinstance(write, str) else write
    if middle is None:
        return ""
    if low is None or math.isnan(low):
        return say(middle)
    return f"{say(middle)} [{say(low)}, {say(high)}]"


def mean_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean and 95 % interval of values (n,); its ends are NaN for a single one."""
    values = np.asarray(values)
    if len(values) < 2:
        return float(values.mean()), math.nan, math.nan
    return float(values.mean()), *intervals.mean_interval(values)


def mean_and_interval(values: np.ndarray, write: Write = ".2f") -> str:
    """Mean [95 % interval] of values (n,); the mean alone of a single one."""
    return bracketed(*mean_interval(values), write)


def mean_and_range(values: np.ndarray, write: Write = ".2f") -> str:
    """Mean [lowest, highest] of values (n,)."""
    return bracketed(np.mean(values), np.min(values), np.max(values), write)


def median_and_range(values: np.ndarray, write: Write = ".1f") -> str:
    """Median [lowest, highest] of values (n,)."""
    return bracketed(np.median(values), np.min(values), np.max(values), write)
