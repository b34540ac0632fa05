"""What chance gives: fitted to photographs, and tested on others."""

from typing import NamedTuple

import numpy as np

from caejax.measure.lines import KINDS
from caejax.measure.scores import FALSE_ALARMS, Tail

KINDS_SHARE = 0.1  # of photographs, to which the tail of a kind is fitted


class Chance(NamedTuple):
    """What photographs give by chance.

    Attributes:
      each: By kind, the tail of the largest score of a photograph.
      overall: The tail of its largest surprise, from the false alarms on.
    """

    each: dict[str, Tail]
    overall: Tail


def fit(scores: np.ndarray) -> Chance:
    """Counts on scores (photographs, looks, kinds, periods), NaN where unseen.

    A look is one at a size of the photograph and a place of the lines. Each is allowed
    the share of false alarms, so that of the looks the worst decides: there the fourth
    largest of 432 photographs is where alarms begin (as in conformal prediction: one
    more photograph is beyond it with the probability 4 / 433).
    """
    tops = np.nanmax(scores, axis=3)
    each = {
        kind: _tail(tops[:, :, i].ravel(), KINDS_SHARE) for i, kind in enumerate(KINDS)
    }
    found = largest(scores, each)
    allowed = int(FALSE_ALARMS * (len(found) + 1))
    starts = np.sort(found, axis=0)[-allowed]
    scale = _tail(found[:, starts.argmax()], KINDS_SHARE).scale
    return Chance(each, Tail(FALSE_ALARMS, float(starts.max()), scale))


def largest(scores: np.ndarray, each: dict[str, Tail]) -> np.ndarray:
    """The largest surprise of each photograph and look."""
    tops = np.nanmax(scores, axis=3)
    found = [each[kind].surprise(tops[:, :, i]) for i, kind in enumerate(KINDS)]
    return np.max(found, axis=0)


def alarms(scores: np.ndarray, chance: Chance) -> np.ndarray:
    """Which photographs and looks have a false alarm."""
    return largest(scores, chance.each) > chance.overall.start


def rows(chance: Chance) -> list[dict[str, object]]:
    """The table that ships in the package."""
    tails = {**chance.each, "all": chance.overall}
    return [
        {
            "kind": kind,
            "share": tail.share,
            "start": f"{tail.start:.4f}",
            "scale": f"{tail.scale:.4f}",
        }
        for kind, tail in tails.items()
    ]


def _tail(values, share):
    start = np.quantile(values, 1 - share)
    return Tail(share, float(start), float((values[values > start] - start).mean()))
