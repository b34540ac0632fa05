"""How strong the pattern of a period is, from lines of a kind."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from caejax.measure.lines import Lines, lattice

PEAKS = 5
_NOISY = 4.0  # times the usual noise of a period's lines: too much to be added up


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
    peaks = sorted(np.flatnonzero(out), key=lambda i: -power[i])[:PEAKS]
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
