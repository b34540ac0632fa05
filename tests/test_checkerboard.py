"""Tests of the checkerboard metrics."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.layers import random_variables
from PIL import Image
from skimage.filters import gaussian

from caejax.metrics import checkerboard, overlap
from caejax.metrics.borders import clear_of_borders
from caejax.metrics.checkerboard import (
    dc_ripple_db,
    lattice_peak_db,
)
from caejax.metrics.lattice import peak_db
from caejax.metrics.responses import constant_response
from caejax.metrics.table import PERIODS
from caejax.models.autoencoders import create_model
from caejax.models.diagnosis import clean_by_construction
from caejax.models.upsampling import UPSAMPLING
from caejax.ops.conv import conv
from caejax.ops.polyphase import upsample
from caejax.ops.pool import blur_pool, max_pool

_ripple = jax.jit(dc_ripple_db, static_argnums=(0, 2))


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
def test_decoders_are_clean_where_their_kind_says_so(kind, normal):
    settings = {"widths": (8, 8, 8), "latent_channels": 3, "upsampling": kind}
    model = create_model("conv", shape=(28, 28, 1), **settings)
    variables = random_variables(model, normal)
    decode = functools.partial(model.apply, variables, method="decode")
    value = ripple(clear_of_borders(decode, model.stages), max(PERIODS))
    assert value < -100 if clean_by_construction(kind) else value > -60


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


def test_no_residual_has_no_peak():
    x = jnp.ones((2, 16, 16, 1))
    assert peak(x, x, 4) == 0
    assert peak_db(jnp.zeros((16, 16)), 4) == 0


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


# Companions of the lattice's peak.


@pytest.mark.parametrize("period", PERIODS)
def test_unpaired_peak_is_a_difference(period, normal):
    output, target = INPUTS["planted"](normal), natural(normal, 2, 32)
    zero = np.zeros_like(target)
    expected = naive_peak_db(output, zero, period) - naive_peak_db(target, zero, period)
    value = checkerboard.lattice_peak_unpaired_db(output, target, period).item()
    assert value == pytest.approx(expected, abs=0.01)


def naive_phases(x, period):
    """(B, S, S): each phase's pixels in a list of their own, then their mean."""
    height, width = (side - side % period for side in x.shape[1:3])
    x = np.float64(x)[:, :height, :width]
    return np.array(
        [
            [[image[i::period, j::period].mean() for j in range(period)]]
            for image in x
            for i in range(period)
        ]
    ).reshape(len(x), period, period)


@pytest.mark.parametrize("period", PERIODS)
def test_power_is_its_definition(period, normal):
    residual = normal(3, 28, 32, 1) + tiled(unit_pattern(period), 28, 32)
    target = normal(*residual.shape)
    mu = naive_phases(residual[..., 0], period)
    expected = (3 * mu.mean(0).var() - mu.var((1, 2)).mean()) / 2
    value = checkerboard.lattice_power(target + residual, target, period).item()
    assert value == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("amplitude", [0.3, 0.002])
@pytest.mark.parametrize("period", PERIODS)
def test_power_on_blank_images_is_the_amplitude_squared(period, amplitude):
    blank = np.zeros((3, 32, 24, 2), np.float32)
    output = blank + amplitude * tiled(unit_pattern(period), 32, 24)
    value = checkerboard.lattice_power(output, blank, period).item()
    assert value == pytest.approx(amplitude**2, rel=1e-4)


def test_power_of_noise_is_zero_on_average(normal):
    noise = normal(4000, 16, 16, 1)
    few = noise.reshape(1000, 4, 16, 16, 1)
    power = jax.vmap(checkerboard.lattice_power, (0, None, None))
    values = np.asarray(power(few, np.zeros_like(few[0]), 8))
    # Uncorrected, four images would leave a quarter of each one's variance.
    alone = naive_phases(noise[:100, ..., 0], 8).var((1, 2)).mean() / 4
    assert abs(values.mean()) < 0.02 * alone
    assert (values < 0).any()


def test_power_needs_two_images():
    x = jnp.ones((1, 16, 16, 1))
    with pytest.raises(ValueError, match="at least 2 images"):
        checkerboard.lattice_power(x, x, 2)


# Variance over phases.


def naive_phase_power(x, period):
    """Mean square of each phase, four pixels inside the border."""
    inside = np.float64(x)[:, 4:-4, 4:-4] ** 2
    return np.mean(
        [naive_phases(inside[..., c], period) for c in range(x.shape[-1])], (0, 1)
    )


def naive_detail(x):
    """Each pixel minus its four neighbours' mean; images continue periodically."""
    x = np.float64(x)
    shifts = [np.roll(x, step, axis) for axis in (1, 2) for step in (-1, 1)]
    return x - np.mean(shifts, 0)


def decibels(power):
    return 10 * np.log10(power.max() / power.min())


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("period", PERIODS)
def test_phase_variance_is_its_definition(name, period, normal):
    residual = INPUTS[name](normal)
    target = normal(*residual.shape)
    power = naive_phase_power(naive_detail(residual), period)
    value = checkerboard.phase_var_db(target + residual, target, period).item()
    assert value == pytest.approx(decibels(power), abs=0.01)
    value = checkerboard.phase_var_cv(target + residual, target, period).item()
    assert value == pytest.approx(power.std() / power.mean(), abs=1e-4)


def test_phase_variance_by_hand():
    """1 and 2 on a diagonal: details 1, -1.5, -1.5 and 2."""
    residual = tiled(np.float32([[1, 0], [0, 2]]), 16, 16)
    value = checkerboard.phase_var_db(residual, 0 * residual, 2).item()
    assert value == pytest.approx(10 * np.log10(4), abs=1e-3)
    value = checkerboard.phase_var_cv(residual, 0 * residual, 2).item()
    powers = [1, 2.25, 2.25, 4]
    assert value == pytest.approx(np.std(powers) / np.mean(powers), abs=1e-4)


@pytest.mark.parametrize("period", PERIODS)
def test_phase_variance_sees_ripple_of_random_sign(period, normal):
    """Which the mean over images, and so lattice_power, does not."""
    signs = np.sign(normal(64, 1, 1, 1))
    noise, zero = normal(64, 32, 32, 1), np.zeros((64, 32, 32, 1), np.float32)
    pattern = signs * tiled(unit_pattern(period), 32, 32)
    values = [
        checkerboard.phase_var_db(noise + a * pattern, zero, period).item()
        for a in (0, 0.5, 1, 2)
    ]
    assert values == sorted(values)
    assert values[-1] > values[0] + 3
    shared = checkerboard.lattice_power(noise + pattern, zero, period).item()
    assert shared < 0.1


@pytest.mark.parametrize("period", PERIODS)
def test_phase_variance_is_invariant(period, normal):
    residual = normal(2, 40, 40, 1) * (1 + tiled(unit_pattern(period), 40, 40))
    zero = np.zeros_like(residual)
    value = checkerboard.phase_var_db(residual, zero, period).item()
    y, x = np.mgrid[:40, :40].astype(np.float32)
    for other in (
        1e-3 * residual,
        residual + 3,
        residual + (x - 2 * y)[None, ..., None],
    ):
        again = checkerboard.phase_var_db(other, zero, period).item()
        assert again == pytest.approx(value, abs=0.01)


# Gradients.


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("period", PERIODS)
def test_gradient_phases_are_their_definition(name, period, normal):
    gradient = INPUTS[name](normal)
    value = checkerboard.grad_phase_db(gradient, period).item()
    expected = decibels(naive_phase_power(gradient, period))
    assert value == pytest.approx(expected, abs=0.01)


def strided(size, normal):
    """A convolution of stride 2 with random kernels."""
    kernel = np.sign(normal(size, size, 1, 32))  # all taps are of equal power
    layout = ("NHWC", "HWIO", "NHWC")
    return lambda x: jax.lax.conv_general_dilated(
        x, kernel, (2, 2), "SAME", dimension_numbers=layout
    )


def pooled(pool, normal):
    kernel = normal(3, 3, 1, 32)
    return lambda x: pool(nn.relu(conv(x, kernel, ((1, 1), (1, 1)))))


ENCODERS = {
    "stride k3": (lambda normal: strided(3, normal), 6.02),
    "stride k4": (lambda normal: strided(4, normal), 0.0),
    "stride k5": (lambda normal: strided(5, normal), 3.52),
    "max-pool": (functools.partial(pooled, max_pool), 0.0),
    "blur-pool": (functools.partial(pooled, blur_pool), 0.0),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_gradients_of_encoders_follow_theory(name, normal):
    make, theory = ENCODERS[name]
    encode, x = make(normal), normal(64, 40, 40, 1)
    cotangent = normal(*jax.eval_shape(encode, x).shape)
    gradient = jax.jit(lambda x: jax.vjp(encode, x)[1](cotangent)[0])(x)
    value = checkerboard.grad_phase_db(gradient, 2).item()
    assert value == pytest.approx(theory, abs=0.25)


# Overlap and the start.

ODD = {"deconv_k3": 3, "deconv_k5": 5}


@pytest.mark.parametrize("kind", UPSAMPLING)
def test_overlap_belongs_to_odd_kernels(kind):
    k = ODD.get(kind)
    theory = 20 * np.log10((k + 1) / (k - 1)) if k else 0
    # Where all phases have one gain, they have equal powers with any kernel.
    seeds = 16 if clean_by_construction(kind) else 512
    value = overlap.overlap_db(kind, seeds=seeds).item()
    assert value == pytest.approx(theory, abs=0.35)


def test_overlap_adds_up_over_stages():
    """Kernel 2 stays even; kernel 3 has 1:2 taps an axis at every stage."""
    few = functools.partial(overlap.overlap_db, channels=16)
    assert few("deconv_k2", 4).item() < 1
    assert few("deconv_k3", 4).item() > few("deconv_k3", 2).item() + 2


def test_overlap_does_not_depend_on_the_initialiser():
    few = functools.partial(overlap.overlap_db, "deconv_k3", channels=8)
    names = ("he_normal", "flax_default")
    values = [few(initializer=name).item() for name in names]
    assert values[0] == pytest.approx(values[1], abs=0.5)


def test_overlap_knows_its_kinds():
    with pytest.raises(ValueError, match=r"'deconv_k7' .*known: deconv_k2"):
        overlap.overlap_db("deconv_k7")


@pytest.mark.parametrize("stages", [1, 2, 3])
def test_relative_ripple_follows_theory(stages, normal):
    """10 log10(4^L - 1) for stages of untied phases: 4.77, 11.76, 17.99 dB."""
    kernels = [normal(2, 2, 64, 64) / 8 for _ in range(stages)]

    def decode(x):
        for h in kernels:
            x = upsample(x, h, origin=0)
        return x

    features, period = normal(8, 2, 2, 64), 2**stages
    value = checkerboard.dc_ripple_relative_db(decode, features, period).item()
    assert value == pytest.approx(10 * np.log10(4**stages - 1), abs=0.6)
    scaled = checkerboard.dc_ripple_relative_db(
        lambda x: 1e-3 * decode(x), features, period
    )
    assert scaled.item() == pytest.approx(value, abs=1e-2)


# What all refuse.

PAIRED = {
    name: getattr(checkerboard, name)
    for name in (
        "lattice_peak_db",
        "lattice_peak_unpaired_db",
        "lattice_power",
        "phase_var_db",
        "phase_var_cv",
    )
}
ALL = PAIRED | {
    "grad_phase_db": lambda x, _, period: checkerboard.grad_phase_db(x, period),
    "dc_ripple_db": lambda x, _, period: dc_ripple_db(lambda c: c, x, period),
    "dc_ripple_relative_db": lambda x, _, period: checkerboard.dc_ripple_relative_db(
        lambda c: c, x, period
    ),
}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("period", [0, 1, 3, 6, -2, 2.0, True])
def test_a_period_is_a_power_of_two(name, period):
    x = jnp.ones((2, 48, 48, 1))
    with pytest.raises(ValueError, match=r"period is .* power of two"):
        ALL[name](x, 0 * x, period)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, bool])
def test_integers_are_refused(name, dtype):
    x = np.ones((2, 48, 48, 1), dtype)
    with pytest.raises(ValueError, match="convert it to floating point"):
        ALL[name](x, x, 2)


@pytest.mark.parametrize("name", ALL)
def test_a_single_image_is_refused(name):
    x = jnp.ones((48, 48, 1))
    with pytest.raises(ValueError, match=r"must (be|have one shape) \(B, H, W, C\)"):
        ALL[name](x, 0 * x, 2)


@pytest.mark.parametrize("name", PAIRED)
def test_unlike_shapes_are_refused(name):
    with pytest.raises(ValueError, match="one shape"):
        PAIRED[name](jnp.ones((2, 32, 32, 3)), jnp.zeros((2, 32, 32, 1)), 2)


@pytest.mark.parametrize("name", [*PAIRED, "grad_phase_db"])
def test_small_images_are_refused(name):
    x = jnp.ones((2, 40, 7, 1))
    with pytest.raises(ValueError, match=r"period 8 needs .* got 40x7"):
        ALL[name](x, 0 * x, 8)


def test_a_decoder_of_one_size_is_refused():
    with pytest.raises(ValueError, match="must take any size"):
        dc_ripple_db(lambda code: jnp.ones((2, 28, 28, 1)), FEATURES, 8)


@pytest.mark.parametrize("period", PERIODS)
def test_constants_measure_exactly_nothing(period):
    x = np.full((2, 32, 32, 3), 0.3, np.float32)
    for name in PAIRED:
        assert PAIRED[name](x + 0.1, x, period) == 0
    assert checkerboard.grad_phase_db(x, period) == 0
    assert ripple(lambda code: jnp.full_like(code, 0.3), period) == -200
