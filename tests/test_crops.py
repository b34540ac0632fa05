"""Tests of random crops and turns, against cuts by hand."""

import jax
import numpy as np

from caejax.ops.crops import random_crops, random_turns, some_halved

# The value of a pixel says which it is.
IMAGES = np.arange(3 * 7 * 9 * 2).reshape(3, 7, 9, 2).astype(np.int32)


def test_crops_are_cut_by_hand(key):
    index = np.array([2, 0, 0, 1] * 50)
    crops = np.asarray(random_crops(key, IMAGES, index, 4))
    corners = set()
    for i, crop in zip(index, crops, strict=True):
        first = crop[0, 0, 0]
        y, x = (first // 2 % 63) // 9, first // 2 % 9
        np.testing.assert_array_equal(crop, IMAGES[i, y : y + 4, x : x + 4])
        corners.add((y, x))
    # All places are met, those at the border as others.
    assert corners == {(y, x) for y in range(4) for x in range(6)}


def test_turns_are_the_eight_of_a_square(key):
    square = IMAGES[0, :7, :7]
    turned = np.asarray(random_turns(key, np.repeat(square[None], 400, axis=0)))
    eight = [np.rot90(flip, k) for flip in (square, square[::-1]) for k in range(4)]
    counts = [(turned == one).all((1, 2, 3)).sum() for one in eight]
    assert sum(counts) == 400
    assert min(counts) > 25  # of 50: five standard deviations would be 17


def test_other_shapes_are_only_flipped(key):
    image = IMAGES[1]
    turned = np.asarray(random_turns(key, np.repeat(image[None], 200, axis=0)))
    four = [image, image[::-1], image[:, ::-1], image[::-1, ::-1]]
    counts = [(turned == one).all((1, 2, 3)).sum() for one in four]
    assert sum(counts) == 200
    assert min(counts) > 20


def test_another_key_cuts_elsewhere():
    index = np.arange(3)
    cuts = [random_crops(jax.random.key(k), IMAGES, index, 2) for k in (0, 0, 1)]
    np.testing.assert_array_equal(cuts[0], cuts[1])
    assert not np.array_equal(cuts[0], cuts[2])


def test_halved_squares_are_means_of_twice_as_large_ones():
    """Each of them is a place of the image whose four neighbours are averaged."""
    index = np.zeros(50, np.int32)
    images = np.random.default_rng(0).integers(0, 256, (1, 9, 8, 2), np.uint8)
    squares = random_crops(jax.random.key(0), images, index, 3)
    small = np.asarray(some_halved(jax.random.key(1), squares, images, index, 1.0))
    means = np.asarray(images[0], float) / 255
    means = (means[:-1] + means[1:])[:, :-1] / 4 + (means[:-1] + means[1:])[:, 1:] / 4
    places = [means[y : y + 5 : 2, x : x + 5 : 2] for y in range(4) for x in range(3)]
    seen = {
        next(i for i, place in enumerate(places) if np.allclose(place, one, atol=1e-6))
        for one in small
    }
    assert len(seen) > 6


def test_only_a_share_of_squares_is_halved():
    index = np.zeros(400, np.int32)
    images = np.random.default_rng(0).random((1, 8, 8, 1), np.float32)
    squares = random_crops(jax.random.key(0), images, index, 3)
    found = some_halved(jax.random.key(1), squares, images, index, 0.25)
    same = (found == squares).all((1, 2, 3)).mean()
    assert 0.65 < same < 0.85
    none = some_halved(jax.random.key(1), squares, images, index, 0.0)
    np.testing.assert_array_equal(none, squares)
