"""Tests of changed colours."""

import itertools

import jax
import numpy as np

from caejax.ops.colors import STRONGEST, random_colors

IMAGES = np.random.default_rng(0).uniform(0.3, 0.7, (200, 2, 2, 3)).astype(np.float32)


def changes(before, after):
    """(order, factor) by which an image's colours were changed."""
    for order in itertools.permutations(range(3)):
        moved = before[..., list(order)]
        away = moved - moved.mean(-1, keepdims=True)
        found = after - moved.mean(-1, keepdims=True)
        factor = (found * away).sum() / (away**2).sum()
        if factor > 0 and np.allclose(found, factor * away, atol=1e-5):
            return order, factor
    raise AssertionError("colours were changed otherwise")


def test_channels_are_exchanged_and_colours_stronger_or_paler():
    found = np.asarray(random_colors(jax.random.key(0), IMAGES, 1.0))
    orders, factors = zip(*map(changes, IMAGES, found), strict=True)
    assert len(set(orders)) == 6
    assert min(factors) >= 1 / STRONGEST - 1e-4
    assert max(factors) <= STRONGEST + 1e-4
    assert abs(np.mean(np.log2(factors))) < 0.15  # as often paler as stronger


def test_greys_stay_and_values_stay_in_range():
    grey = np.repeat(IMAGES[..., :1], 3, axis=-1)
    found = random_colors(jax.random.key(0), grey, 1.0)
    np.testing.assert_allclose(found, grey, atol=1e-6)
    extreme = (IMAGES > 0.5).astype(np.float32)
    found = np.asarray(random_colors(jax.random.key(0), extreme, 1.0))
    assert found.min() >= 0
    assert found.max() <= 1


def test_only_a_share_is_changed():
    found = np.asarray(random_colors(jax.random.key(0), IMAGES, 0.25))
    same = (found == IMAGES).all((1, 2, 3)).mean()
    assert 0.65 < same < 0.85
    none = random_colors(jax.random.key(0), IMAGES, 0.0)
    np.testing.assert_array_equal(none, IMAGES)
