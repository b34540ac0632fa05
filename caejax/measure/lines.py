"""The frequencies at which patterns of a period live, measured in one image.

A pattern of period S that runs along an axis has its power at the frequencies k / S of
that axis. Photographs have power everywhere, so what counts is how far the power at
such a line stands out of the floor, the mean power beside it. Five kinds of pattern
are told apart:

| kind | of what | sees |
| --- | --- | --- |
| `columns`, `rows` | differences along one axis, averaged over the other | stripes |
| `both` | differences along both axes | checks, and whatever needs both axes |
| `columns_detail`, `rows_detail` | size of fine detail there | seams of any sign |

Everything is weighted by the inverse variance around a pixel: a pattern of half a grey
level is found in the sky and not in the leaves.
"""

import functools
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import scipy.fft
from scipy.ndimage import uniform_filter

from caejax.metrics.units import GREYS

PERIODS = range(2, 65)
KINDS = ("columns", "rows", "both", "columns_detail", "rows_detail")
ROOM = 4  # so many periods must fit: lines then stand apart in the windowed spectrum
LEAST = ROOM * PERIODS[0]  # pixels a side, or nothing is looked for
_TRIED = 3  # of which so many fit are measured too, to be held against what is found
LOBE = 2  # bins to each side of a line over which Hann's window spreads it

_ROUNDING = 0.5  # grey levels; what is smoother than this is not trusted more
_CLIPPED = 0.01  # the weight of black and white pixels, of which some images are made
_WIDE = 33  # the same of detail: wide enough that a seam does not hide itself
_CLIP = 4.0  # standard deviations, the most of detail that counts
_AROUND = 9  # pixels, the side of the square in which the variance is taken
_FINE = 16  # points of the spectrum of a profile for each bin
# Bins from a line to the points of its floor, along one axis.
_OFFSETS = np.concatenate([np.arange(-12, -1.5, 0.5), np.arange(2, 12.5, 0.5)])
_RING = 13  # bins, the side of the square of the floor of two axes
_HOLE = 5  # bins, the side of the square in it that is the line's own


class Lattice(NamedTuple):
    """All lines of a kind, period by period.

    A line is listed with the smallest period that has it, k / S with k prime to S.

    Attributes:
      period: (n,) that period.
      frequency: (n, 2) cycles a pixel, along y and x.
      response: (n,) what of a pattern's amplitude the differences let through.
      twins: (n,) 2, but 1 for a line that is its own mirror image.
      starts: (63,) index of the first line of each period.
    """

    period: np.ndarray
    frequency: np.ndarray
    response: np.ndarray
    twins: np.ndarray
    starts: np.ndarray


class Lines(NamedTuple):
    """What images say of the lines of a kind; (n,) as in its `lattice`.

    Attributes:
      number: complex, the amplitudes times their precision.
      precision: one over the variance that the floor gives to an amplitude; 0 where an
        image is too small for the period.
      doubt: the square of the precision over the number of independent powers of
        which the floor is the mean; of several images, the sum of these.
      images: in how many images so many periods fit that it may be searched for.
    """

    number: np.ndarray
    precision: np.ndarray
    doubt: np.ndarray
    images: np.ndarray

    @property
    def excess(self) -> np.ndarray:
        """Power over floor: without a pattern exponentially distributed, mean 1."""
        return np.abs(self.number) ** 2 / np.maximum(self.precision, 1e-30)

    @property
    def beside(self) -> np.ndarray:
        """How many independent powers the floor is the mean of, at least 1."""
        return np.maximum(self.precision**2 / np.maximum(self.doubt, 1e-30), 1)


def measure_lines(
    image: np.ndarray, shift: float = 0.0, trust: np.ndarray | None = None
) -> dict[str, Lines]:
    """Measures the lines of all kinds.

    Args:
      image: (H, W), grey levels of 255.
      shift: moves all lines by so many bins of the image's spectrum, to where there
        are none: what is found there is chance.
      trust: (H, W), how much each pixel counts; by default that of `unclipped`.

    Returns:
      The lines by kind.
    """
    image = np.asarray(image, np.float32)
    trust = unclipped(image) if trust is None else trust
    found = {kind: _nothing(kind) for kind in KINDS}
    if min(image.shape) < ROOM * PERIODS[0]:
        return found
    for kind, across, seen in (("columns", image, trust), ("rows", image.T, trust.T)):
        slope = np.diff(across)
        seen = np.minimum(seen[:, 1:], seen[:, :-1])
        found[kind] = _of_profile(kind, slope, seen * _weights(slope), shift)
        bend = np.abs(slope[:, 1:-1] - (slope[:, :-2] + slope[:, 2:]) / 2)
        variance = uniform_filter(bend * bend, _WIDE) + _ROUNDING**2
        # Edges of objects are not worth more than seams.
        bend = np.minimum(bend, _CLIP * np.sqrt(variance))
        weights = seen[:, 1:-1] / variance
        bend -= uniform_filter(bend, _AROUND)
        kind = f"{kind}_detail"
        found[kind] = _of_profile(kind, bend, weights, shift)
    corners = np.diff(np.diff(image), axis=0)
    weights = trust[1:, 1:] * _weights(corners)
    found["both"] = _of_both(corners, weights, shift)
    return found


def unclipped(image: np.ndarray) -> np.ndarray:
    """How much pixels (H, W) in grey levels count: those at the ends hide patterns."""
    ends = (image <= 0) | (image >= GREYS)
    return np.where(ends, np.float32(_CLIPPED), np.float32(1))


def add(one: dict[str, Lines], other: dict[str, Lines]) -> dict[str, Lines]:
    """What images say together: patterns that begin at the first pixel add up.

    Images that are too small to search for a period count only where all are.
    """
    return {kind: _sum(one[kind], other[kind]) for kind in KINDS}


def _sum(one, other):
    kept = [(a.images > 0) | (b.images == 0) for a, b in ((one, other), (other, one))]
    pairs = zip(one, other, strict=True)
    return Lines(*(a * kept[0] + b * kept[1] for a, b in pairs))


def largest_period(size: tuple[int, int], kind: str) -> int:
    """The largest period that is looked for in an image (H, W); 0 if none is."""
    side = min(size) if kind == "both" else size[_axis(kind)]
    fits = min(side // ROOM, PERIODS[-1])
    return fits if min(size) >= LEAST else 0


def near(
    frequency: np.ndarray, periods: Iterable[int], size: tuple[int, int], kind: str
) -> np.ndarray:
    """Which frequencies (n, 2) lie within a lobe of the lattice of one of the periods.

    Args:
      frequency: (n, 2).
      periods: The periods.
      size: (H, W) of the image, or of the smallest of them.
      kind: The kind of the lines; if it is of one axis, that axis decides.
    """
    close = np.zeros(len(frequency), bool)
    for period in periods:
        distance = np.abs(frequency * period - np.rint(frequency * period)) / period
        inside = distance * np.asarray(size) < LOBE
        close |= inside.all(1) if kind == "both" else inside[:, _axis(kind)]
    return close


@functools.cache
def lattice(kind: str) -> Lattice:
    """All lines of a kind."""
    new = [_new_lines(kind, period) for period in PERIODS]
    frequency = np.concatenate(new)
    counts = [len(lines) for lines in new]
    response = np.ones(len(frequency))
    for axis in (0, 1) if kind == "both" else (_axis(kind),):
        angle = np.pi * frequency[:, axis]
        if kind.endswith("detail"):
            response *= 1 - np.sin(_AROUND * angle) / (_AROUND * np.sin(angle))
        else:
            response *= 2 * np.sin(angle)
    return Lattice(
        np.repeat(PERIODS, counts),
        frequency,
        response,
        2 - np.isin(frequency, (0, 0.5)).all(1),
        np.cumsum([0, *counts[:-1]]),
    )


def _axis(kind):
    return 1 if kind.startswith("columns") else 0


def _new_lines(kind, period):
    steps = np.arange(period)
    own = period // np.gcd(steps, period)
    if kind != "both":
        frequency = steps[(own == period) & (2 * steps <= period)] / period
        sides = [np.zeros_like(frequency), frequency]
        return np.stack(sides if _axis(kind) else sides[::-1], -1)
    y, x = np.meshgrid(steps, steps, indexing="ij")
    new = (np.lcm(own[:, None], own) == period) & (y > 0) & (x > 0)
    # Each pair of mirror images once.
    new &= y * period + x <= (-y % period) * period + (-x % period)
    return np.stack([y[new], x[new]], -1) / period


def _nothing(kind):
    count = len(lattice(kind).period)
    nothing = np.zeros((3, count), np.float32)
    return Lines(np.zeros(count, np.complex64), *nothing)


def _weights(values):
    return 1 / (uniform_filter(values * values, _AROUND) + _ROUNDING**2)


def _lines(kind, spectrum, floor, beside, seen, largest):
    """The first lines of a kind, from sums over pixels whose weights add to `seen`.

    Periods up to the largest may be searched for.
    """
    lines, count = _nothing(kind), len(spectrum)
    lines.images[:count] = lattice(kind).period[:count] <= largest
    floor = np.maximum(floor, 1e-12 * seen**2)  # of images without any noise
    lines.number[:count] = spectrum * (seen / floor)
    lines.precision[:count] = seen**2 / floor
    lines.doubt[:count] = lines.precision[:count] ** 2 / np.maximum(beside, 1)
    return lines


def _width(variance):
    """Over how many bins the power of noise of this variance a place is alike."""
    total = variance.sum(dtype=np.float64)
    return variance.size * float((variance**2).sum(dtype=np.float64)) / total**2


def _of_profile(kind, values, weights, shift):
    """Lines of an axis, from values (., n) of which the mean over the other counts."""
    length = values.shape[1]
    window = np.hanning(length + 2)[1:-1]
    weight = weights.sum(0)
    seen = float((weight * window).sum())
    count = _FINE * scipy.fft.next_fast_len(length, real=True)
    spectrum = scipy.fft.rfft((values * weights).sum(0) * window, count)
    places, around, kept = _profile_places(kind, length, count, shift)
    power = np.abs(spectrum) ** 2
    floor = (power[around] * kept).sum(1) / kept.sum(1)
    # How alike points of the floor are, by how far they lie apart.
    apart = np.subtract.outer(_OFFSETS, _OFFSETS) / _width(weight * window**2)
    alike = np.exp(-np.pi * apart**2)
    beside = kept.sum(1) ** 2 / ((kept @ alike) * kept).sum(1)
    return _lines(kind, spectrum[places], floor, beside, seen, (length + 3) // ROOM)


@functools.lru_cache(maxsize=256)
def _profile_places(kind, length, count, shift):
    """Indices of the lines, (n,), of points around them, (n, m), and which count."""
    bins = count / length
    offsets = _OFFSETS * bins
    places, kept = [], []
    for period in range(PERIODS[0], (length + 3) // _TRIED + 1):
        if period > PERIODS[-1]:
            break
        lines = _new_lines(kind, period)[:, _axis(kind)] * count + shift * bins
        spacing = count / period
        distance = np.abs(offsets - np.rint(offsets / spacing) * spacing)
        # What the period itself may have in other lines is no floor.
        free = distance >= min(LOBE * bins, distance.max()) - 1e-6
        places.append(lines)
        kept.append(np.broadcast_to(free, (len(lines), len(offsets))))
    lines = np.concatenate(places)
    around = lines[:, None] + offsets
    # Nor is what is left of the mean.
    free = np.concatenate(kept) & (np.abs(around) >= LOBE * bins)
    return _folded(lines, count), _folded(around, count), free


def _folded(places, count):
    # Around a line of a small image points lie past a whole turn.
    steps = np.rint(np.abs(places)).astype(int) % count
    return np.where(steps > count // 2, count - steps, steps)


def _of_both(values, weights, shift):
    window = np.hanning(values.shape[0] + 2)[1:-1, None]
    window = np.float32(window * np.hanning(values.shape[1] + 2)[1:-1])
    seen = float((weights * window).sum(dtype=np.float64))
    weighted = values * weights * window
    floors = _floors(weighted)
    beside = (_RING**2 - _HOLE**2) / _width(weights * window**2)
    if shift:
        turns = [_turns(length, shift / length) for length in values.shape]
        weighted = weighted * np.outer(*turns)
    lines = lattice("both")
    side = min(values.shape) + 1
    tried = range(PERIODS[0], min(side // _TRIED, PERIODS[-1]) + 1)
    spectrum = np.concatenate([_at_period(weighted, period) for period in tried])
    moved = lines.frequency[: len(spectrum)] + shift / np.asarray(values.shape)
    places = np.rint(moved * floors.shape).astype(int) % floors.shape
    floor = floors[tuple(places.T)]
    return _lines("both", spectrum, floor, beside, seen, side // ROOM)


def _turns(count, frequency):
    return np.exp(-2j * np.pi * frequency * np.arange(count)).astype(np.complex64)


def _at_period(values, period):
    """The spectrum of (H, W) at the new lines of a period."""
    spectrum = scipy.fft.fft2(_folded_sum(_folded_sum(values, period).T, period).T)
    y, x = np.rint(_both_lines(period) * period).astype(int).T
    return spectrum[y, x]


def _folded_sum(values, period):
    """What lies whole periods apart along the first axis, added up."""
    whole = len(values) // period * period
    sums = values[:whole].reshape(-1, period, values.shape[1]).sum(0)
    sums[: len(values) - whole] += values[whole:]
    return sums


@functools.cache
def _both_lines(period):
    return _new_lines("both", period)


def _floors(weighted):
    """The mean power of the bins around each, without the nearest."""
    size = [scipy.fft.next_fast_len(n) for n in weighted.shape]
    power = np.abs(scipy.fft.fft2(weighted, size)) ** 2
    ring, hole = (
        side**2 * uniform_filter(power, side, mode="wrap") for side in (_RING, _HOLE)
    )
    return (ring - hole) / (_RING**2 - _HOLE**2)
