"""Tests of mixtures of Gaussians, against SciPy's."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from caejax.inference import mixture


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_one_gaussian_is_mean_and_covariance(normal, rng):
    codes = normal(200, 3) @ np.array([[1, 0.5, 0], [0, 2, 0], [0, 0, 0.1]]) + 5
    fitted, likelihood = mixture.fit(codes, 1, diagonal=False, rng=rng)
    covariance = np.cov(codes.T, bias=True)
    np.testing.assert_allclose(fitted.means[0], codes.mean(0), rtol=1e-6)
    np.testing.assert_allclose(fitted.covariances[0], covariance, atol=1e-5)
    reference = multivariate_normal(codes.mean(0), covariance).logpdf(codes).mean()
    assert likelihood == pytest.approx(reference, abs=1e-3)
    fitted, _ = mixture.fit(codes, 1, diagonal=True, rng=rng)
    np.testing.assert_allclose(fitted.covariances[0], codes.var(0), rtol=1e-3)


@pytest.mark.parametrize("diagonal", [False, True])
def test_densities_are_scipys(normal, diagonal):
    roots = normal(2, 3, 3).astype(np.float64)
    covariances = roots @ roots.swapaxes(1, 2) + np.eye(3)
    if diagonal:
        covariances = covariances.diagonal(axis1=1, axis2=2)
    both = mixture.Mixture(np.array([0.3, 0.7]), np.float64(normal(2, 3)), covariances)
    x = np.float64(normal(6, 3))
    # SciPy takes a vector for the diagonal, too.
    expected = [
        np.log(weight) + multivariate_normal(mean, covariance).logpdf(x)
        for weight, mean, covariance in zip(*both, strict=True)
    ]
    np.testing.assert_allclose(mixture.log_densities(both, x).T, expected, rtol=1e-9)


@pytest.mark.parametrize("diagonal", [False, True])
def test_a_mixture_is_found_again_from_its_draws(rng, diagonal):
    wide, narrow = np.array([4.0, 1.0]), np.array([0.25, 0.25])
    covariances = np.stack([wide, narrow])
    if not diagonal:
        covariances = np.stack([np.array([[4, 1.2], [1.2, 1]]), np.diag(narrow)])
    true = mixture.Mixture(
        np.array([0.25, 0.75]), np.array([[0.0, 0.0], [8.0, 3.0]]), covariances
    )
    draws = mixture.draw(true, 20_000, rng)
    steps = []
    fitted, _ = mixture.fit(draws, 2, diagonal=diagonal, rng=rng, advance=steps.append)
    order = np.argsort(fitted.weights)
    np.testing.assert_allclose(fitted.weights[order], true.weights, atol=0.01)
    np.testing.assert_allclose(fitted.means[order], true.means, atol=0.08)
    np.testing.assert_allclose(fitted.covariances[order], covariances, atol=0.15)
    assert 1 < len(steps) < mixture.STEPS


def test_dead_units_and_equal_codes_do_no_harm(rng):
    codes = np.zeros((30, 4))
    codes[:15, 1] = 1
    for values in (codes, np.zeros((30, 4))):
        for diagonal in (False, True):
            fitted, likelihood = mixture.fit(values, 3, diagonal=diagonal, rng=rng)
            assert np.isfinite(likelihood)
            assert np.isfinite(mixture.draw(fitted, 9, rng)).all()
