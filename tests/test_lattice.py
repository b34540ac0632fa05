"""Tests of spectra and of the lattice's frequencies."""

import jax
import numpy as np
import pytest

from caejax.metrics.lattice import lattice_masks, spectrum


def test_spectrum_is_a_share_of_each_image(normal):
    residual = normal(3, 16, 20, 2)
    residual[1] = 0
    shares = np.asarray(jax.jit(spectrum, static_argnums=1)(residual, 8))
    assert shares.shape == (3, 16, 16)
    np.testing.assert_allclose(shares.sum((1, 2)), [1, 0, 1], rtol=1e-5)
    assert shares[0, 0, 0] == pytest.approx(0, abs=1e-10)


def test_masks_by_hand():
    peaks, neighbours = lattice_masks(4, 4, 2)
    expected = [[0, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(peaks, expected)
    expected = [[0, 4, 0, 4], [4, 1, 1, 1], [0, 1, 0, 1], [4, 1, 1, 1]]
    np.testing.assert_array_equal(neighbours, np.array(expected) / 8)


@pytest.mark.parametrize("size", [(16, 16), (24, 40), (64, 32)])
@pytest.mark.parametrize(
    ("period", "new", "on_axes"), [(2, 3, 2), (4, 12, 4), (8, 48, 8)]
)
def test_masks_weigh_axes_and_the_rest_alike(size, period, new, on_axes):
    peaks, neighbours = lattice_masks(*size, period)
    assert peaks.shape == neighbours.shape == size
    assert set(np.unique(peaks)) == {0, 1}
    assert not (peaks * neighbours).any()
    for mask in (peaks, neighbours):
        assert mask.sum() == pytest.approx(new, rel=1e-5)
        assert mask[0].sum() + mask[:, 0].sum() == pytest.approx(on_axes, rel=1e-5)


@pytest.mark.parametrize(
    ("size", "period"), [((16, 8), 8), ((6, 6), 4), ((24, 20), 8), ((2, 2), 2)]
)
def test_masks_need_two_periods(size, period):
    with pytest.raises(ValueError, match=f"period {period} needs"):
        lattice_masks(*size, period)
