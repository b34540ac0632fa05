"""Tests of what a kernel alone says about checkerboards."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.layers import random_params

from caejax.metrics.checkerboard import dc_ripple_db
from caejax.models.diagnosis import (
    clean_at_initialisation,
    clean_by_construction,
    kernel_ripple_db,
    lattice_response,
    phase_gains,
)
from caejax.models.kinds import (
    CONTENT,
    UPSAMPLING,
    kernel_shape,
    layer_filter,
)
from caejax.models.upsampling import Upsample

UNTIED = {
    *("deconv_k2", "deconv_k3", "deconv_k4", "deconv_k5", "deconv_k6"),
    *("shuffle_k3", "shuffle_icnr"),
}
READABLE = [name for name, kind in UPSAMPLING.items() if kind.run not in CONTENT]


def random_kernel(normal, kind, channels=4, features=3):
    return normal(*kernel_shape(UPSAMPLING[kind], channels, features))


def kernel_of(rows):
    return np.float32(rows)[:, :, None, None]


def test_gains_by_hand():
    gains = phase_gains(kernel_of([[1, 2], [3, 4]]), "deconv_k2")
    # Flax correlates: the picture is the kernel turned.
    np.testing.assert_array_equal(gains[..., 0, 0], [[4, 3], [2, 1]])
    nine = kernel_of(np.arange(1, 10).reshape(3, 3))
    gains = phase_gains(nine, "deconv_k3")
    np.testing.assert_array_equal(
        gains[..., 0, 0], [[1 + 3 + 7 + 9, 2 + 8], [4 + 6, 5]]
    )
    gains = phase_gains(nine, "bilinear_k3")
    np.testing.assert_allclose(gains[..., 0, 0], np.full((2, 2), 45.0))
    # Four taps from pixel -1 on: the first row of the picture is an odd phase.
    sixteen = kernel_of(np.arange(16).reshape(4, 4))
    gains = phase_gains(sixteen, "deconv_k4")
    by_hand = [[0 + 2 + 8 + 10, 1 + 3 + 9 + 11], [4 + 6 + 12 + 14, 5 + 7 + 13 + 15]]
    np.testing.assert_array_equal(gains[..., 0, 0], by_hand)


def test_gains_of_a_shuffle_are_the_sums_of_its_phases(normal):
    kernel = random_kernel(normal, "shuffle_k3")
    expected = kernel.sum((0, 1)).reshape(4, 2, 2, 3).transpose(1, 2, 0, 3)
    gains = phase_gains(kernel, "shuffle_k3")
    np.testing.assert_allclose(gains, expected, atol=1e-5)
    gains = phase_gains(kernel, "shuffle_hold")
    mean = np.broadcast_to(expected.mean((0, 1), keepdims=True), gains.shape)
    np.testing.assert_allclose(gains, mean, atol=1e-5)


@pytest.mark.parametrize("kind", READABLE)
def test_gains_are_the_response_to_constant_input(kind, normal):
    kernel = random_kernel(normal, kind)
    params = {"kernel": kernel, "bias": np.zeros(3, np.float32)}
    # One image per channel, which alone is one.
    x = np.tile(np.eye(4, dtype=np.float32)[:, None, None], (1, 7, 7, 1))
    y = jax.jit(Upsample(3, kind).apply)({"params": params}, x)
    period = np.asarray(y)[:, 6:8, 6:8].transpose(1, 2, 0, 3)
    np.testing.assert_allclose(phase_gains(kernel, kind), period, atol=3e-5)


@pytest.mark.parametrize("kind", READABLE)
def test_lattice_response_is_the_transform_of_the_filter(kind, normal):
    kernel = random_kernel(normal, kind, 4, 1)
    found = UPSAMPLING[kind]
    h = np.asarray(jax.jit(layer_filter, static_argnums=1)(kernel, found))
    places = found.origin + np.arange(len(h))
    waves = np.exp(-1j * np.pi * np.outer([0, 1], places))
    expected = np.einsum("ui,vj,ijcf->uvcf", waves, waves, h)
    response = lattice_response(kernel, kind)
    assert response.dtype == jnp.complex64
    np.testing.assert_allclose(response, expected, atol=3e-5)
    level = np.abs(response[0, 0]).max()
    ripple = np.abs(np.asarray(response).reshape(4, -1)[1:]).max() / level
    assert ripple > 0.01 if kind in UNTIED else ripple < 1e-5


def test_ripple_by_hand():
    # Mean 2.5, variance 1.25.
    ripple = kernel_ripple_db(kernel_of([[1, 2], [3, 4]]), "deconv_k2")
    assert ripple == pytest.approx(10 * np.log10(1.25 / 2.5**2), abs=1e-4)
    assert kernel_ripple_db(kernel_of(np.ones((2, 2))), "deconv_k2") == -200
    assert kernel_ripple_db(kernel_of(np.zeros((2, 2))), "deconv_k2") == -200
    assert kernel_ripple_db(kernel_of(np.ones((4, 4))), "deconv_k4") == -200
    # Gains 4, 2, 2 and 1 of ones.
    ripple = kernel_ripple_db(kernel_of(np.ones((3, 3))), "deconv_k3")
    assert ripple == pytest.approx(10 * np.log10(1.1875 / 2.25**2), abs=1e-4)


@pytest.mark.parametrize("kind", READABLE)
def test_ripple_of_random_kernels(kind, normal):
    ripple = kernel_ripple_db(random_kernel(normal, kind, 64, 64), kind)
    if kind not in UNTIED:
        assert ripple < -120
    elif kind not in ("deconv_k3", "deconv_k5"):
        assert ripple == pytest.approx(10 * np.log10(3), abs=0.3)
    else:
        assert ripple > 4


@pytest.mark.parametrize("kind", UPSAMPLING)
def test_clean_by_construction_is_what_decoders_show(kind, normal):
    params = random_params(normal, kind, 4, 3)
    decode = functools.partial(Upsample(3, kind).apply, {"params": params})
    measure = jax.jit(lambda code: dc_ripple_db(decode, code, 2))
    ripple = measure(normal(2, 2, 2, 4))
    clean = clean_by_construction(kind)
    assert clean == (kind not in UNTIED)
    assert ripple < -100 if clean else ripple > -20


@pytest.mark.parametrize("kind", UPSAMPLING)
def test_clean_at_initialisation_is_what_fresh_layers_are(kind, key):
    layer = Upsample(16, kind)

    @jax.jit
    def fresh_ripple():
        params = layer.init(key, jnp.zeros((1, 2, 2, 16)))["params"]
        return kernel_ripple_db(params["kernel"], kind)

    if kind not in READABLE:
        assert clean_at_initialisation(kind)
        return
    ripple = fresh_ripple()
    expected = kind not in UNTIED or kind == "shuffle_icnr"
    assert clean_at_initialisation(kind) == expected
    assert ripple < -120 if expected else ripple > 0


@pytest.mark.parametrize("function", [phase_gains, lattice_response, kernel_ripple_db])
def test_kinds_without_a_kernel_to_read_are_refused(function):
    for kind in set(UPSAMPLING) - set(READABLE):
        with pytest.raises(ValueError, match=f"{kind} has no kernel to read.*measure"):
            function(np.zeros((3, 3, 4, 4)), kind)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("kind", ["deconv_k4_tied", "shuffle_tied"])
def test_projected_kernels_are_clean_whatever_is_learnt(kind, scale, normal):
    """All sums but for rounding; one tap apart as large as all others together."""
    kernel = scale * random_kernel(normal, kind, 64, 64)
    kernel[0, 0] += 100 * scale
    assert kernel_ripple_db(kernel, kind) < -120


@pytest.mark.parametrize("function", [phase_gains, lattice_response, kernel_ripple_db])
def test_refused_kernels(function):
    with pytest.raises(ValueError, match="needs \\(3, 3, C, F\\)"):
        function(np.zeros((4, 4, 1, 1)), "nearest_k3")
    with pytest.raises(ValueError, match="needs \\(3, 3, C, 4F\\)"):
        function(np.zeros((3, 3, 1, 2)), "shuffle_hold")
    with pytest.raises(ValueError, match="known: deconv_k2"):
        function(np.zeros((3, 3, 1, 1)), "nearest")


@pytest.mark.parametrize("function", [clean_by_construction, clean_at_initialisation])
def test_refused_kinds(function):
    with pytest.raises(ValueError, match="did you mean 'deconv_k3'"):
        function("deconvk3")
