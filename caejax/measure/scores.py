"""How surprising lines are, by what photographs without a pattern have by chance."""

import csv
import functools
from importlib import resources
from typing import NamedTuple

import numpy as np

from caejax.measure.lines import KINDS, Lines, lattice, near

FALSE_ALARMS = 0.01  # of images without a pattern, all kinds and periods together
_LEAK = 2e-3  # of an explained line's power, what its window spreads beyond the lobe
SHARE = 0.1  # of chance, whose tail is taken to be exponential


class Tail(NamedTuple):
    """The upper tail of what chance gives, from the quantile of `SHARE` on.

    Attributes:
      start: That quantile.
      scale: How far the tail goes on average beyond it.
    """

    start: np.ndarray
    scale: np.ndarray

    def surprise(self, value: np.ndarray) -> np.ndarray:
        """-log10 of the probability that chance gives as much; below 1, a guess."""
        beyond = (value - self.start) / self.scale
        return -np.log10(SHARE) + beyond / np.log(10)


def scores(
    lines: Lines,
    kind: str,
    size: tuple[int, int],
    explained: tuple[int, ...] = (),
    shift: float = 0.0,
) -> np.ndarray:
    """How far each period's lines stand out, (63,); NaN where none is left to see.

    With n lines of excess q, exponentially distributed, the larger of -log10 of the
    probabilities of their largest and, by Chernoff's bound, of their sum.

    Args:
      lines: What was measured.
      kind: Its kind.
      size: (H, W) of the image, of several the smallest.
      explained: Periods whose lines, and what is near, are left out.
      shift: That of `measure_lines`.
    """
    of = lattice(kind)
    usable = lines.precision > 0
    beside = lines.beside
    if explained:
        frequency = of.frequency + shift / np.asarray(size)
        usable &= ~near(frequency, explained, size, kind)
    strongest = lines.excess[~usable].max(initial=0)
    excess = np.where(usable, np.maximum(lines.excess - _LEAK * strongest, 0), 0)
    excess = beside * np.log1p(excess / beside)
    if not shift:  # a line that is its own mirror image is real, not complex
        excess[of.twins == 1] /= 2
    count = np.add.reduceat(usable.astype(float), of.starts)
    total = np.add.reduceat(excess, of.starts)
    largest = np.maximum.reduceat(excess, of.starts)
    seen = np.maximum(count, 1)
    beyond = np.maximum(total, seen)
    of_sum = beyond - seen - seen * np.log(beyond / seen)
    score = np.maximum(largest - np.log(seen), of_sum) / np.log(10)
    return np.where(count > 0, score, np.nan)


def surprises(score: np.ndarray, kind: str) -> np.ndarray:
    """`scores` by how rarely photographs reach them: -log10 of that, (63,)."""
    table = _table()
    return table[kind].surprise(score)


def chance(surprise: float) -> float:
    """How rarely the largest surprise of a photograph is as large; at most 1."""
    return float(min(1, 10 ** -_table()["all"].surprise(surprise)))


@functools.cache
def _table():
    text = resources.files("caejax.measure").joinpath("chance.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    return {
        kind: Tail(*(_column(rows, kind, name) for name in Tail._fields))
        for kind in (*KINDS, "all")
    }


def _column(rows, kind, name):
    values = [float(row[name]) for row in rows if row["kind"] == kind]
    return np.asarray(values) if kind != "all" else values[0]


def needed(chance: float) -> float:
    """The surprise that is as rare as that; the inverse of `chance`."""
    tail = _table()["all"]
    return float(tail.start + tail.scale * np.log(SHARE / chance))
