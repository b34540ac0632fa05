"""Tests of cutting images into tiles and blending them."""

import tracemalloc

import numpy as np
import pytest

from caejax.inference.tiles import Axis, blend, cut, fade


def axes(size, **tiling):
    return tuple(Axis(n, **tiling) for n in size)


def test_tiles_by_hand():
    rows, columns = Axis(2, 3, centred=True), Axis(6, 4, 1)
    assert (rows.count, rows.starts) == (1, [0])
    assert (columns.count, columns.length, columns.starts) == (2, 7, [0, 3])
    assert Axis(5, 8, centred=True).starts == [-1]
    assert Axis(8, 8, 4).count == 1
    assert Axis(9, 8, 4).starts == [0, 4]
    assert Axis(9, 8, 4, shift=2).starts == [-2, 2]
    assert Axis(9, 8, 4, shift=4).starts == [-4, 0, 4]
    image = np.arange(12.0).reshape(2, 6, 1)
    first, second = cut(image, rows, columns)
    below = [6, 7, 8, 9]  # the last row again
    np.testing.assert_array_equal(first[..., 0], [[0, 1, 2, 3], below, below])
    below = [9, 10, 11, 11]
    np.testing.assert_array_equal(second[..., 0], [[3, 4, 5, 5], below, below])


def test_on_a_grid_the_last_tile_ends_with_the_image():
    axis = Axis(17, 12, 4, grid=4)
    assert (axis.count, axis.starts, axis.length) == (2, [0, 8], 20)
    assert axis.places(8).tolist() == [*range(8, 17), 15, 14, 13]
    axis = Axis(18, 16, 4, grid=4)  # one tile's step of 12 is too many by 8
    assert (axis.count, axis.starts, axis.length) == (2, [0, 4], 20)
    assert axis.places(4).tolist() == [*range(4, 18), 16, 15]
    both = Axis(1, 4, grid=4), axis
    image = np.arange(18.0).reshape(1, 18, 1)
    np.testing.assert_array_equal(blend(cut(image, *both), *both), image)
    # What the last tile has before its step is not used.
    first, last = cut(image, *both)
    last[:, :8] = np.nan
    np.testing.assert_array_equal(blend([first, last], *both), image)


def test_fade_by_hand():
    # sin^2 at 22.5 and 67.5 degrees, one pixel of margin on both sides.
    half = np.sqrt(0.5) / 2
    expected = [0, 0.5 - half, 0.5 + half, 1]
    np.testing.assert_allclose(fade(Axis(9, 8, 4, margin=1)), expected, atol=1e-7)


TILINGS = [
    {"tile": 5, "overlap": 2},
    {"tile": 6, "overlap": 3, "centred": True},
    {"tile": 8, "overlap": 4, "margin": 1, "shift": 3},
    {"tile": 1},
    {"tile": 64, "overlap": 32},
    {"tile": 12, "overlap": 4, "margin": 2, "grid": 4},
]


@pytest.mark.parametrize("tiling", TILINGS)
@pytest.mark.parametrize("size", [(1, 1), (2, 7), (17, 30)])
def test_tiles_left_alone_are_the_image_bit_for_bit(normal, tiling, size):
    image = normal(*size, 2)
    both = axes(size, **tiling)
    np.testing.assert_array_equal(blend(cut(image, *both), *both), image)


@pytest.mark.parametrize("tiling", TILINGS[:3])
def test_weights_sum_to_one_without_a_step(tiling):
    size = (14, 23)
    rows, columns = axes(size, **tiling)
    shape, count = (rows.tile, columns.tile, 1), rows.count * columns.count
    weights = [
        blend((np.full(shape, float(i == j)) for j in range(count)), rows, columns)
        for i in range(count)
    ]
    assert min(w.min() for w in weights) >= 0
    np.testing.assert_allclose(sum(weights), 1, atol=1e-6)
    # Half a cosine over r pixels rises by at most pi / (2 r) from one to the next.
    steepest = np.pi / 2 / (rows.overlap - 2 * rows.margin)
    steps = [np.abs(np.diff(w, axis=axis)).max() for w in weights for axis in (0, 1)]
    assert max(steps) <= steepest


def test_memory_grows_with_the_image_alone():
    both = axes((1000, 2000), tile=64, overlap=16)
    image = np.zeros((1000, 2000, 1), np.float32)
    tracemalloc.start()
    blend(cut(image, *both), *both)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.3 * image.nbytes
