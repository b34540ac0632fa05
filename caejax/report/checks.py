"""What statistics refuse."""

import numpy as np
from numpy.typing import ArrayLike

ROUNDING = 1e-12  # relative; differences that are smaller are none


def finite(values: ArrayLike, name: str, least: int) -> np.ndarray:
    """A vector of at least so many finite numbers, as float64.

    Raises:
      ValueError: another shape, fewer, or some that are not finite.
    """
    x = np.asarray(values, np.float64)
    if x.ndim != 1 or len(x) < least:
        raise ValueError(
            f"{name} must be a vector of at least {least} values, got shape {x.shape}"
        )
    if not np.isfinite(x).all():
        raise ValueError(f"{name} must be finite, got {x[~np.isfinite(x)][0]}")
    return x


def check_share(value: float, name: str) -> None:
    """Refuses what does not lie between 0 and 1.

    Raises:
      ValueError: it does not.
    """
    if not 0 < value < 1:
        raise ValueError(f"{name} is {value!r}; it must lie between 0 and 1")


def same_but_for_rounding(x: np.ndarray) -> bool:
    """Whether all values of a vector are equal, as far as float64 tells."""
    return bool(np.abs(x - x.mean()).max() <= ROUNDING * np.abs(x).max())
