"""Which periods explain what stands out of one kind of lines."""

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import scipy.stats

from caejax.measure.lines import PERIODS, Lines, lattice
from caejax.measure.scores import (
    FALSE_ALARMS,
    chance,
    scores,
    surprises,
    whole_scores,
)
from caejax.measure.strengths import amplitudes

DOUBT = 1e-6  # a chance above it is one that a search of many images may bring
BLOCK = 8  # pixels, of JPEG
_OTHER = {
    f"{axis}{one}": f"{axis}{other}"
    for axis in ("columns", "rows")
    for one, other in (("", "_detail"), ("_detail", ""))
}

_MOST = 12  # periods of a kind, before those that are parts of others are left out
_SURER = 2.0  # decades of chance by which another period must explain lines better
_CLEAR = 2.0  # times the evidence of any other, for a period that fits three times
_LEFT = 0.5  # of a period's evidence: with less left, another has explained it
# How rarely parts of a random pattern are so much stronger than it that they are told
# apart, and in a JPEG file, where it may well be made of its parts.
_UNLIKE, _UNLIKE_JPEG = 0.01, 0.1
_TIMES = 3.0  # times the power at least, of lines of the strongest kind


class Evidence(NamedTuple):
    """What there is of one period.

    Attributes:
      chance: How rarely a photograph without a pattern has anything as clear.
      power: The mean power of the lines that it has and no part of it, grey levels
        squared.
      count: How many independent numbers these are.
      each: That mean power by kind.
    """

    chance: float
    power: float
    count: float
    each: Mapping[str, float]


def find(
    lines: Mapping[str, Lines],
    kind: str,
    size: tuple[int, int],
    explained: Sequence[int],
    known: Sequence[int],
    jpeg: bool,
) -> dict[int, float]:
    """The chance of each period that is found in lines of a kind.

    Args:
      lines: What was measured, by kind.
      kind: That which is looked at.
      size: (H, W) of the image, of several the smallest.
      explained: Periods whose lines are left out.
      known: Those found of other kinds, which go first: 33 looks much like 32.
      jpeg: Whether JPEG's blocks may have made other periods of those that are found.
    """
    parts = {s for s in PERIODS if any(whole % s == 0 for whole in known)}
    sure = alone(lines[kind], kind, size, explained, parts)
    hidden = [*explained, *known]
    for _ in range(_MOST):
        out = (*hidden, *sure)
        out += _beats(out) if jpeg else ()
        surprise = surprises(scores(lines[kind], kind, size, out), kind)
        if np.isnan(surprise).all():
            break
        best = PERIODS[int(np.nanargmax(surprise))]
        luck = chance(np.nanmax(surprise))
        if luck >= FALSE_ALARMS:
            break
        if told := _best_told(lines, kind, size, out, best):
            sure[told] = luck
        hidden.append(best)
    return sure


def alone(
    lines: Lines,
    kind: str,
    size: tuple[int, int],
    explained: Sequence[int],
    periods: Iterable[int],
) -> dict[int, float]:
    """Which of these periods would be found if no other had been, and their chance."""
    surprise = surprises(scores(lines, kind, size, tuple(explained)), kind)
    lucks = {s: chance(surprise[s - PERIODS[0]]) for s in periods}
    return {s: luck for s, luck in lucks.items() if luck < FALSE_ALARMS}


def own_lines(lines: Lines, kind: str, period: int) -> tuple[float, float]:
    """The power of the lines that a period has and no part of it, and their number."""
    of = lattice(kind)
    seen = amplitudes(lines, kind, period)
    own = (seen.certain | seen.out) & (of.period == period)
    return float(seen.power[own].sum()), float(of.twins[own].sum())


def wholes(sure: Mapping[int, Evidence], jpeg: bool) -> list[int]:
    """The periods that are no parts of others."""
    return [
        s for s in sure if not any(t != s and holds(t, s, sure, jpeg) for t in sure)
    ]


def holds(whole: int, part: int, sure: Mapping[int, Evidence], jpeg: bool) -> bool:
    """Whether a period is a part of another, or that itself.

    A multiple that chance may well have brought holds nothing that is far surer: of a
    pattern of 4 pixels 60 would be said. Nor does one that is faint hold what is far
    stronger: of a pattern of 4 pixels JPEG makes a faint one of 8.
    """
    if whole == part or whole % part:
        return whole == part
    of_whole, of_part = sure[whole], sure[part]
    doubtful = of_whole.chance > DOUBT and of_part.chance < of_whole.chance**2
    made = jpeg and (BLOCK * part) % whole == 0
    return not doubtful and not far_stronger(of_part, of_whole, made)


def far_stronger(one: Evidence, other: Evidence, made: bool = False) -> bool:
    """Whether lines are too strong to be of one random pattern with the others.

    Those that blocks may have made of it are told from it sooner.
    """
    if not one.count or not other.count:
        return False
    limit = _limit(one.count, other.count, _UNLIKE_JPEG if made else _UNLIKE)
    # Kinds differ: of a grid the lines of one axis are stronger than those of both.
    kind = max(one.each, key=lambda kind: one.each[kind])
    alike = one.each[kind] < _TIMES * other.each.get(kind, 0.0)
    return not alike and one.power > limit * max(other.power, 0.0)


def beat(period: int) -> int:
    """The period of a pattern that JPEG's blocks have rounded."""
    return math.lcm(BLOCK, period)


def _beats(sure: Iterable[int]) -> tuple[int, ...]:
    """Those that are too long to be listed: what is near their lines is no other's."""
    return tuple(beat(period) for period in sure if beat(period) > PERIODS[-1])


@functools.cache
def _limit(one, other, unlike):
    """Of Fisher's F."""
    return float(scipy.stats.f.isf(unlike, one, other))


def _best_told(lines, kind, size, explained, period):
    """The period that explains best what was seen of one; 0 if none does clearly.

    Lines of an image are broad, so that seams every 64 pixels are seen at 61 and 63
    too, and if four of 64 do not fit, only there. All lines of a period together, its
    parts' too, tell which it is.
    """
    searched = lines[kind].images[lattice(kind).starts] > 0
    whole = _whole(lines, kind, size, explained, period)
    rivals = [
        period % s > 0 and (s % period > 0 or not fits)
        for s, fits in zip(PERIODS, searched, strict=True)
    ]
    best = int(np.argmax(np.where(rivals, whole, -1.0)))
    here = period - PERIODS[0]
    if whole[best] <= whole[here] + _SURER:
        return period
    told = PERIODS[best]
    before, after = (
        scores(lines[kind], kind, size, out)[here]
        for out in (explained, (*explained, told))
    )
    if after > _LEFT * before:
        return period
    others = [s % told > 0 and told % s > 0 for s in PERIODS]
    if searched[best] or whole[best] > _CLEAR * whole[others].max():
        return told
    return 0 if told % period else period


def _whole(lines, kind, size, explained, period):
    """What there is of all lines of each period, (63,), in grey and in detail.

    Edges of tiles whose brightness is random are in the grey at random places beside
    the lines. Blocks of JPEG are no evidence for 64 or 56.
    """
    total = np.zeros(len(PERIODS))
    for other in (kind, _OTHER.get(kind)):
        if other:
            blocks = (BLOCK,) if other.endswith("detail") and BLOCK % period else ()
            whole = whole_scores(lines[other], other, size, (*explained, *blocks))
            total += np.nan_to_num(whole)
    return total
