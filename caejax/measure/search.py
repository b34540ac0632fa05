"""Which periods stand out of an image, or of many together, and how strong they are."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.stats

from caejax.measure import periods
from caejax.measure.lines import LOBE, PERIODS, Lines
from caejax.measure.periods import DOUBT, Evidence, far_stronger, holds, wholes
from caejax.measure.scores import FALSE_ALARMS
from caejax.measure.strengths import PEAKS, strength
from caejax.metrics.units import GREYS

_JPEGS = 16  # pixels: detail of this period and its parts is JPEG's, colours' too
_DECADES, _RAREST = 0.2, 1e-8  # of chance, for each further image; the least asked for
_FAINT = 0.25  # of a pattern's strength: less beside it is not told if it is doubtful
_ROUNDED = 0.05  # of the power of a pattern's lines, the most that JPEG makes of it
# What is found of both axes is what their own lines are of, too.
_GREY = ("both", "columns", "rows")
_DETAIL = ("columns_detail", "rows_detail")
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
      evidence: That of its own lines.
    """

    kind: str
    period: int
    chance: float
    grey: float
    peaks: list[list[float]]
    share: float
    evidence: Evidence


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
    jpeg: bool = False,
) -> list[Found]:
    """Finds what stands out of each kind.

    Args:
      lines: What one image says, or many together.
      size: (H, W) of the image, of several the smallest.
      singly: What was found in each of several images by itself: what many have counts
        even where it does not begin at the same pixel in all of them.
      jpeg: Whether these are JPEG files. Their blocks of 8 pixels round each pattern,
        so that of one of 3 pixels there is a faint one of 24, too, which is left out.
    """
    found: list[Found] = []
    often = _often(singly)
    for kinds in _GREY, _DETAIL:
        sure = _sure(lines, size, kinds, found, often, jpeg)
        for kind in kinds:
            explained = _casting_shadows(found, kind)
            each = _proven(lines, size, sure, kind, explained, singly, jpeg)
            found += _founds(lines[kind], kind, each, explained, singly, jpeg)
    limit = _needed_together(len(singly))
    found = [x for x in found if x.share or x.chance < limit]
    return [x for x in found if not any(_doubted(x, y, size, jpeg) for y in found)]


def _needed_together(count):
    """The chance that is needed of so many images, if none has it by itself.

    What photographs have alike adds up as patterns do: in folders of 3 to 30 clean ones
    the smallest chance fell by up to a decade for each five.
    """
    return max(FALSE_ALARMS * 10 ** (-_DECADES * max(count - 1, 0)), _RAREST)


def _sure(lines, size, kinds, found, often, jpeg):
    """The chance of each period that is found, by kind."""
    sure: dict[str, dict[int, float]] = {}
    for kind in kinds:
        explained = _casting_shadows(found, kind)
        known = [s for each in sure.values() for s in each] if kinds is _GREY else []
        here = periods.find(lines, kind, size, explained, known, jpeg)
        for (other, period), luck in often.items():
            if other == kind and not any(s % period == 0 for s in explained):
                here[period] = min(luck, here.get(period, 1.0))
        sure[kind] = here
    return sure


def _proven(lines, size, sure, kind, explained, singly, jpeg):
    """The evidence for each period of a kind, and for parts that are far stronger.

    Parts were not looked at where multiples of them were found first.
    """

    def evidence(lucks):
        return {
            s: _evidence(lines, sure, kind, s, luck, singly)
            for s, luck in lucks.items()
        }

    parts = {s for s in PERIODS for t in sure[kind] if t % s == 0} - set(sure[kind])
    parts = {s for s in parts if not any(t % s == 0 for t in explained)}
    more = periods.alone(lines[kind], kind, size, explained, parts)
    proven = evidence(sure[kind])
    for part, one in sorted(evidence(more).items(), reverse=True):
        if part in wholes(proven | {part: one}, jpeg):
            proven[part] = one
    return proven


def _evidence(lines, sure, kind, period, luck, singly):
    """That of all kinds that have the period, parts or multiples of it."""
    kinds = [
        other
        for other, each in sure.items()
        if other == kind or any(s % period == 0 or period % s == 0 for s in each)
    ]
    own = {k: periods.own_lines(lines[k], k, period) for k in kinds}
    count = sum(n for _, n in own.values())
    power = sum(total for total, _ in own.values()) / max(count, 1.0)
    each = {k: total / max(n, 1.0) for k, (total, n) in own.items()}
    # Together it is weaker if it begins elsewhere in each image.
    alone = [x for found in singly for x in found]
    alone = [x.evidence for x in alone if (x.kind, x.period) == (kind, period)]
    power = max(power, sum(x.power for x in alone) / max(len(singly), 1))
    for k in kinds:
        mean = sum(x.each.get(k, 0.0) for x in alone) / max(len(singly), 1)
        each[k] = max(each[k], mean)
    return Evidence(luck, power, count, each)


def _founds(lines, kind, proven, explained, singly, jpeg):
    for period in wholes(proven, jpeg):
        parts = [s for s in proven if holds(period, s, proven, jpeg)]
        luck = min(proven[s].chance for s in parts)
        # What is no part of it has lines of its own.
        apart = [s for s in proven if period % s == 0 and s not in parts]
        grey, peaks = strength(lines, kind, period, (*explained, *apart))
        alone = _own(singly, kind, period, apart)
        share = len(alone) / len(singly) if singly else 1.0
        if alone:
            grey = max(grey, share * float(np.mean(alone)))
        own = proven[period]._replace(chance=luck)
        yield Found(kind, period, luck, grey, peaks, share, own)


def merge(found: Sequence[Found], jpeg: bool = False) -> list[Pattern]:
    """One pattern for all kinds of a period and of its parts, the surest first."""
    merged = []
    for detail in (False, True):
        these = [x for x in found if x.kind.endswith("detail") == detail]
        sure: dict[int, Evidence] = {}
        for x in these:
            sure[x.period] = _surer(x.evidence, sure.get(x.period, x.evidence))
        for period in wholes(sure, jpeg):
            parts = [x for x in these if holds(period, x.period, sure, jpeg)]
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
                    peaks[:PEAKS],
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
    sure = [x for x in found if x.kind in kinds and x.chance <= DOUBT]
    return tuple(x.period for x in sure)


def _surer(one, other):
    """What two kinds say of a period: the smaller chance, the stronger lines."""
    stronger = max(one, other, key=lambda x: x.power)
    return stronger._replace(chance=min(one.chance, other.chance))


def _doubted(found, by, size, jpeg):
    """Whether a pattern is but what is seen of another."""
    if _faint(found, by) or _mistaken(found, by, size):
        return True
    return jpeg and _rounded(found, by)


def _faint(found, by):
    """Whether it may well be what a strong one, where photographs are uneven, adds."""
    blocks = found.kind in _DETAIL and _JPEGS % found.period == 0
    return _doubtful(found, by) and found.grey < _FAINT * by.grey and not blocks


def _rounded(found, by):
    """Whether a pattern is what JPEG's blocks have made of another.

    That is of their least common multiple, and in its parts even fainter.
    """
    beat = periods.beat(by.period)
    if by.kind in _DETAIL or by.period % found.period == 0 or beat % found.period:
        return False
    if found.kind in _DETAIL:
        return _JPEGS % found.period > 0 and found.grey < by.grey
    if found.period == beat and far_stronger(by.evidence, found.evidence):
        return True
    faint = found.evidence.power < _ROUNDED * by.evidence.power
    return faint or _doubtful(found, by)


def _mistaken(found, by, size):
    """Whether it is another of nearly the same period, that is surer.

    Patterns of both axes may differ, but tiles are square.
    """
    one, other = found.period, by.period
    if one % other == 0 or other % one == 0 or by.chance >= found.chance:
        return False
    axes = [set(_AXES[x.kind.removesuffix("_detail")]) for x in (found, by)]
    sides = [n for n, axis in zip(size, "yx", strict=True) if axis in axes[0]]
    apart = abs(1 / one - 1 / other) * min(sides)
    tiles = found.kind in _DETAIL and by.kind in _DETAIL
    same = tiles or bool(axes[0] & axes[1])
    return (same and apart < 1) or (apart < LOBE and _doubtful(found, by))


def _doubtful(found, by):
    """Whether it may well be chance, and the other is far surer."""
    return found.chance > DOUBT and by.chance < found.chance**2


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
