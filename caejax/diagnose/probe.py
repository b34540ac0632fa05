"""What a model draws of inputs that hold nothing: flat colours, and slopes.

A flat input keeps every feature map flat through convolutions, pointwise operations
and skips; at borders and behind normalisations, too, where the model runs as a part of
a larger image (`caejax.diagnose.reach.as_of_large_images`). What its result is not flat
by, and repeats, is what the model draws by itself.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.ndimage import correlate1d

from caejax.diagnose.phases import decibels

FLATS = 3
SIDE = 96  # pixels at least of what runs of caejax are given, if they take any number
# Left out at each border, where there is room: a third, and at least four periods.
_MARGIN = 4
_CERTAIN = 4.0  # times what chance gives
ROUNDING_DB = -100.0  # float32's; what is below that is nothing
LEAST_CELLS = 4  # along an axis, so that there is a margin


class Pattern(NamedTuple):
    """What repeats in an image (or signal, or volume) of nothing.

    Attributes:
      power: mean over images and channels of the variance over phases.
      level: mean square of what is not pattern: the response to the constant itself.
      rest: mean square of what is neither, and does not repeat.
      chance: the power that would be found of the rest alone, if it were random.
    """

    power: float
    level: float
    rest: float
    chance: float = 0.0

    @property
    def db(self) -> float:
        """The pattern relative to the constant's own response, at least -200 dB."""
        return decibels(self.power / max(self.level, 1e-300))

    @property
    def is_content(self) -> bool:
        """Whether what seems to repeat may be what does not repeat, by chance."""
        return bool(self.power < _CERTAIN * self.chance and self.db > ROUNDING_DB)


def is_image(array: np.ndarray) -> bool:
    """Whether an input is made flat: of floats of any kind, or bytes, with an axis of
    space. Other integers are indices or masks.
    """
    return array.ndim > 2 and array.dtype.kind in "fVu"  # bfloat16 is of kind V


def flats(examples: Sequence[np.ndarray], seed: int) -> np.ndarray:
    """Inputs without structure: each channel one value.

    Args:
      examples: each (B, C, n1, ..., nd); values are drawn around the mean of each
        channel over all of them, as far as all values spread; by 1 if all are one.
      seed: 0 for the means of the examples, others for random values.
    """
    example = examples[0]
    values = [x if x.dtype.kind == "f" else x.astype(np.float32) for x in examples]
    axes = tuple(range(2, example.ndim))
    mean = np.mean([x.mean(axes, keepdims=True) for x in values], 0)
    spread = np.concatenate([x.ravel() for x in values]).std() or 1.0
    if seed:
        rng = np.random.default_rng(seed)
        mean = mean + spread * rng.standard_normal(mean.shape)
    if example.dtype.kind == "u":
        mean = np.rint(mean).clip(0, np.iinfo(example.dtype).max)
    return np.broadcast_to(mean, example.shape).astype(example.dtype)


def slope(flat: np.ndarray, axis: int, height: float) -> np.ndarray:
    """A flat input with a linear slope along an axis, of the height from end to end."""
    count = flat.shape[axis]
    line = np.linspace(-height / 2, height / 2, count)
    shape = [1] * flat.ndim
    shape[axis] = count
    return (flat + line.reshape(shape)).astype(flat.dtype)


def fold(image: np.ndarray, period: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the cells of a period, and what is left of each, away from borders.

    Args:
      image: (B, C, n1, ..., nd).
      period: of each axis.

    Returns:
      The mean cell (B, C, p1, ..., pd), phases counted from the first pixel, and the
      cells less it.

    Raises:
      ValueError: there is no whole period away from the borders.
    """
    image = np.asarray(image, np.float64)
    cut = [slice(None), slice(None)]
    cells = list(image.shape[:2])
    for count, size in zip(image.shape[2:], period, strict=True):
        margin = _margin(count, size)
        whole = (count - 2 * margin) // size
        if whole < 1 or (margin == 0 and size > 1):
            raise ValueError(f"{count} pixels are too few for the period {size}")
        cut.append(slice(margin, margin + whole * size))
        cells += [whole, size]
    inner = image[tuple(cut)].reshape(cells)
    over = tuple(range(2, inner.ndim, 2))
    mean = inner.mean(over, keepdims=True)
    return mean.squeeze(over), inner - mean


def _margin(count, size):
    cells = count // size
    return size * min(max(_MARGIN, cells // 3), max(0, (cells - 2) // 2))


def pattern(
    image: np.ndarray, period: Sequence[int], within: Sequence[int] | None = None
) -> Pattern:
    """Measures what repeats.

    What borders, positions or attention add changes slowly over the image, and is
    different at each phase of a cell for that alone: so the mean over a period,
    taken twice along each axis, is subtracted first. It leaves nothing of a slope or a
    curve of the second degree, and all of what repeats.

    Args:
      image: (B, C, n1, ..., nd).
      period: of all that repeats there, along each axis; see `fold`.
      within: of the part of it that is measured, by default all.

    Raises:
      ValueError: there is no whole period away from the borders.
    """
    cell, rest = fold(image, period)
    axes = tuple(range(2, cell.ndim))
    level = (cell.mean(axes) ** 2).mean()
    steady, moving = fold(image - _trend(image, period), period)
    chance = (moving**2).mean() * np.size(steady) / np.size(moving)
    within = within or period
    steady = means_within(steady, within)
    chance *= math.prod(within) / math.prod(period)  # of means of several phases
    power = steady.var(axes).mean()
    found = (power, level, (rest**2).mean(), chance)
    return Pattern(*map(float, found))


def _trend(image, period):
    """Means over a period along each axis, and of these again, which centres them."""
    image = np.asarray(image, np.float64)
    for axis, size in enumerate(period, start=2):
        if size > 1:
            taps = np.convolve(np.ones(size), np.ones(size)) / size**2
            image = correlate1d(image, taps, axis, mode="nearest")
    return image


def means_within(cell: np.ndarray, period: Sequence[int]) -> np.ndarray:
    """The mean cell of a period that divides the one of a cell."""
    shape = list(cell.shape[:2])
    for count, size in zip(cell.shape[2:], period, strict=True):
        shape += [count // size, size]
    return cell.reshape(shape).mean(tuple(range(2, len(shape), 2)))


def slope_pattern(image: np.ndarray, period: Sequence[int], axis: int) -> float:
    """Pattern on a slope, relative to its rise from pixel to pixel, in dB.

    20 log10(rms / rise): a nearest resize by 2 steps by 1/4 of a pixel's input to
    both sides of a line that rises by 1/2, which is -6.0 dB.
    """
    image = np.asarray(image, np.float64)
    line = np.arange(image.shape[axis]) - (image.shape[axis] - 1) / 2
    shape = [1] * image.ndim
    shape[axis] = -1
    line = line.reshape(shape)
    count, size = image.shape[axis], period[axis - 2]
    margin = _margin(count, size)
    inner = [slice(None)] * image.ndim
    inner[axis] = slice(margin, count - margin)
    window = line[tuple(x if n == axis else slice(None) for n, x in enumerate(inner))]
    window = window - window.mean()
    part = image[tuple(inner)]
    rise = (part * window).sum(axis, keepdims=True) / (window**2).sum()
    cell, _ = fold(image - rise * line, period)
    axes = tuple(range(2, cell.ndim))
    return decibels(cell.var(axes).mean() / max((rise**2).mean(), 1e-300))
