"""Tests of the dead-leaves images."""

import numpy as np
import pytest

from caejax.data import dead_leaves
from caejax.errors import CaejaxError

REQUEST = {
    "train_size": 3,
    "test_size": 2,
    "image_size": (28, 28),
    "channels": 1,
    "seed": 0,
}


def draw(size: int, **changes) -> np.ndarray:
    return dead_leaves.load(**REQUEST | {"train_size": size} | changes)[0].images


@pytest.fixture(scope="module")
def grey() -> np.ndarray:
    return draw(300)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("image_size", [(8, 8), (28, 28), (16, 40), (70, 24)])
def test_arrays_follow_the_contract(image_size, channels):
    request = {"image_size": image_size, "channels": channels}
    for split, size in zip(dead_leaves.load(**REQUEST | request), (3, 2), strict=True):
        assert split.labels is None
        assert split.images.shape == (size, *image_size, channels)
        assert split.images.dtype == np.float32
        assert split.images.min() >= 0
        assert split.images.max() <= 1


def test_seed_decides_everything():
    np.testing.assert_array_equal(draw(3), draw(3))
    assert not np.array_equal(draw(3), draw(3, seed=1))


def test_a_larger_request_starts_with_the_smaller():
    np.testing.assert_array_equal(draw(3), draw(8, test_size=1)[:3])


def test_no_image_comes_twice():
    train, test = dead_leaves.load(**REQUEST | {"train_size": 20, "test_size": 20})
    assert len(np.unique(np.concatenate([train.images, test.images]), axis=0)) == 40


def test_leaves_cover_everything(monkeypatch):
    ones = np.ones((dead_leaves.BATCH, 1))
    monkeypatch.setattr(dead_leaves, "_paint", lambda rng, channels: ones)
    np.testing.assert_array_equal(draw(3, image_size=(9, 30)), 1)


def test_front_to_back_agrees_with_the_painter():
    extent, samples = np.array([1.5, 1]), dead_leaves._samples((8, 12))
    radii = dead_leaves._radii(extent)
    image = dead_leaves._cover(np.random.default_rng(0), samples, extent, radii, 1)
    rng = np.random.default_rng(0)
    batches = [
        (dead_leaves._leaves(rng, extent, radii), dead_leaves._paint(rng, 1))
        for _ in range(40)
    ]
    painted = np.full_like(image, np.nan)
    for leaves, paint in reversed(batches):
        for leaf, colour in zip(leaves.T[::-1], paint[::-1], strict=True):
            x, y = -leaf[:2] / 2
            radius = np.sqrt(x**2 + y**2 - leaf[3])
            painted[np.hypot(samples[:, 0] - x, samples[:, 1] - y) < radius] = colour
    assert np.mean(painted == image) > 0.999


@pytest.mark.parametrize("extent", [(1.0, 1.0), (4.0, 1.0)])
def test_radii_are_those_of_a_power_law_that_reach_the_image(extent):
    rng, size = np.random.default_rng(0), 1_000_000
    extent, low, high = np.array(extent), dead_leaves.R_MIN, dead_leaves.R_MAX
    radius = (low**-2 - rng.random(size) * (low**-2 - high**-2)) ** -0.5
    centre = rng.uniform(-extent / 2 - high, extent / 2 + high, size=(size, 2))
    reach = (np.abs(centre) < extent / 2 + radius[:, None]).all(axis=1)
    levels = np.linspace(0.05, 0.95, 10)
    quantiles = np.interp(levels, *dead_leaves._radii(extent))
    np.testing.assert_allclose(quantiles, np.quantile(radius[reach], levels), rtol=0.02)


def test_leaves_fall_everywhere_alike():
    radii, rng = dead_leaves._radii(np.ones(2)), np.random.default_rng(0)
    x, y = np.array([[0, 0], [0.5, 0], [0.5, -0.5]]).T
    samples = np.stack([x, y, x**2 + y**2, np.ones(3)], axis=1)
    leaves = [dead_leaves._leaves(rng, np.ones(2), radii) for _ in range(2000)]
    rate = np.mean(samples @ np.hstack(leaves) < 0, axis=1)
    # The integrals of pi r² r^-3 and of (1 + 2 r)² r^-3 over the radii.
    low, high = dead_leaves.R_MIN, dead_leaves.R_MAX
    octaves = np.log(high / low)
    reach = (low**-2 - high**-2) / 2 + 4 * (1 / low - 1 / high) + 4 * octaves
    np.testing.assert_allclose(rate, np.pi * octaves / reach, rtol=0.08)


def test_power_falls_as_the_square_of_frequency(grey):
    # Ten seeds give -2.12 to -2.19; noise would give 0 and lone edges -3.
    assert -2.4 < spectral_slope(grey[..., 0]) < -1.8


def spectral_slope(images: np.ndarray) -> float:
    """Slope of log power by log frequency, from 2 cycles an image to Nyquist."""
    side = images.shape[1]
    window = np.outer(np.hanning(side), np.hanning(side))
    power = np.abs(np.fft.fft2((images - images.mean()) * window)) ** 2
    cycles = np.fft.fftfreq(side, 1 / side)
    radius = np.rint(np.hypot(cycles[:, None], cycles)).astype(int)
    rings = np.arange(2, side // 2)
    mean = [power[:, radius == ring].mean() for ring in rings]
    return np.polyfit(np.log(rings), np.log(mean), 1)[0]


def test_greys_are_spread_evenly(grey):
    # Nearly uniform, of deviation 1/sqrt(12) = 0.29; averaging takes a little.
    assert grey.mean() == pytest.approx(0.5, abs=0.03)
    assert 0.2 < grey.std() < 0.29


def test_edges_are_averages_of_nine_samples(monkeypatch):
    def black_or_white(rng: np.random.Generator, channels: int) -> np.ndarray:
        return rng.integers(2, size=(dead_leaves.BATCH, 1))

    monkeypatch.setattr(dead_leaves, "_paint", black_or_white)
    ninths = 9 * draw(10)
    np.testing.assert_allclose(ninths, np.rint(ninths), atol=1e-5)
    assert set(np.rint(ninths).ravel()) == set(range(10))


def test_colour_is_mostly_brightness():
    colour = draw(50, channels=3)
    correlation = np.corrcoef(colour.reshape(-1, 3).T)[np.triu_indices(3, 1)]
    assert (correlation > 0.8).all()
    assert (correlation < 0.97).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": 4}, "channels is 4"),
        ({"image_size": (28, 5)}, "image_size is 28x5"),
    ],
)
def test_impossible_requests(change, message):
    with pytest.raises(CaejaxError, match=rf"^data\.{message}: give .*$"):
        dead_leaves.load(**REQUEST | change)
