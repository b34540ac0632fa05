"""Ranks of settings, and of what goes with what among them, with their uncertainty."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from caejax.report.checks import check_share, finite

_DRAWS = 2000


class Ranks(NamedTuple):
    """The ranks of n settings, 1 for the best.

    Attributes:
      ranks: those of the means over seeds, ties averaged, (n,).
      low, high: the interval of each, (n,).
      first: the share of resamples in which each is the best, ties shared, (n,).
    """

    ranks: np.ndarray
    low: np.ndarray
    high: np.ndarray
    first: np.ndarray


class Correlation(NamedTuple):
    """A rank correlation over settings.

    Attributes:
      value: that of the means over seeds.
      low, high: the interval, of other seeds and other settings of the same kind.
      seeds_low, seeds_high: the interval of other seeds of just these settings.
    """

    value: float
    low: float
    high: float
    seeds_low: float
    seeds_high: float


def rank_intervals(
    values: ArrayLike,
    *,
    higher_is_better: bool = True,
    confidence: float = 0.95,
    seed: int = 0,
) -> Ranks:
    """The ranks of settings, by a bootstrap over the seeds that they share.

    Seeds are resampled as a whole, since settings are paired by them (Goldstein &
    Spiegelhalter, JRSS A 1996, of league tables). Few seeds make the intervals too
    narrow: they can hold no order that none of the seeds shows.

    Args:
      values: a value for each seed and setting, (seeds, n), 2 seeds and 2 settings at
        least.
      higher_is_better: whether the highest mean has rank 1.
      confidence: the confidence of each interval, between 0 and 1.
      seed: the seed of the resamples.

    Raises:
      ValueError: another shape, values that are not finite, or a confidence outside
        (0, 1).
    """
    check_share(confidence, "confidence")
    x = _table(values, "values", 2) * (-1 if higher_is_better else 1)
    draws = np.random.default_rng(seed).integers(len(x), size=(_DRAWS, len(x)))
    sample = stats.rankdata(_rounded(x[draws].mean(1)), axis=1)
    ranks = stats.rankdata(_rounded(x.mean(0)))
    best = sample == sample.min(1, keepdims=True)
    first = (best / best.sum(1, keepdims=True)).mean(0)
    low, high = np.percentile(sample, _ends(confidence), axis=0)
    return Ranks(ranks, low, high, first)


def rank_correlation(
    x: ArrayLike, y: ArrayLike, *, confidence: float = 0.95, seed: int = 0
) -> Correlation:
    """Kendall's tau-b of two measures over settings, and its intervals.

    Percentile bootstraps. That over seeds alone says how sure the value is of just
    these settings; a claim about upsampling in general has the settings as its sample,
    too, so both are resampled (two-way, the pigeonhole bootstrap of Owen, Annals of
    Applied Statistics 2007, which errs on the wide side). A setting drawn twice is tied
    with itself, and that pair is left out.

    Args:
      x, y: a value for each seed and setting, (seeds, n), 2 seeds and 3 settings at
        least; seeds and settings in one order.
      confidence: the confidence of both intervals, between 0 and 1.
      seed: the seed of the resamples.

    Raises:
      ValueError: other shapes, values that are not finite, or a confidence outside
        (0, 1).
    """
    check_share(confidence, "confidence")
    x, y = _table(x, "x", 3), _table(y, "y", 3)
    if x.shape != y.shape:
        raise ValueError(f"x and y must have one shape, got {x.shape} and {y.shape}")
    seeds, settings = x.shape
    rng = np.random.default_rng(seed)
    rows = rng.integers(seeds, size=(_DRAWS, seeds))
    columns = rng.integers(settings, size=(_DRAWS, settings))
    means = [_rounded(values[rows].mean(1)) for values in (x, y)]
    same = columns[:, :, None] == columns[:, None, :]
    both = [np.take_along_axis(values, columns, axis=1) for values in means]
    value = tau(_rounded(x.mean(0)), _rounded(y.mean(0)))
    ends = _ends(confidence)
    low, high = np.percentile(tau(*both, skip=same), ends)
    seeds_low, seeds_high = np.percentile(tau(*means), ends)
    return Correlation(*map(float, (value, low, high, seeds_low, seeds_high)))


def tau(x: np.ndarray, y: np.ndarray, skip: np.ndarray | None = None) -> np.ndarray:
    """Kendall's tau-b of the last axes, (..., n) to (...); 0 where one is constant.

    Args:
      x, y: the values.
      skip: pairs that do not count, (..., n, n).
    """
    a, b = (np.sign(v[..., :, None] - v[..., None, :]) for v in (x, y))
    if skip is not None:
        a, b = np.where(skip, 0, a), np.where(skip, 0, b)
    size = np.sqrt((a**2).sum((-2, -1)) * (b**2).sum((-2, -1)))
    return (a * b).sum((-2, -1)) / np.where(size > 0, size, 1)


def _ends(confidence):
    return [50 * (1 - confidence), 50 * (1 + confidence)]


def _rounded(means):
    # Means of the same values in another order must be equal.
    return np.round(means, 10)


def _table(values, name, settings):
    x = np.asarray(values, np.float64)
    if x.ndim != 2 or len(x) < 2 or x.shape[1] < settings:
        raise ValueError(
            f"{name} must be (seeds, settings), 2 and {settings} at least, "
            f"got shape {x.shape}"
        )
    finite(x.ravel(), name, x.size)
    return x
