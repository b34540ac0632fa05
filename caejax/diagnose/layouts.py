"""Channels that become pixels: found by where elements go, not by names.

`DepthToSpace` in both orders, PyTorch's pixel shuffle, einops, reshape-transpose-
reshape and the patches of a transformer that are put back into an image all move
elements only. So numbers are sent through them in place of features: where
neighbouring pixels come from one place and differ in the channel alone, the operation
enlarges, by the number of such neighbours.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np


class Blocks(NamedTuple):
    """How channels become pixels.

    Attributes:
      stride: pixels that come from one place, along each spatial axis of the result.
      axes: the spatial axes of the result, where the stride is above 1 or one of its
        neighbours' is.
      channel_axes: of the source, the axis of the channels, or several where phases
        have axes of their own.
      order: (s1, ..., sd, F): the source's channel that each phase of each channel of
        the result shows, counted over all of these axes.
      repeated: whether the pixels of a block are copies: a nearest resize.
    """

    stride: tuple[int, ...]
    axes: tuple[int, ...]
    channel_axes: tuple[int, ...]
    order: np.ndarray
    repeated: bool

    @property
    def joined(self) -> bool:
        """Whether the channels lie along several axes."""
        return len(self.channel_axes) > 1


def find_blocks(
    shape: Sequence[int],
    move: Callable[[np.ndarray], np.ndarray],
    channels: Sequence[int] = (1, -1),
    places: Sequence[int] = (),
    apart: Sequence[int] = (),
) -> Blocks | None:
    """Finds out whether moving elements turns channels into pixels.

    Args:
      shape: of the source, batch first.
      move: the moving, for an array of any type.
      channels: axes of the result that may hold its channels, the likeliest first.
      places: axes of the source that are known to hold none.
      apart: axes of the source that may hold them with others in between.

    Returns:
      How, or None where it does not.
    """
    numbers = move(np.arange(np.prod(shape), dtype=np.int64).reshape(shape))
    if numbers.ndim < 3 or numbers.ndim > 5 or not numbers.size:
        return None
    # A copy: of repeated elements, NumPy 2.4's unravel_index reads beyond their memory.
    found = np.stack(np.unravel_index(np.ascontiguousarray(numbers[:1]), shape), -1)
    # The first axis is the batch's, where it does not differ within one of that.
    behind = 0 if found[..., 0].any() else 1
    axes = [n for n in range(behind, len(shape)) if n not in places]
    along = {n for n in range(len(shape)) if (found[..., n] != found.flat[n]).any()}
    for channel in channels:
        axis = channel % numbers.ndim
        features = np.moveaxis(found, axis, -2)[0]  # n1, ..., nd, F, source axes
        dims = features.ndim - 2
        for run in _runs(shape, axes, len(shape) - numbers.ndim + 1, apart):
            if len(along - {*run}) > dims:
                continue  # pixels along one axis are of several: others may be phases
            place = np.delete(features, run, -1)
            stride = tuple(_block(place, axis) for axis in range(dims))
            if max(stride) == 1 or not _is_made_of(place, stride):
                continue
            cell = tuple(slice(0, s) for s in stride)
            sizes = tuple(shape[n] for n in run)
            numbered = np.ravel_multi_index([features[..., n] for n in run], sizes)
            order = numbered[(*cell, ...)]
            if not _same_everywhere(numbered, order, stride):
                continue
            # Of what shows a part of the channels the others lie in the batch: the
            # queries, keys and values of an attention, or heads of it.
            if len(np.unique(order)) != math.prod(sizes):
                continue
            copies = bool((order == order[(0,) * dims]).all())
            pixels = tuple(n for n in range(1, numbers.ndim) if n != axis)
            return Blocks(stride, pixels, run, order, copies)
    return None


def _runs(shape, axes, most, apart):
    """Which of a source's axes may hold its channels: one, or several, also apart.

    The most come first: fewer may hold the phases of one axis alone. Of as many those
    beside each other do, and of these the last; an axis of one comes last of all.
    """
    long = [n for n in axes if shape[n] > 1]
    for size in range(max(1, most), 0, -1):
        runs = list(itertools.combinations(long, size))
        beside = [run for run in runs if run[-1] - run[0] < size]
        yield from reversed(beside)
        yield from (x for x in runs if x not in beside and {*x} <= {*apart})
    yield from ((n,) for n in axes if shape[n] == 1)


def _block(place, axis):
    """How many neighbours along an axis come from one place."""
    line = np.moveaxis(place, axis, 0)
    line = line[(slice(None), *(0,) * (place.ndim - 2))]
    changed = np.flatnonzero((line != line[0]).any(-1))
    return int(changed[0]) if len(changed) else 1


def _is_made_of(place, stride):
    """Whether all blocks of the size come from one place each, for all channels."""
    if any(n % s for n, s in zip(place.shape, stride, strict=False)):
        return False
    corners = place[tuple(slice(0, None, s) for s in stride)]
    for axis, s in enumerate(stride):
        corners = np.repeat(corners, s, axis)
    return bool((corners == place).all() and (place == place[..., :1, :]).all())


def _same_everywhere(channels, order, stride):
    repeats = [n // s for n, s in zip(channels.shape, stride, strict=False)]
    return bool((np.tile(order, (*repeats, 1)) == channels).all())
