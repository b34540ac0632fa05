"""Tails of chance: fitted to photographs, and tested on others."""

from typing import NamedTuple

import numpy as np

from caejax.measure.lines import KINDS, PERIODS
from caejax.measure.scores import SHARE, Tail


class Chance(NamedTuple):
    """What photographs give by chance.

    Attributes:
      each: By kind, the tails of the scores of all periods, (63,).
      overall: The tail of an image's largest surprise.
    """

    each: dict[str, Tail]
    overall: Tail


def fit(scores: np.ndarray) -> Chance:
    """Fits the tails to scores (photographs, ways, kinds, periods), NaN where unseen.

    A period's tail is the median of those of five periods around it: fewer numbers to
    fit, and what photographs really have at 4 and 8, being JPEG files, stays out.
    """
    each = {
        kind: Tail(*map(_smooth, _tail(_flat(scores[:, :, i]))))
        for i, kind in enumerate(KINDS)
    }
    return Chance(each, _tail(largest(scores, each).reshape(-1, 1)))


def largest(scores: np.ndarray, each: dict[str, Tail]) -> np.ndarray:
    """The largest surprise of each photograph and way."""
    found = [each[kind].surprise(scores[:, :, i]) for i, kind in enumerate(KINDS)]
    return np.nanmax(np.stack(found, 2), axis=(2, 3))


def rare(scores: np.ndarray, chance: Chance) -> np.ndarray:
    """-log10 of how rarely chance gives each photograph's largest surprise."""
    return chance.overall.surprise(largest(scores, chance.each))


def rows(chance: Chance) -> list[dict[str, object]]:
    """The table that ships in the package."""
    table = [
        {"kind": kind, "period": s, "start": f"{start:.4f}", "scale": f"{scale:.4f}"}
        for kind, tail in chance.each.items()
        for s, start, scale in zip(PERIODS, tail.start, tail.scale, strict=True)
    ]
    start, scale = (x.item() for x in chance.overall)
    overall = {"start": f"{start:.4f}", "scale": f"{scale:.4f}"}
    return [*table, {"kind": "all", "period": 0, **overall}]


def _flat(scores):
    return scores.reshape(-1, scores.shape[-1])


def _smooth(values):
    return np.asarray(
        [np.nanmedian(values[max(0, i - 2) : i + 3]) for i in range(len(values))]
    )


def _tail(values):
    seen = ~np.isnan(values).all(0)  # what nothing is known of stays so
    start, scale = (np.full(values.shape[1], np.nan) for _ in range(2))
    start[seen] = np.nanquantile(values[:, seen], 1 - SHARE, axis=0)
    beyond = np.where(values > start, values - start, np.nan)
    scale[seen] = np.nanmean(beyond[:, seen], axis=0)
    return Tail(start, scale)
