"""Tests of what autoencoders are compared with."""

import jax.numpy as jnp
import numpy as np
import pytest

from caejax.evaluation.pca import fit_components, project
from caejax.evaluation.posterior import posterior_mean

SHAPE = (4, 3, 2)


@pytest.fixture
def images():
    """Draws images in [0, 1] whose pixels go together, or noisy ones."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(24, 24)) / 5

    def draw(count, sigma=0.0):
        x = 1 / (1 + np.exp(-2 * rng.normal(size=(count, 24)) @ mixing))
        x += sigma * rng.normal(size=x.shape)
        return x.reshape(count, *SHAPE).astype(np.float32)

    return draw


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


@pytest.mark.parametrize("count", [1, 6, 24])
def test_projections_are_those_of_the_singular_vectors(count, images):
    train, noisy = images(5000), images(6, 0.3)
    mean = train.astype(np.float64).mean(0)
    rows = (train - mean).reshape(-1, 24)
    basis = np.linalg.svd(rows, full_matrices=False)[2][:count]
    expected = (noisy - mean).reshape(-1, 24) @ basis.T @ basis
    components = fit_components(train, count)
    np.testing.assert_allclose(
        project(noisy, components), expected.reshape(noisy.shape) + mean, atol=1e-5
    )
    gram = components.basis @ components.basis.T
    np.testing.assert_allclose(gram, np.eye(count), atol=1e-6)


def test_all_components_lose_nothing_and_few_keep_what_they_made(images):
    train, noisy = images(200), images(6, 0.3)
    np.testing.assert_allclose(
        project(noisy, fit_components(train, 24)), noisy, atol=1e-5
    )
    few = fit_components(train, 5)
    once = project(noisy, few)
    np.testing.assert_allclose(project(once, few), once, atol=1e-5)
    errors = [
        ((project(train, fit_components(train, count)) - train) ** 2).mean()
        for count in (1, 5, 10, 20)
    ]
    assert errors == sorted(errors, reverse=True)


def test_components_by_hand():
    # Points on a line of slope 2 through (1, 1), and one of its normals.
    train = jnp.array([[0.0, -1], [1, 1], [2, 3]]).reshape(3, 2, 1, 1)
    components = fit_components(train, 1)
    np.testing.assert_allclose(components.mean.ravel(), [1, 1])
    direction = components.basis[0] * np.sign(components.basis[0, 0])
    np.testing.assert_allclose(direction, np.array([1, 2]) / np.sqrt(5), rtol=1e-6)
    off_line = jnp.array([3.0, 0]).reshape(1, 2, 1, 1)  # (1, 1) + (2, -1)
    np.testing.assert_allclose(project(off_line, components).ravel(), 1, atol=1e-6)


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
        (lambda: fit_components(BATCH, 25), "count is 25; an image has 1 to 24"),
        (lambda: fit_components(BATCH, 0), "count is 0"),
        (lambda: fit_components(BATCH[:0], 1), "no images"),
        (
            lambda: project(BATCH[:, :3], fit_components(BATCH, 1)),
            r"of images \(4, 3, 2\), got \(3, 3, 2\)",
        ),
    ],
)
def test_mistakes_are_refused_in_one_line(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)
