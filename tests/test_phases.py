"""Tests of images taken apart into phases."""

import jax
import numpy as np
import pytest

from caejax.metrics import phases
from caejax.metrics.table import PERIODS

_phase_means = jax.jit(phases.phase_means, static_argnums=1)


def test_phase_means_by_hand():
    x = np.array([[1.0, 2, 3, 4, 9], [5, 6, 7, 8, 9], [9, 9, 9, 9, 9]])
    x = x.reshape(1, 3, 5, 1)
    np.testing.assert_array_equal(phases.crop_to_multiple(x, 2), x[:, :2, :4])
    expected = np.array([[2, 3], [6, 7]]).reshape(1, 2, 2, 1)
    np.testing.assert_array_equal(_phase_means(x, 2), expected)


@pytest.mark.parametrize("period", PERIODS)
def test_phase_variance_is_the_power_on_the_lattice(period, normal):
    """Var_p(mu_p) = N^-4 times the sum of |X|^2 over the lattice without DC."""
    x = normal(2, 24, 32, 3)
    power = np.abs(np.fft.fft2(x, axes=(1, 2))) ** 2
    lattice = power[:, :: 24 // period, :: 32 // period].sum((1, 2)) - power[:, 0, 0]
    variance = np.var(_phase_means(x, period), (1, 2))
    np.testing.assert_allclose(variance, lattice / (24 * 32) ** 2, rtol=1e-4)


def test_high_pass_by_hand():
    x = np.zeros((1, 9, 10, 1), np.float32)
    x[0, 4, 4] = 4
    x[0, 3, 5] = 8
    # Inside are (4, 4) and (4, 5), which has both as neighbours.
    expected = np.array([4.0, -3.0]).reshape(1, 1, 2, 1)
    np.testing.assert_array_equal(jax.jit(phases.high_pass)(x), expected)
    np.testing.assert_array_equal(phases.drop_border(x), x[:, 4:5, 4:6])


def test_high_pass_removes_linear_trends():
    y, x = np.mgrid[:12, :16].astype(np.float32)
    plane = (3 * y - 2 * x + 5)[None, ..., None]
    assert np.abs(jax.jit(phases.high_pass)(plane)).max() < 1e-5


def test_phase_power_by_hand():
    x = np.array([[1.0, 2], [3, 0], [3, 0], [1, 4]]).reshape(1, 4, 2, 1)
    power = jax.jit(phases.phase_power, static_argnums=1)(x, 2)
    np.testing.assert_array_equal(power, [[[5, 2], [5, 8]]])
    assert phases.phase_ratio_db(power).item() == pytest.approx(6.0206, abs=1e-3)
    assert phases.phase_variation(power).item() == pytest.approx(
        np.std([5, 2, 5, 8]) / 5
    )


def test_equal_or_no_power_is_no_ratio():
    for power in (np.ones((2, 2), np.float32), np.zeros((2, 2), np.float32)):
        assert phases.phase_ratio_db(power) == 0
        assert phases.phase_variation(power) == 0
