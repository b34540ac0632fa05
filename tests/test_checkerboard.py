"""Tests of the checkerboard metrics."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from skimage.filters import gaussian
from test_models import random_variables

from caejax.metrics import checkerboard
from caejax.metrics.checkerboard import (
    PERIODS,
    constant_response,
    dc_ripple_db,
    lattice_peak_db,
)
from caejax.metrics.lattice import lattice_masks, peak_db, spectrum
from caejax.metrics.phases import crop_to_multiple, phase_means
from caejax.models.autoencoders import create_model
from caejax.models.upsampling import UPSAMPLING

_ripple = jax.jit(dc_ripple_db, static_argnums=(0, 2))
_phase_means = jax.jit(phase_means, static_argnums=1)


def peak(output, target, period):
    return lattice_peak_db(output, target, period).item()


def ripple(decode, period):
    return _ripple(decode, FEATURES, period).item()


def unit_pattern(period, seed=0):
    """A random pattern of one period, zero mean and unit RMS.

    What repeats with half the period is taken out of it.
    """
    half = period // 2
    pattern = np.random.default_rng(seed).normal(size=(period, period))
    coarse = pattern.reshape(2, half, 2, half).mean((0, 2))
    pattern -= np.tile(coarse, (2, 2))
    return (pattern / pattern.std()).astype(np.float32)


def tiled(pattern, *size):
    """The pattern over an image of a size that may cut it: (1, H, W, 1)."""
    repeats = [-(-side // len(pattern)) for side in size]
    return np.tile(pattern, repeats)[None, : size[0], : size[1], None]


# Phase means.


def test_phase_means_by_hand():
    x = np.array([[1.0, 2, 3, 4, 9], [5, 6, 7, 8, 9], [9, 9, 9, 9, 9]])
    x = x.reshape(1, 3, 5, 1)
    np.testing.assert_array_equal(crop_to_multiple(x, 2), x[:, :2, :4])
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


# DC ripple.


def painter(pattern, amplitude, scale=8, frame=0):
    """A decoder that paints a pattern on grey, whatever the code."""

    def decode(code):
        height, width = (scale * side for side in code.shape[1:3])
        image = 0.5 + amplitude * tiled(pattern, height, width)
        inside = np.zeros_like(image)
        inside[:, frame : height - frame, frame : width - frame] = 1
        image = np.where(inside, image, np.arange(height).reshape(1, -1, 1, 1))
        return jnp.broadcast_to(jnp.float32(image), (len(code), height, width, 1))

    return decode


FEATURES = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype(np.float32)


@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize("amplitude", [0.1, 0.003])
def test_ripple_is_the_amplitude_in_decibels(period, amplitude):
    decode = painter(unit_pattern(period), amplitude)
    for measured in PERIODS:
        value = ripple(decode, measured)
        if measured % period == 0:
            assert value == pytest.approx(20 * np.log10(amplitude), abs=0.01)
        else:  # Nothing in it repeats as fast.
            assert value < -100


@pytest.mark.parametrize("scale", [1, 4, 16])
@pytest.mark.parametrize("period", PERIODS)
def test_ripple_is_measured_clear_of_the_borders(scale, period):
    margin = 4 * max(scale, period)
    decode = painter(unit_pattern(2), 0.01, scale, frame=margin)
    image = constant_response(decode, FEATURES, period)
    assert min(image.shape[1:3]) >= period
    assert image.shape[1] % period == image.shape[2] % period == 0
    assert ripple(decode, period) == pytest.approx(-40, abs=0.01)


@pytest.mark.parametrize("shift", [(0, 1), (3, 0), (5, 2)])
def test_ripple_does_not_depend_on_where_the_lattice_starts(shift):
    pattern = np.roll(unit_pattern(8), shift, (0, 1))
    value = ripple(painter(pattern, 0.01), 8)
    assert value == pytest.approx(-40, abs=0.01)


def test_ripple_is_a_mean_of_powers():
    """Over images and channels."""

    def decode(code):
        paint = painter(unit_pattern(2), 1.0)(code) - 0.5
        image = jnp.concatenate([0.01 * paint, 0.03 * paint], axis=-1)
        return image.at[1:].multiply(0)

    expected = 10 * np.log10((0.01**2 + 0.03**2) / 2 / len(FEATURES))
    assert ripple(decode, 2) == pytest.approx(expected, abs=0.01)


def test_decoder_sees_the_mean_code_everywhere():
    image = constant_response(lambda code: code, FEATURES, 2)
    expected = FEATURES.mean((1, 2), keepdims=True)
    np.testing.assert_allclose(image, np.broadcast_to(expected, image.shape), rtol=1e-5)


def test_ripple_has_a_floor():
    assert ripple(painter(unit_pattern(2), 0.0), 2) == -200


@pytest.mark.parametrize("kind", UPSAMPLING)
def test_resizing_decoders_are_clean_and_transposed_ones_are_not(kind, normal):
    settings = {"widths": (8, 8, 8), "latent_channels": 3, "upsampling": kind}
    model = create_model("conv", shape=(28, 28, 1), **settings)
    variables = random_variables(model, normal)
    decode = functools.partial(model.apply, variables, method="decode")
    value = ripple(decode, max(PERIODS))
    assert value > -60 if UPSAMPLING[kind].transposed else value < -100


# Lattice peaks.


def naive_peak_db(output, target, period):
    """The definition, frequency by frequency, with a Fourier transform by sums."""
    height, width = (side - side % period for side in output.shape[1:3])
    residual = np.float64(output - target)[:, :height, :width]
    residual -= residual.mean((1, 2), keepdims=True)

    def waves(n):
        return np.exp(-2j * np.pi * np.outer(np.arange(n), np.arange(n)) / n)

    spectrum = np.zeros((height, width))
    for image in residual:
        power = sum(
            np.abs(waves(height) @ image[..., c] @ waves(width)) ** 2
            for c in range(image.shape[-1])
        )
        spectrum += power / power.sum() / len(residual)

    def on_lattice(u, v, s):
        return u % (height // s) == 0 and v % (width // s) == 0

    peaks = around = 0
    for u, v in np.ndindex(height, width):
        if not on_lattice(u, v, period) or on_lattice(u, v, period // 2):
            continue
        near = []
        for i, j in np.ndindex(3, 3):
            y, x = (u + i - 1) % height, (v + j - 1) % width
            same_class = (y == 0 or x == 0) == (u == 0 or v == 0)
            if same_class and not on_lattice(y, x, period):
                near.append(spectrum[y, x])
        peaks += spectrum[u, v]
        around += np.mean(near)
    return 10 * np.log10(peaks / around)


def natural(normal, batch, size):
    """Images with the 1/f amplitude of photographs."""
    f = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None])
    f[0, 0] = 1
    spectrum = np.fft.fft2(normal(batch, size, size, 1), axes=(1, 2))
    image = np.fft.ifft2(spectrum / f[None, :, :, None], axes=(1, 2))
    return np.float32(image.real)


INPUTS = {
    "white": lambda normal: normal(2, 32, 32, 1),
    "colour": lambda normal: normal(2, 32, 48, 3),
    "cropped": lambda normal: normal(2, 28, 28, 1),
    "one_image": lambda normal: normal(1, 16, 24, 1),
    "natural": lambda normal: natural(normal, 2, 32),
    "planted": lambda normal: normal(2, 32, 32, 1) + tiled(unit_pattern(4), 32, 32),
}


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("period", PERIODS)
def test_peak_is_its_definition(name, period, normal):
    residual = INPUTS[name](normal)
    target = normal(*residual.shape)
    expected = naive_peak_db(target + residual, target, period)
    value = peak(target + residual, target, period)
    assert value == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("period", PERIODS)
def test_white_noise_has_no_peak(period, normal):
    noise = normal(2000, 16, 16, 1)
    assert peak(noise, 0 * noise, period) == pytest.approx(0, abs=0.4)


@pytest.mark.parametrize("period", PERIODS)
def test_peak_grows_with_the_planted_amplitude(period, normal):
    noise = normal(8, 32, 32, 1)
    pattern = tiled(unit_pattern(period), 32, 32)
    amplitudes = (0, 0.1, 0.2, 0.4, 0.8)
    values = [peak(noise + a * pattern, 0 * noise, period) for a in amplitudes]
    assert values == sorted(values)
    assert values[-1] > values[0] + 10


@pytest.mark.parametrize("period", PERIODS)
def test_peak_is_invariant(period, normal):
    residual = normal(2, 32, 32, 1) + tiled(unit_pattern(period), 32, 32)
    zero = np.zeros_like(residual)
    value = peak(residual, zero, period)
    for other in [
        peak(np.roll(residual, (1, 3), (1, 2)), zero, period),
        peak(1e-3 * residual, zero, period),
        peak(np.float32([[[[-5]]], [[[0.1]]]]) * residual, zero, period),
        peak(residual + 3, zero, period),
        peak(residual[::-1], zero, period),
        peak(residual.swapaxes(1, 2), zero, period),
    ]:
        assert other == pytest.approx(value, abs=0.01)


@pytest.mark.parametrize("period", [2, 4])
def test_period_three_adds_nothing(period, normal):
    noise = normal(1, 24, 24, 1)
    tone = np.cos(2 * np.pi * np.arange(24) / 3).reshape(1, -1, 1, 1)
    tone = np.float32(tone + tone.swapaxes(1, 2))
    value = peak(noise + 3 * tone, 0 * noise, period)
    assert value == pytest.approx(peak(noise, 0 * noise, period), abs=0.01)


@pytest.mark.parametrize("period", PERIODS)
def test_slower_patterns_do_not_count_as_faster_ones(period, normal):
    """Period 2S stays out of the peaks of period S, and S out of those of 2S."""
    noise = normal(1, 64, 64, 1)
    for other in {period // 2, 2 * period} - {1}:
        pattern = tiled(unit_pattern(other), 64, 64)
        value = peak(noise + 3 * pattern, 0 * noise, period)
        assert value == pytest.approx(peak(noise, 0 * noise, period), abs=0.01)


def test_spectrum_is_a_share_of_each_image(normal):
    residual = normal(3, 16, 20, 2)
    residual[1] = 0
    shares = np.asarray(jax.jit(spectrum, static_argnums=1)(residual, 8))
    assert shares.shape == (3, 16, 16)
    np.testing.assert_allclose(shares.sum((1, 2)), [1, 0, 1], rtol=1e-5)
    assert shares[0, 0, 0] == pytest.approx(0, abs=1e-10)


def test_no_residual_has_no_peak():
    x = jnp.ones((2, 16, 16, 1))
    assert peak(x, x, 4) == 0
    assert peak_db(jnp.zeros((16, 16)), 4) == 0


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


def test_small_or_unlike_images_are_refused():
    with pytest.raises(ValueError, match="at least 16x16 pixels, got 12x12"):
        peak(jnp.ones((1, 12, 12, 1)), jnp.zeros((1, 12, 12, 1)), 8)
    with pytest.raises(ValueError, match="one shape"):
        peak(jnp.ones((1, 16, 16, 3)), jnp.zeros((1, 16, 16, 1)), 2)


def test_blurred_photographs_have_no_peak(data_dir):
    """A residual of real content without any lattice."""
    patches = []
    for path in sorted((data_dir("bsds500") / "test").glob("*.jpg"))[:100]:
        with Image.open(path) as image:
            half = np.float32(image.convert("L").reduce(2)) / 255
        rows, columns = half.shape[0] // 64, half.shape[1] // 64
        blocks = half[: 64 * rows, : 64 * columns].reshape(rows, 64, columns, 64)
        patches.append(blocks.swapaxes(1, 2).reshape(-1, 64, 64, 1))
    images = np.concatenate(patches)
    blurred = gaussian(images, (0, 1, 1, 0))
    for period in PERIODS:
        assert abs(peak(blurred, images, period)) < 0.5
