"""Which periods stand out of an image, or of many together, and how strong they are."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.stats

from caejax.measure.lines import PERIODS, Lines, lattice
from caejax.measure.scores import FALSE_ALARMS, chance, scores, surprises
from caejax.metrics.units import GREYS

_MOST = 12  # periods of a kind, before those that are parts of others are left out
_PEAKS = 5
_NOISY = 4.0  # times the usual noise of a period's lines: too much to be added up
_DOUBT = 1e-6  # a chance above it is one that a search of many images may bring
# What is found of both axes is what their own lines are of, too.
_ORDER = ("both", "columns", "rows", "columns_detail", "rows_detail")
_AXES = {"columns": "x", "rows": "y", "both": "xy"}


class Found(NamedTuple):
    """What was found of one kind.

    Attributes:
      kind: One of `lines.KINDS`.
      period: In pixels.
      chance: How rarely a photograph without a pattern has anything as clear.
      grey: Its RMS in grey levels of 255, where the image is smooth.
      peaks: Its strongest lines, [[fy, fx, grey], ...], in cycles a pixel.
      share: The share of images in which it is found by itself.
    """

    kind: str
    period: int
    chance: float
    grey: float
    peaks: list[list[float]]
    share: float


class Pattern(NamedTuple):
    """What was found of one period.

    Attributes:
      period: In pixels; parts of it may have less.
      axes: "x" for columns, "y" for rows, "xy".
      detail: Whether it is fine detail that is uneven, not the grey that repeats.
      chance: How rarely a photograph without a pattern has anything as clear.
      grey: Its RMS in grey levels of 255, where the image is smooth; of detail, that
        of the unevenness of its size.
      db: The same relative to the full scale.
      share: The share of images in which it is found by itself.
      peaks: Its strongest lines, [[fy, fx, grey], ...], in cycles a pixel.
    """

    period: int
    axes: str
    detail: bool
    chance: float
    grey: float
    db: float
    share: float
    peaks: list[list[float]]


def find(
    lines: dict[str, Lines],
    size: tuple[int, int],
    singly: Sequence[Sequence[Found]] = (),
) -> list[Found]:
    """Finds what stands out of each kind.

    Args:
      lines: What one image says, or many together.
      size: (H, W) of the image, of several the smallest.
      singly: What was found in each of several images by itself: what many have counts
        even where it does not begin at the same pixel in all of them.
    """
    found: list[Found] = []
    often = _often(singly)
    for kind in _ORDER:
        explained = _casting_shadows(found, kind)
        known = () if kind.endswith("detail") else [x.period for x in found]
        sure = _periods(lines[kind], kind, size, explained, known)
        for (other, period), luck in often.items():
            if other == kind and not any(s % period == 0 for s in explained):
                sure[period] = min(luck, sure.get(period, 1.0))
        for period in _wholes(sure):
            luck = min(x for part, x in sure.items() if _holds(period, part, sure))
            # What is far surer, and no part of it, has lines of its own.
            apart = [x for x in sure if not _holds(period, x, sure)]
            apart = [x for x in apart if period % x == 0]
            grey, peaks = strength(lines[kind], kind, period, (*explained, *apart))
            alone = _own(singly, kind, period, apart)
            share = len(alone) / len(singly) if singly else 1.0
            if alone:  # together it is weaker if it begins elsewhere in each image
                grey = max(grey, share * float(np.mean(alone)))
            found.append(Found(kind, period, luck, grey, peaks, share))
    return found


def merge(found: Sequence[Found]) -> list[Pattern]:
    """One pattern for all kinds of a period and of its parts, the surest first."""
    merged = []
    for detail in (False, True):
        these = [x for x in found if x.kind.endswith("detail") == detail]
        sure: dict[int, float] = {}
        for x in these:
            sure[x.period] = min(x.chance, sure.get(x.period, 1.0))
        for period in _wholes(sure):
            parts = [x for x in these if _holds(period, x.period, sure)]
            axes = {a for x in parts for a in _AXES[x.kind.removesuffix("_detail")]}
            grey = float(np.sqrt(sum(x.grey**2 for x in parts)))
            peaks = sorted((p for x in parts for p in x.peaks), key=lambda p: -p[2])
            merged.append(
                Pattern(
                    period,
                    "".join(sorted(axes)),
                    detail,
                    min(x.chance for x in parts),
                    grey,
                    20 * float(np.log10(max(grey / GREYS, 1e-10))),
                    max(x.share for x in parts),
                    peaks[:_PEAKS],
                )
            )
    return sorted(merged, key=lambda x: (x.chance, -x.grey))


def _casting_shadows(found, kind):
    """Periods of patterns that make detail uneven, too.

    One that chance may have brought makes nothing uneven.
    """
    if not kind.endswith("detail"):
        return ()
    kinds = (kind.removesuffix("_detail"), "both")
    sure = [x for x in found if x.kind in kinds and x.chance <= _DOUBT]
    return tuple(x.period for x in sure)


def _periods(lines, kind, size, explained, known):
    """The chance of each period that is found, what others explain left out.

    Those that are known of other kinds go first: 33 looks much like 32.
    """
    surprise = surprises(scores(lines, kind, size, explained), kind)
    parts = [s for s in PERIODS if any(whole % s == 0 for whole in known)]
    lucks = {s: chance(surprise[PERIODS.index(s)]) for s in parts}
    sure = {s: luck for s, luck in lucks.items() if luck < FALSE_ALARMS}
    explained = (*explained, *known)
    for _ in range(_MOST):
        surprise = surprises(scores(lines, kind, size, (*explained, *sure)), kind)
        if np.isnan(surprise).all():
            break
        best = int(np.nanargmax(surprise))
        luck = chance(surprise[best])
        if luck >= FALSE_ALARMS:
            break
        sure[PERIODS[best]] = luck
    return sure


def _wholes(sure):
    """The periods of these chances that are no parts of others."""
    return [s for s in sure if not any(t != s and _holds(t, s, sure) for t in sure)]


def _holds(whole, part, sure):
    """Whether a period is a part of another, or that itself.

    A multiple that chance may well have brought holds nothing that is far surer: of a
    pattern of 4 pixels 60 would be said.
    """
    doubtful = sure[whole] > _DOUBT and sure[part] < sure[whole] ** 2
    return whole == part or (whole % part == 0 and not doubtful)


def _often(singly):
    """Periods that more images have than chance explains, and that chance."""
    count = len(singly)
    if count < 2:
        return {}
    seen = [{(x.kind, x.period) for x in found} for found in singly]
    counts = {key: sum(key in keys for keys in seen) for key in set().union(*seen)}
    chances = {
        key: float(scipy.stats.binom.sf(n - 1, count, FALSE_ALARMS))
        for key, n in counts.items()
    }
    return {key: x for key, x in chances.items() if x < FALSE_ALARMS}


def _own(singly, kind, period, apart):
    """How strong it is in the images that have it or a part of it by themselves.

    Of periods that are apart, and their parts, there is none.
    """
    own = [
        [
            x.grey
            for x in found
            if x.kind == kind
            and period % x.period == 0
            and all(other % x.period for other in apart)
        ]
        for found in singly
    ]
    return [max(greys) for greys in own if greys]


def strength(
    lines: Lines, kind: str, period: int, explained: Sequence[int] = ()
) -> tuple[float, list[list[float]]]:
    """RMS of a pattern in grey levels, and its strongest lines.

    The power of all lines of the period, its parts' too, less what the floor adds; of
    lines that say little, the lowest frequencies', only if they stand out. Lines of the
    periods that explain them do not count.
    """
    of = lattice(kind)
    own, out, _, power = amplitudes(lines, kind, period, explained)
    peaks = sorted(np.flatnonzero(out), key=lambda i: -power[i])[:_PEAKS]
    shown = [
        [*map(float, of.frequency[i]), float(np.sqrt(max(power[i], 0)))] for i in peaks
    ]
    return float(np.sqrt(max(power[own | out].sum(), 0))), shown


class Amplitudes(NamedTuple):
    """The lines of a period, (n,) as in the kind's `lattice`.

    Attributes:
      certain: Those whose noise is not far above that of the others.
      out: Those that stand out by themselves.
      amplitude: All amplitudes in grey levels, complex.
      power: Their powers with those of their mirror images, without bias, so signed.
    """

    certain: np.ndarray
    out: np.ndarray
    amplitude: np.ndarray
    power: np.ndarray


def amplitudes(
    lines: Lines, kind: str, period: int, explained: Sequence[int] = ()
) -> Amplitudes:
    """The amplitudes of a period's lines and of its parts'."""
    of = lattice(kind)
    own = (period % of.period == 0) & (lines.precision > 0)
    for other in explained:
        own &= other % of.period != 0
    precision = np.where(lines.precision > 0, lines.precision, np.inf)
    floor = _floor(precision, kind, period)
    noise = floor / of.response**2
    usual = np.median(noise[own]) if own.any() else 0.0
    seen = lines.number / precision
    amplitude = seen / of.response
    excess = np.abs(seen) ** 2 / np.maximum(floor, 1e-30)
    return Amplitudes(
        own & (noise <= _NOISY * usual),
        own & (excess > np.log(max(own.sum(), 1)) + 2),
        amplitude,
        of.twins * (np.abs(amplitude) ** 2 - noise),
    )


def _floor(precision, kind, period):
    """The noise of lines; where the period's own lie, that of the parts between them.

    Beside a line of a part lie lines of the whole, and are no floor.
    """
    floor = 1 / precision
    if kind != "both":
        of = lattice(kind)
        own = period % of.period == 0
        whole = (of.period == period) & (floor > 0)
        place = of.frequency.max(1)
        if whole.any():
            floor[own] = np.interp(place[own], place[whole], floor[whole])
    return floor
