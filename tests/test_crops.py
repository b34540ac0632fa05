"""Tests of random crops and turns, against cuts by hand."""

import jax
import numpy as np

from caejax.ops.crops import random_crops, random_turns

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
