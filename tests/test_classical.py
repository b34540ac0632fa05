"""Tests of the denoisers of scikit-image and of their tuning."""

import numpy as np
import pytest
from scipy.ndimage import median_filter

from caejax.evaluation import classical
from caejax.evaluation.classical import CLASSICAL, denoise, missing_packages, tune


@pytest.fixture(params=CLASSICAL)
def name(request):
    """A denoiser; skipped where its packages are not installed."""
    if missing := missing_packages(request.param):
        pytest.skip(f"{request.param} needs {' and '.join(missing)}, not installed")
    return request.param


def smooth_images(channels, sigma=0.0):
    """Four (4, 16, 12, C) images of one bright square each, noisy or not."""
    rng = np.random.default_rng(0)
    images = np.full((4, 16, 12, channels), 0.2, np.float32)
    for i, image in enumerate(images):
        image[3 + i : 11 + i, 2:8] = np.linspace(0.6, 0.9, channels)
    noise = sigma * rng.normal(size=images.shape)
    return np.clip(images + noise, 0, 1).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 3])
def test_tuned_denoisers_have_the_least_error_and_beat_the_input(
    channels, name, monkeypatch
):
    clean, noisy = smooth_images(channels), smooth_images(channels, 0.2)
    grid = CLASSICAL[name].grid[::3]
    small = CLASSICAL[name]._replace(grid=grid)
    monkeypatch.setitem(classical.CLASSICAL, name, small)
    best, errors = tune(name, noisy, clean)
    output = denoise(name, noisy, best)
    assert (output.shape, output.dtype) == (noisy.shape, np.float32)
    assert output.min() >= 0
    assert output.max() <= 1
    by_hand = [((denoise(name, noisy, point) - clean) ** 2).mean() for point in grid]
    np.testing.assert_allclose(errors, by_hand, rtol=1e-6)
    assert best == grid[int(np.argmin(by_hand))]
    assert min(errors) < 0.6 * ((noisy - clean) ** 2).mean()


def test_denoisers_keep_constant_images(name):
    flat = np.full((2, 16, 16, 1), 0.25, np.float32)
    for parameters in (CLASSICAL[name].grid[0], CLASSICAL[name].grid[-1]):
        np.testing.assert_allclose(denoise(name, flat, parameters), flat, atol=1e-5)


def test_medians_are_those_of_each_channel():
    noisy = smooth_images(2, 0.3)
    expected = median_filter(noisy, (1, 5, 5, 1), mode="nearest")
    np.testing.assert_allclose(denoise("median", noisy, {"size": 5}), expected)


def test_grids_have_distinct_points():
    for method in CLASSICAL.values():
        points = {tuple(point.items()) for point in method.grid}
        assert len(points) == len(method.grid) > 3
