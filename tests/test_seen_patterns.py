"""Tests of ramps, shifts, sizes in grey levels and visibility."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from caejax.metrics import evaluator, probes, units
from caejax.metrics.parts import Means, detail_grey, pattern_grey, pattern_visibility
from caejax.metrics.ramps import ramp_ripple_db
from caejax.metrics.shifts import shift, shift_error_db
from caejax.metrics.table import Metric
from caejax.metrics.visibility import (
    PIXELS_PER_DEGREE,
    contrast_sensitivity,
    ripple_visibility,
)
from caejax.metrics.visibility import (
    pattern_visibility as visibility,
)

CODES = np.array([0.5, 2.0], np.float32)[:, None, None, None] * np.ones((2, 3, 3, 1))


def nearest(code):
    """Twice as large, each pixel copied."""
    return code.repeat(2, 1).repeat(2, 2)


def bilinear(code):
    """Twice as large, in between; but for the borders."""
    shape = (len(code), 2 * code.shape[1], 2 * code.shape[2], code.shape[3])
    return jax.image.resize(code, shape, "bilinear")


def untied(code):
    """Phases of gains 1 and 3 across, as a kernel of 2 has them."""
    return (
        nearest(code)
        * jnp.tile(jnp.array([1.0, 3.0]), code.shape[2])[None, None, :, None]
    )


# Ramps.


def test_steps_of_two_pixels_stand_half_a_slope_off_the_line():
    """Each pixel is a quarter of a step off, and the slope is half a step."""
    for period in (2, 4, 8):
        value = ramp_ripple_db(nearest, jnp.asarray(CODES), period)
        assert float(value) == pytest.approx(20 * np.log10(0.5), abs=1e-3)
    assert float(ramp_ripple_db(bilinear, jnp.asarray(CODES), 8)) < -100


def test_what_constants_draw_is_no_ripple_on_ramps():
    """Gains 1 and 3: the mean slope is that of a gain of 2, steps are as before."""
    value = ramp_ripple_db(untied, jnp.asarray(CODES), 2)
    # Down, each column has steps of its gain: -+1/4 and -+3/4; across, pixels of a
    # pair stand at 1 c and 3 c, less the same of the constant.
    y, x = np.mgrid[:24, :24]
    ramp = ((y // 2) + (x // 2) - 11) / 12.0 * np.where(x % 2, 3.0, 1.0)
    inside = slice(8, 16)
    plane = np.stack([y, x, np.ones_like(x)], -1)[inside, inside].reshape(-1, 3)
    part = ramp[inside, inside]
    slopes = [
        (ramp[10:18, inside] - ramp[8:16, inside]).mean() / 2,
        (ramp[inside, 10:18] - ramp[inside, 8:16]).mean() / 2,
    ]
    flat = part - (plane[:, :2] @ slopes).reshape(part.shape)
    means = flat.reshape(4, 2, 4, 2).mean((0, 2))
    expected = 10 * np.log10(means.var() / np.sum(np.square(slopes)))
    assert float(value) == pytest.approx(expected, abs=1e-2)


def test_ramps_do_not_depend_on_scale_and_compile():
    measure = jax.jit(lambda codes: ramp_ripple_db(lambda c: 7 * nearest(c), codes, 4))
    value = float(measure(jnp.asarray(CODES)))
    assert value == pytest.approx(-6.0206, abs=1e-3)


# Shifts.


def test_what_treats_all_places_alike_has_no_shift_error(normal):
    images = jnp.asarray(normal(2, 16, 16, 1))
    mean = lambda x: (x + shift(x, 1) + shift(x, 2)) / 3  # noqa: E731
    assert float(shift_error_db(mean, images)) < -120
    for axis in (1, 2):
        moved = np.asarray(shift(images, axis))
        expected = np.roll(images, 1, axis)
        inside = slice(1, None)
        np.testing.assert_array_equal(moved[:, inside, inside], expected[:, 1:, 1:])


def test_shift_errors_by_hand(normal):
    """A model that keeps every other pixel of each row and column, and copies it."""
    images = normal(3, 20, 20, 2)

    def subsampled(x):
        return x[:, ::2, ::2].repeat(2, 1).repeat(2, 2)

    errors = []
    for axis in (1, 2):
        other = np.concatenate(
            [images.take([0], axis), images.take(range(19), axis)], axis
        )
        moved = subsampled(images)
        moved = np.concatenate(
            [moved.take([0], axis), moved.take(range(19), axis)], axis
        )
        errors.append(((subsampled(other) - moved)[:, 4:-4, 4:-4] ** 2).mean())
    value = shift_error_db(lambda x: subsampled(x), jnp.asarray(images))
    assert float(value) == pytest.approx(10 * np.log10(np.mean(errors)), abs=1e-4)


# Sizes.


def test_sizes_in_grey_levels():
    assert units.grey_levels(1e-4) == pytest.approx(2.55)
    assert units.grey_levels(-1e-4) == pytest.approx(-2.55)
    assert units.decibels(1e-4) == pytest.approx(-40)
    assert units.decibels(0) == pytest.approx(-200)
    assert units.ratio_db({"part": 1.0, "whole": 4.0}) == pytest.approx(-6.0206, 1e-4)
    pattern = np.tile([[0.02, 0], [0, -0.02]], (8, 8)).astype(np.float32)
    clean = np.full((4, 16, 16, 1), 0.5, np.float32)
    values = evaluator.compare(clean + pattern[None, ..., None], clean, clean).values
    size = 255 * np.sqrt(0.02**2 / 2)
    assert values["lattice_grey_s2"] == pytest.approx(size, rel=1e-3)
    detail = 0.02**2 * np.array([1, 0, 0, 1])
    assert values["phase_var_grey_s2"] == pytest.approx(
        255 * np.sqrt(detail.std()), rel=1e-3
    )
    seen = visibility(jnp.asarray(pattern[:2, :2, None]))
    assert values["lattice_visibility_s2"] == pytest.approx(float(seen), rel=1e-3)


def test_shared_patterns_are_signed_and_those_of_noise_are_nothing():
    means = {"phase_means": np.zeros((2, 2, 1)), "phase_variance": 1e-4}
    assert pattern_grey(Means(means, 2, 2)) == pytest.approx(-2.55)
    means = {"phase_means": np.zeros((2, 2, 1)), "visible_power": 4.0}
    assert pattern_visibility(Means(means, 5, 2)) == pytest.approx(-1)
    assert detail_grey(Means({"detail": np.full((4, 4), 0.3)}, 2, 4)) < 1e-3


# Visibility.


def test_contrast_sensitivity_by_hand():
    """At 5 cycles a degree, 100 cd/m^2 and 10 degrees."""
    top = 5200 * np.exp(-0.0016 * 25 * 2**0.08)
    size = 1 + 1.44 + 0.64 * 25
    noise = 63 / 100**0.83 + 1 / (1 - np.exp(-0.5))
    assert contrast_sensitivity(5.0) == pytest.approx(top / np.sqrt(size * noise))
    # Its peak, of a few hundred, lies at a few cycles a degree.
    u = np.linspace(0.1, 40, 400)
    best = contrast_sensitivity(u)
    assert 2 < u[best.argmax()] < 6
    assert 300 < best.max() < 700
    assert contrast_sensitivity(0.0) == 0


def test_pixels_of_a_degree_at_the_stated_distance():
    assert pytest.approx(39.58, abs=0.01) == PIXELS_PER_DEGREE


def test_visibility_by_hand():
    """A checkerboard of +-1 grey level of 255: one grating, along the diagonal."""
    a = 1 / 255
    board = jnp.array([[a, -a], [-a, a]])[..., None]
    contrast = np.sqrt(2) * 2.2 * a / 0.5
    frequency = PIXELS_PER_DEGREE * np.hypot(0.5, 0.5)
    expected = contrast * contrast_sensitivity(frequency)
    assert float(visibility(board)) == pytest.approx(expected, rel=1e-5)
    # Stripes are coarser by the root of 2, and better seen.
    stripes = jnp.array([[a, -a], [a, -a]])[..., None]
    assert float(visibility(stripes)) > 1.5 * expected
    assert float(visibility(3 * board)) == pytest.approx(3 * expected, rel=1e-5)
    # All of one period is seen alike wherever it begins; a constant is not seen.
    wave = jnp.asarray(np.random.default_rng(0).normal(size=(8, 8, 1)) * a, jnp.float32)
    same = float(visibility(jnp.roll(wave, (3, 5), (0, 1)) + 0.25))
    assert float(visibility(wave)) == pytest.approx(same, rel=1e-3)
    # Of colours with the same luminance nothing is seen.
    colour = board * jnp.array([1 / 0.2126, -1 / 0.7152, 0.0])[None, None]
    assert float(visibility(colour)) < 1e-3 * expected


def test_ripple_is_as_visible_as_what_it_draws():
    codes = jnp.asarray(CODES[:1] * 0.01, jnp.float32)
    value = ripple_visibility(untied, codes, 2)
    c = 0.005
    stripes = jnp.array([[c, 3 * c], [c, 3 * c]])[..., None]
    assert float(value) == pytest.approx(float(visibility(stripes)), rel=1e-4)


# Which images are looked at.


def test_probes_are_spread_over_the_split():
    np.testing.assert_array_equal(probes.spread(5), range(5))
    index = probes.spread(1600)
    assert len(index) == len(set(index)) == 512
    assert (index[0], index[-1]) == (0, 1599)
    assert np.ptp(np.diff(index)) == 1
    assert list(probes.spread(1)) == [0]


def test_means_are_over_all_of_the_chosen_images():
    """Whatever fills the last call up: 40 images are a full call and a part."""
    images = np.arange(40, dtype=np.float32)[:, None, None, None] * np.ones(
        (40, 2, 2, 1)
    )

    def found(batch, index):
        assert batch.shape == (probes.AT_A_TIME, 2, 2, 1)
        return {"image": batch.mean((1, 2, 3)), "at": index}

    each = probes._each(found, images, np.arange(40))
    np.testing.assert_array_equal(each["image"], np.arange(40))
    np.testing.assert_array_equal(each["at"], np.arange(40))
    toys = [Metric(x, x, "", 1, "", "model", "", "") for x in each]
    assert probes.finished(toys, each) == {"image": 19.5, "at": 19.5}
