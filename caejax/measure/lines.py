"""The frequencies at which patterns of a period live, measured in one image.

A pattern of period S that runs along an axis has its power at the frequencies k / S of
that axis. Photographs have power everywhere, so what counts is how far the power at
such a line stands out of the floor beside it. Five kinds of pattern are told apart:

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
from scipy.ndimage import map_coordinates, uniform_filter

from caejax.metrics.units import GREYS

PERIODS = range(2, 65)
KINDS = ("columns", "rows", "both", "columns_detail", "rows_detail")
ROOM = 4  # so many periods must fit: lines then stand apart in the windowed spectrum
LOBE = 2  # bins to each side of a line over which Hann's window spreads it

_ROUNDING = 0.5  # grey levels; what is smoother than this is not trusted more
_CLIPPED = 0.01  # the weight of black and white pixels, of which some images are made
_WIDE = 33  # the same of detail: wide enough that a seam does not hide itself
_CLIP = 4.0  # standard deviations, the most of detail that counts
_AROUND = 9  # pixels, the side of the square in which the variance is taken
_FINE = 16  # points of the spectrum of a profile for each bin
_FLOOR_BINS = 12  # how far from a line its floor is taken, along one axis
_BLOCK = 9  # bins, the side of the squares of the floor of two axes


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
    """

    number: np.ndarray
    precision: np.ndarray

    @property
    def excess(self) -> np.ndarray:
        """Power over floor: without a pattern exponentially distributed, mean 1."""
        return np.abs(self.number) ** 2 / np.maximum(self.precision, 1e-30)


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
    """What images say together: patterns that begin at the first pixel add up."""
    return {
        kind: Lines(*(a + b for a, b in zip(one[kind], other[kind], strict=True)))
        for kind in KINDS
    }


def largest_period(size: tuple[int, int], kind: str) -> int:
    """The largest period that is looked for in an image (H, W); 0 if none is."""
    side = min(size) if kind == "both" else size[_axis(kind)]
    fits = min(side // ROOM, PERIODS[-1])
    return fits if min(size) >= ROOM * PERIODS[0] else 0


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
    return Lines(np.zeros(count, np.complex64), np.zeros(count, np.float32))


def _weights(values):
    return 1 / (uniform_filter(values * values, _AROUND) + _ROUNDING**2)


def _lines(kind, spectrum, floor, seen):
    """The first lines of a kind, from sums over pixels whose weights add to `seen`."""
    lines = _nothing(kind)
    floor = np.maximum(floor, 1e-12 * seen**2)  # of images without any noise
    lines.number[: len(spectrum)] = spectrum * (seen / floor)
    lines.precision[: len(spectrum)] = seen**2 / floor
    return lines


def _of_profile(kind, values, weights, shift):
    """Lines of an axis, from values (., n) of which the mean over the other counts."""
    length = values.shape[1]
    window = np.hanning(length + 2)[1:-1]
    seen = float((weights.sum(0) * window).sum())
    count = _FINE * scipy.fft.next_fast_len(length, real=True)
    spectrum = scipy.fft.rfft((values * weights).sum(0) * window, count)
    places, beside = _profile_places(kind, length, count, shift)
    power = np.abs(spectrum) ** 2
    floor = np.median(power[beside], axis=1) / np.log(2)
    spectrum = spectrum[np.abs(places)]
    return _lines(kind, spectrum, floor, seen)


@functools.lru_cache(maxsize=256)
def _profile_places(kind, length, count, shift):
    """Indices of the lines, (n,), and of points beside them, (n, m)."""
    bins = count / length
    offsets = np.arange(LOBE, _FLOOR_BINS, 0.5) * bins
    offsets = np.concatenate([-offsets, offsets])
    places, beside = [], []
    for period in range(PERIODS[0], (length + 3) // ROOM + 1):
        if period > PERIODS[-1]:
            break
        lines = _new_lines(kind, period)[:, _axis(kind)] * count + shift * bins
        spacing = count / period
        distance = np.abs(offsets - np.rint(offsets / spacing) * spacing)
        # What the period itself may have in other lines is no floor.
        kept = offsets[distance >= min(LOBE * bins, distance.max()) - 1e-6]
        places.append(lines)
        beside.append(lines[:, None] + np.resize(kept, len(offsets)))
    return tuple(_folded(np.concatenate(x), count) for x in (places, beside))


def _folded(places, count):
    steps = np.rint(np.abs(places)).astype(int)
    return np.where(steps > count // 2, count - steps, steps)


def _of_both(values, weights, shift):
    window = np.hanning(values.shape[0] + 2)[1:-1, None]
    window = np.float32(window * np.hanning(values.shape[1] + 2)[1:-1])
    seen = float((weights * window).sum(dtype=np.float64))
    weighted = values * weights * window
    floors = _floors(weighted)
    if shift:
        turns = [_turns(length, shift / length) for length in values.shape]
        weighted = weighted * np.outer(*turns)
    lines = lattice("both")
    largest = largest_period(tuple(n + 1 for n in values.shape), "both")
    spectrum = np.concatenate(
        [_at_period(weighted, period) for period in range(2, largest + 1)]
    )
    moved = lines.frequency[: len(spectrum)] + shift / np.asarray(values.shape)
    return _lines("both", spectrum, _floor_at(*floors, moved), seen)


def _turns(count, frequency):
    return np.exp(-2j * np.pi * frequency * np.arange(count)).astype(np.complex64)


def _at_period(values, period):
    """The spectrum of (H, W) at the new lines of a period."""
    whole = len(values) // period * period
    rows = values[:whole].reshape(-1, period, values.shape[1]).sum(0)
    rows[: len(values) - whole] += values[whole:]
    turns = _column_turns(values.shape[1], period)
    spectrum = np.fft.fft(rows @ turns, axis=0)
    y, x = np.rint(_both_lines(period) * period).astype(int).T
    return spectrum[y, x]


@functools.cache
def _both_lines(period):
    return _new_lines("both", period)


@functools.lru_cache(maxsize=256)
def _column_turns(count, period):
    return np.stack([_turns(count, k / period) for k in range(period)], -1)


def _floors(weighted):
    """Logarithms of medians of the power in squares of bins, and their grid."""
    size = [scipy.fft.next_fast_len(n, real=True) for n in weighted.shape]
    power = np.abs(scipy.fft.rfft2(weighted, size)) ** 2
    half = _BLOCK // 2
    power = np.pad(power, ((half, half), (0, 0)), mode="wrap")
    power = np.pad(power, ((0, 0), (half, half)), mode="reflect")
    squares = np.lib.stride_tricks.sliding_window_view(power, (_BLOCK, _BLOCK))
    squares = squares[::half, ::half]
    flat = squares.reshape(*squares.shape[:2], -1)
    middle = flat.shape[-1] // 2
    medians = np.partition(flat, middle, axis=-1)[..., middle] / np.log(2)
    return np.log(np.maximum(medians, 1e-30)), size


def _floor_at(floors, size, frequency):
    mirrored = frequency[:, 1:] > 0.5
    frequency = np.where(mirrored, 1 - frequency, frequency) % 1
    places = frequency * size / (_BLOCK // 2)
    return np.exp(map_coordinates(floors, places.T, order=1, mode="nearest"))
