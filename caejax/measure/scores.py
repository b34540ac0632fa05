"""How surprising lines are, by what photographs without a pattern have by chance.

A line's power over the mean of m powers beside it is above q with the probability
(1 + q / m)^-m if all are noise of one level (it is Fisher's F). What a period's lines
say together is by theory, too. Photographs are more than noise, though, so how large
the most surprising of all periods gets was counted on photographs: `chance.csv`, by
`experiments/measure_calibration`.
"""

import csv
import functools
from importlib import resources
from typing import NamedTuple

import numpy as np

from caejax.measure.lines import PERIODS, Lines, lattice, near

FALSE_ALARMS = 0.01  # of images without a pattern, all kinds and periods together
_LEAK = 2e-3  # of an explained line's power, what its window spreads beyond the lobe


class Tail(NamedTuple):
    """The upper tail of what chance gives, taken to be exponential.

    Attributes:
      share: The share of chance that is in it.
      start: Where it starts: the quantile of 1 - `share`.
      scale: How far it goes on average beyond that.
    """

    share: float
    start: float
    scale: float

    def surprise(self, value: np.ndarray) -> np.ndarray:
        """-log10 of the probability that chance gives as much; below it, a guess."""
        beyond = (value - self.start) / self.scale
        return -np.log10(self.share) + beyond / np.log(10)


def scores(
    lines: Lines,
    kind: str,
    size: tuple[int, int],
    explained: tuple[int, ...] = (),
    shift: float = 0.0,
) -> np.ndarray:
    """How far each period's own lines stand out, (63,); NaN where none is left to see.

    With n lines whose probabilities have the logarithms -g, the larger of -log10 of the
    probabilities of their largest g and, by Chernoff's bound, of their sum.

    Args:
      lines: What was measured.
      kind: Its kind.
      size: (H, W) of the image, of several the smallest.
      explained: Periods whose lines, and what is near, are left out.
      shift: That of `measure_lines`.
    """
    usable = lines.images > 0
    return _scores(*_own(lines, kind, size, explained, shift, usable))


def whole_scores(
    lines: Lines, kind: str, size: tuple[int, int], explained: tuple[int, ...] = ()
) -> np.ndarray:
    """The same of each period's lines with those of its parts, (63,).

    Also of periods for which an image is a little too small.
    """
    usable = lines.precision > 0
    count, total, largest = _own(lines, kind, size, explained, 0.0, usable)
    parts = _parts()
    largest = np.where(parts, largest, 0).max(1)
    return np.where(count > 0, _scores(parts @ count, parts @ total, largest), np.nan)


def _own(lines, kind, size, explained, shift, usable):
    """Of the lines of each period: number, sum and largest of g."""
    of = lattice(kind)
    beside = lines.beside
    strongest = 0.0
    if explained:
        frequency = of.frequency + shift / np.asarray(size)
        close = near(frequency, explained, size, kind)
        strongest = lines.excess[usable & close].max(initial=0)
        usable = usable & ~close
    excess = np.where(usable, np.maximum(lines.excess - _LEAK * strongest, 0), 0)
    excess = beside * np.log1p(excess / beside)
    if not shift:  # a line that is its own mirror image is real, not complex
        excess[of.twins == 1] /= 2
    return (
        np.add.reduceat(usable.astype(float), of.starts),
        np.add.reduceat(excess, of.starts),
        np.maximum.reduceat(excess, of.starts),
    )


def _scores(count, total, largest):
    seen = np.maximum(count, 1)
    beyond = np.maximum(total, seen)
    of_sum = beyond - seen - seen * np.log(beyond / seen)
    score = np.maximum(largest - np.log(seen), of_sum) / np.log(10)
    return np.where(count > 0, score, np.nan)


@functools.cache
def _parts():
    """Which periods, the columns, are parts of which, or these themselves."""
    return (np.array(PERIODS)[:, None] % np.array(PERIODS) == 0).astype(float)


def surprises(score: np.ndarray, kind: str) -> np.ndarray:
    """`scores` by how rarely a photograph's largest of this kind is as large, (63,).

    -log10 of that, so that kinds can be compared.
    """
    return _table()[kind].surprise(score)


def rarity(surprise: np.ndarray) -> np.ndarray:
    """-log10 of how rarely the largest surprise of a photograph is as large."""
    return np.maximum(_table()["all"].surprise(np.asarray(surprise)), 0.0)


def chance(surprise: float) -> float:
    """How rarely the largest surprise of a photograph is as large; at most 1."""
    return float(10 ** -rarity(np.asarray(surprise)))


@functools.cache
def _table():
    text = resources.files("caejax.measure").joinpath("chance.csv").read_text()
    return {
        row["kind"]: Tail(*(float(row[name]) for name in Tail._fields))
        for row in csv.DictReader(text.splitlines())
    }


def needed(chance: float) -> float:
    """The surprise that is as rare as that; the inverse of `chance`."""
    tail = _table()["all"]
    return float(tail.start + tail.scale * np.log(tail.share / chance))
