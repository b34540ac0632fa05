"""Which periods stand out of an image, or of many together, and how strong they are."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.stats

from caejax.measure.lines import KINDS, PERIODS, Lines, lattice
from caejax.measure.scores import FALSE_ALARMS, chance, scores, surprises
from caejax.metrics.units import GREYS

_MOST = 12  # periods of a kind, before those that are parts of others are left out
_PEAKS = 5


class Pattern(NamedTuple):
    """What was found of one kind.

    Attributes:
      kind: One of `lines.KINDS`.
      period: In pixels.
      chance: How rarely a photograph without a pattern has anything as clear.
      grey: Its RMS in grey levels of 255, where the image is smooth.
      db: The same relative to the full scale.
      peaks: Its strongest lines, [[fy, fx, grey], ...], in cycles a pixel.
      share: The share of images in which it is found by itself.
    """

    kind: str
    period: int
    chance: float
    grey: float
    db: float
    peaks: list[list[float]]
    share: float = 1.0


def find(
    lines: dict[str, Lines],
    size: tuple[int, int],
    singly: Sequence[Sequence[Pattern]] = (),
) -> list[Pattern]:
    """Finds the patterns, the surest first.

    Args:
      lines: What one image says, or many together.
      size: (H, W) of the image, of several the smallest.
      singly: What was found in each of several images by itself: what many have counts
        even where it does not begin at the same pixel in all of them.
    """
    found = []
    for kind in KINDS:
        sure = _periods(lines[kind], kind, size)
        for (other, period), often in _often(singly).items():
            if other == kind:
                sure[period] = min(often, sure.get(period, 1.0))
        for period in _wholes(sure):
            parts = [sure[part] for part in sure if period % part == 0]
            grey, peaks = strength(lines[kind], kind, period)
            found.append(
                Pattern(
                    kind,
                    period,
                    min(parts),
                    *_sizes(grey, singly, kind, period),
                    peaks,
                    _share(singly, kind, period),
                )
            )
    return sorted(_without_shadows(found), key=lambda x: (x.chance, -x.grey))


def _periods(lines, kind, size):
    """The chance of each period that is found, what others explain left out."""
    sure: dict[int, float] = {}
    while len(sure) < _MOST:
        surprise = surprises(scores(lines, kind, size, tuple(sure)), kind)
        if np.isnan(surprise).all():
            break
        best = int(np.nanargmax(surprise))
        luck = chance(surprise[best])
        if luck >= FALSE_ALARMS:
            break
        sure[PERIODS[best]] = luck
    return sure


def _wholes(periods):
    return [s for s in periods if not any(t % s == 0 and t != s for t in periods)]


def _often(singly):
    """Periods that more images have than chance explains, and that chance."""
    count = len(singly)
    if count < 2:
        return {}
    seen = [{(x.kind, x.period) for x in patterns} for patterns in singly]
    counts = {key: sum(key in keys for keys in seen) for key in set().union(*seen)}
    chances = {
        key: float(scipy.stats.binom.sf(n - 1, count, FALSE_ALARMS))
        for key, n in counts.items()
    }
    return {key: x for key, x in chances.items() if x < FALSE_ALARMS}


def _own(singly, kind, period):
    return [
        x.grey
        for patterns in singly
        for x in patterns
        if x.kind == kind and period % x.period == 0
    ]


def _share(singly, kind, period):
    if not singly:
        return 1.0
    having = [
        any(x.kind == kind and period % x.period == 0 for x in patterns)
        for patterns in singly
    ]
    return float(np.mean(having))


def _sizes(grey, singly, kind, period):
    if grey == 0:  # it begins elsewhere in each image
        grey = float(np.mean(_own(singly, kind, period) or [0.0]))
    return grey, 20 * float(np.log10(max(grey / GREYS, 1e-10)))


def strength(lines: Lines, kind: str, period: int) -> tuple[float, list[list[float]]]:
    """RMS of a pattern in grey levels, and its strongest lines.

    Of all lines of the period, its parts' too, those count that stand out by
    themselves; what the floor adds to their power is taken off.
    """
    of = lattice(kind)
    own, _, power = amplitudes(lines, kind, period)
    peaks = sorted(np.flatnonzero(own), key=lambda i: -power[i])[:_PEAKS]
    shown = [[*map(float, of.frequency[i]), float(np.sqrt(power[i]))] for i in peaks]
    return float(np.sqrt(power[own].sum())), shown


def amplitudes(
    lines: Lines, kind: str, period: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which lines are of a period and stand out; amplitudes and powers of all."""
    of = lattice(kind)
    own = (period % of.period == 0) & (lines.precision > 0)
    own &= lines.excess > np.log(max(own.sum(), 1)) + 2
    precision = np.where(lines.precision > 0, lines.precision, np.inf)
    amplitude = lines.number / precision / of.response
    noise = 1 / precision / of.response**2
    power = of.twins * np.maximum(np.abs(amplitude) ** 2 - noise, 0)
    return own, amplitude, power


def _without_shadows(found):
    """Without detail that is uneven because of a pattern that is found, too."""
    plain = [x for x in found if not x.kind.endswith("detail")]

    def explained(x):
        kinds = (x.kind.removesuffix("_detail"), "both")
        return x.kind.endswith("detail") and any(
            y.kind in kinds and y.period % x.period == 0 for y in plain
        )

    return [x for x in found if not explained(x)]
