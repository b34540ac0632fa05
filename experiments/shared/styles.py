"""Colours and lines that mean the same in all studies."""

import numpy as np
from matplotlib.axis import Axis

from caejax.report.decoders import style_of

GREY = "#999999"  # of what is beside the point: single seeds, lines of reference


def kind_style(kind: str) -> dict[str, str]:
    """Colour, marker and line of a kind of upsampling, the same in every figure."""
    return style_of(kind)


def plain_numbers(axis: Axis) -> None:
    """Numbers at a logarithmic axis as digits: formulas are not set in figures."""
    axis.set_major_formatter("{x:,g}")
    axis.set_minor_formatter("")


def points(style: dict[str, str]) -> dict[str, str]:
    """A style without its line."""
    return {**style, "linestyle": "none"}


def beside(count: int, step: float = 1.07) -> np.ndarray:
    """Factors that put marks of so many series side by side on a logarithmic axis.

    Args:
      count: the number of series.
      step: the factor from one to the next.

    Returns:
      The factors, (count,), whose product is 1.
    """
    return step ** (np.arange(count) - (count - 1) / 2)
