"""Tests of the posterior mean over training images."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers.images import SHAPE, correlated_images

from caejax.evaluation.posterior import posterior_mean


@pytest.fixture
def images():
    return correlated_images()


def direct_posterior_mean(noisy, train, sigma):
    """As the formula says, in float64."""
    difference = noisy[:, None].astype(np.float64) - train[None]
    score = -(difference**2).sum((2, 3, 4)) / (2 * sigma**2)
    weights = np.exp(score - score.max(1, keepdims=True))
    return np.einsum("bn,nhwc->bhwc", weights / weights.sum(1, keepdims=True), train)


# Chunks hold 1024 images.
@pytest.mark.parametrize("count", [7, 1024, 1025, 2500])
def test_posterior_means_are_those_of_the_formula(count, images):
    train = images(count)
    for sigma in (0.05, 0.3, 1.0):
        noisy = images(5, sigma)
        expected = direct_posterior_mean(noisy, train, sigma)
        value = posterior_mean(noisy, train, sigma)
        np.testing.assert_allclose(value, expected, atol=1e-5)


def test_a_posterior_mean_by_hand():
    # Squared distances 1/4 and 9/4, sigma 1: odds of e to one.
    train = jnp.array([0.0, 2.0]).reshape(2, 1, 1, 1)
    value = posterior_mean(jnp.full((1, 1, 1, 1), 0.5), train, 1.0)
    assert value.item() == pytest.approx(2 / (1 + np.e), rel=1e-5)


def test_the_posterior_mean_goes_from_the_nearest_image_to_the_mean(images):
    train, noisy = images(1500), images(4, 0.2)
    distance = ((noisy[:, None] - train[None]) ** 2).sum((2, 3, 4))
    nearest = posterior_mean(noisy, train, 1e-4)
    np.testing.assert_allclose(nearest, train[distance.argmin(1)], atol=1e-5)
    for image in posterior_mean(noisy, train, 1e4):
        np.testing.assert_allclose(image, train.mean(0), atol=1e-5)


def test_far_noise_and_a_single_image_have_a_posterior_mean(images):
    train = images(1300)
    assert np.isfinite(posterior_mean(100 * images(3), train, 0.01)).all()
    one = posterior_mean(images(3), train[:1], 0.1)
    np.testing.assert_allclose(one, np.repeat(train[:1], 3, 0), atol=1e-6)


BATCH = np.zeros((2, *SHAPE), np.float32)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: posterior_mean(BATCH, BATCH[:, :3], 0.1),
            r"noisy's shape \(4, 3, 2\)",
        ),
        (lambda: posterior_mean(BATCH, BATCH[:0], 0.1), r"got \(0, 4, 3, 2\)"),
        (lambda: posterior_mean(BATCH[0], BATCH, 0.1), r"noisy must be \(B, H, W, C\)"),
        (lambda: posterior_mean(BATCH, BATCH.astype(np.uint8), 0.1), "train has dtype"),
        (lambda: posterior_mean(BATCH, BATCH, 0.0), r"sigma is 0\.0"),
    ],
)
def test_mistakes_are_refused_in_one_line(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)
