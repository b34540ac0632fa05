"""Tests of principal components."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers.images import SHAPE, correlated_images

from caejax.evaluation import pca
from caejax.evaluation.pca import fit_components, project


@pytest.fixture
def images():
    return correlated_images()


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


@pytest.mark.parametrize("count", [1, 5, 9, 24])
def test_few_images_have_the_components_of_their_singular_vectors(
    count, images, monkeypatch
):
    monkeypatch.setattr(pca, "_CHUNK", 7)  # of 24 numbers
    train, noisy = images(10), images(6, 0.3)
    mean = train.astype(np.float64).mean(0)
    rows = (train - mean).reshape(-1, 24)
    basis = np.linalg.svd(rows, full_matrices=False)[2][: min(count, 9)]
    components = fit_components(train, count)
    # Ten images vary in nine directions around their mean.
    assert components.basis.shape == (min(count, 9), 24)
    gram = components.basis @ components.basis.T
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-5)
    expected = (noisy - mean).reshape(-1, 24) @ basis.T @ basis
    np.testing.assert_allclose(
        project(noisy, components), expected.reshape(noisy.shape) + mean, atol=1e-5
    )


def test_the_smaller_side_is_solved_for(monkeypatch):
    sizes = []
    monkeypatch.setattr(
        pca, "_largest", lambda matrix, count: sizes.append(matrix.shape) or 1 / 0
    )
    for count, shape in ((30, (2, 3, 1)), (5, (64, 64, 3))):
        with pytest.raises(ZeroDivisionError):
            fit_components(np.ones((count, *shape), np.float32), 1)
    assert sizes == [(6, 6), (5, 5)]


def test_equal_images_have_a_component_of_no_length_at_most():
    components = fit_components(np.ones((3, 2, 2, 1), np.float32), 2)
    noisy = np.zeros((1, 2, 2, 1), np.float32)
    np.testing.assert_array_equal(project(noisy, components), 1)


BATCH = np.zeros((2, *SHAPE), np.float32)


@pytest.mark.parametrize(
    ("call", "words"),
    [
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
