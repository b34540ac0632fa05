"""Tests of changed colours."""

import itertools

import jax
import numpy as np

from caejax.ops import colors
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


def test_channels_are_exchanged_and_colours_stronger_or_paler(monkeypatch):
    monkeypatch.setattr(colors, "_mixed", lambda key, images: images)
    found = np.asarray(random_colors(jax.random.key(0), IMAGES, 1.0))
    orders, factors = zip(*map(changes, IMAGES, found), strict=True)
    assert len(set(orders)) == 6
    assert min(factors) >= 1 / STRONGEST - 1e-4
    assert max(factors) <= STRONGEST + 1e-4
    assert abs(np.mean(np.log2(factors))) < 0.15  # as often paler as stronger


def test_edges_of_brightness_become_edges_of_colour():
    grey = np.repeat(IMAGES[..., :1], 3, axis=-1)
    found = np.asarray(random_colors(jax.random.key(0), grey, 1.0))
    slopes = []
    for before, after in zip(grey[..., 0].reshape(200, -1), found, strict=True):
        ones = np.ones_like(before)
        design = np.stack([before, ones], 1)
        fit, left, *_ = np.linalg.lstsq(design, after.reshape(-1, 3), rcond=None)
        assert left.max() < 1e-10  # each channel is a line in what was grey
        ends = fit[1], fit.sum(0)  # at 0 and at 1
        assert np.min(ends) > -1e-4
        assert np.max(ends) < 1 + 1e-4
        slopes.append(fit[0])
    slopes = np.array(slopes)
    assert 0.05 < (slopes < 0).mean() < 0.4  # bright becomes dark, but seldom
    assert np.ptp(slopes, axis=1).min() > 1e-3  # no image stays grey


def test_values_stay_in_range():
    extreme = (IMAGES > 0.5).astype(np.float32)
    found = np.asarray(random_colors(jax.random.key(0), extreme, 1.0))
    assert found.min() >= -1e-6
    assert found.max() <= 1 + 1e-6


def test_mixtures_by_hand():
    images = IMAGES[:5]
    key = jax.random.key(3)
    weights, shares = jax.random.split(key)
    weight = np.asarray(jax.random.uniform(weights, (5, 3, 3), minval=-1, maxval=1))
    share = np.asarray(jax.random.uniform(shares, (5, 1, 1, 1)))
    expected = np.empty_like(images)
    for i, c in itertools.product(range(5), range(3)):
        w = weight[i, :, c]
        least, most = w[w < 0].sum(), w[w > 0].sum()
        mixture = (images[i] @ w - least) / (most - least)
        t = share[i, 0, 0, 0]
        expected[i, ..., c] = (1 - t) * images[i, ..., c] + t * mixture
    np.testing.assert_allclose(colors._mixed(key, images), expected, atol=1e-6)


def test_only_a_share_is_changed():
    found = np.asarray(random_colors(jax.random.key(0), IMAGES, 0.25))
    same = (found == IMAGES).all((1, 2, 3)).mean()
    assert 0.65 < same < 0.85
    none = random_colors(jax.random.key(0), IMAGES, 0.0)
    np.testing.assert_array_equal(none, IMAGES)
