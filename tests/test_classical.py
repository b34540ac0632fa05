"""Tests of the denoisers of scikit-image and of their tuning."""

import sys
import types

import numpy as np
import pytest
from scipy.ndimage import median_filter

from caejax.errors import CaejaxError
from caejax.evaluation import classical
from caejax.evaluation.classical import CLASSICAL, denoise, missing_packages, tune


@pytest.fixture(params=[name for name in CLASSICAL if name != "bm3d"])
def name(request):
    """A denoiser that is fast; skipped where its packages are not installed."""
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


def test_bm3d_is_given_colours_together_and_other_channels_alone(monkeypatch):
    calls = []

    def fake(image, sigma):
        calls.append((image.shape, sigma))
        return image * 0

    fakes = types.SimpleNamespace(bm3d=fake, bm3d_rgb=fake)
    monkeypatch.setitem(sys.modules, "bm3d", fakes)
    for channels, shapes in ((3, [(16, 12, 3)]), (2, [(16, 12)] * 2)):
        images = smooth_images(channels)[:1]
        found = denoise("bm3d", images, {"sigma": 0.2})
        mean = np.broadcast_to(images.mean(), images.shape)
        np.testing.assert_allclose(found, mean, rtol=1e-6)
        assert calls == [(shape, 0.2) for shape in shapes]
        calls.clear()
    with pytest.raises(CaejaxError, match="at least 8x8 pixels, got 4x16"):
        denoise("bm3d", np.zeros((1, 4, 16, 1), np.float32), {"sigma": 0.1})


def test_bm3d_removes_noise():
    if missing_packages("bm3d"):
        pytest.skip("bm3d is not installed")
    clean, noisy = smooth_images(1)[:1], smooth_images(1, 0.2)[:1]
    output = denoise("bm3d", noisy, {"sigma": 0.2})
    assert ((output - clean) ** 2).mean() < 0.3 * ((noisy - clean) ** 2).mean()


@pytest.mark.parametrize("channels", [1, 3])
def test_non_local_means_are_those_of_the_formula(channels):
    noisy = smooth_images(channels, 0.2)[:2]
    found = denoise("nlm", noisy, {"h": 0.3, "patch_size": 3})
    wide = np.pad(noisy, ((0, 0), (7, 7), (7, 7), (0, 0)), "reflect")
    patches = np.lib.stride_tricks.sliding_window_view(wide, (3, 3), (1, 2))
    for y, x in ((0, 0), (9, 5), (15, 11)):
        near = patches[:, y : y + 13, x : x + 13]
        own = patches[:, y + 6, x + 6][:, None, None]
        weights = np.exp(-((near - own) ** 2).mean((3, 4, 5)) / 0.3**2)
        mean = np.einsum("nyx,nyxc->nc", weights, near[..., 1, 1])
        expected = mean / weights.sum((1, 2))[:, None]
        np.testing.assert_allclose(found[:, y, x], expected, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_tuned_non_local_means_are_as_good_as_those_of_scikit_image(channels):
    # Theirs is of other strengths: its fast mode sums over patches of one pixel less a
    # side, and takes another exponential.
    skimage = pytest.importorskip("skimage.restoration")
    clean, noisy = smooth_images(channels), smooth_images(channels, 0.2)
    errors = [
        np.mean(
            [
                (
                    skimage.denoise_nl_means(
                        x, **point, patch_distance=6, channel_axis=-1
                    ).reshape(y.shape)
                    - y
                )
                ** 2
                for x, y in zip(noisy, clean, strict=True)
            ]
        )
        for point in CLASSICAL["nlm"].grid
    ]
    assert min(tune("nlm", noisy, clean)[1]) <= 1.05 * min(errors)


def test_what_needs_no_package_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    assert missing_packages("median") == missing_packages("nlm") == []
    noisy = smooth_images(1, 0.2)
    for name in ("median", "nlm"):
        denoise(name, noisy, CLASSICAL[name].grid[0])
