"""Tests of sums with weights of their own at every pixel, and of bilinear samples."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.ndimage import map_coordinates

from caejax.ops import paths
from caejax.ops.gains import equal_gains
from caejax.ops.polyphase import phase_gains
from caejax.ops.reassembly import reassemble, sample


def by_hand(x, weights, mode):
    *size, groups, taps = weights.shape
    k = round(taps**0.5)
    reach = k // 2
    around = np.pad(x, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode=mode)
    y = np.zeros((*size, x.shape[-1]))
    for b, m, n, p, c in np.ndindex(y.shape):
        window = around[b, m : m + k, n : n + k, c].ravel()
        y[b, m, n, p, c] = window @ weights[b, m, n, p, c * groups // x.shape[-1]]
    return y


@pytest.mark.parametrize(("k", "groups"), [(3, 2), (5, 1)])
def test_sums_are_their_definition(k, groups, normal, assert_same_function):
    x, weights = normal(2, 3, 4, 4), normal(2, 3, 4, 3, groups, k * k)
    for border, mode in (("zero", "constant"), ("edge", "edge")):
        y = jax.jit(reassemble, static_argnames="border")(x, weights, border=border)
        np.testing.assert_allclose(y, by_hand(x, weights, mode), atol=1e-5)

    def stock(x, weights):
        with paths.use("stock"):
            return reassemble(x, weights)

    assert_same_function(reassemble, stock, x, weights)


# The sizes of offsets: all samples within the next pixels, some far beyond the border.
@pytest.mark.parametrize("size", [0.99, 4.0])
@pytest.mark.parametrize("shape", [(1, 1), (3, 4)])
def test_samples_are_those_of_scipy(size, shape, assert_same_function):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *shape, 6)).astype(np.float32)
    offsets = rng.uniform(-size, size, (2, *shape, 4, 2, 2)).astype(np.float32)
    pixels = np.moveaxis(np.indices(shape, np.float32), 0, -1)

    def scipy(x, offsets):
        places = jnp.repeat(pixels[None, :, :, None, None] + offsets, 3, axis=4)
        pick = lambda x, place: map_coordinates(x, [*place], 1, "nearest")  # noqa: E731
        of_channels = jax.vmap(pick, (-1, -1), -1)
        return jax.vmap(of_channels)(x, jnp.moveaxis(places, -1, 1))

    assert_same_function(sample, scipy, x, offsets)


@pytest.mark.parametrize(("length", "stride"), [(2, 2), (3, 2), (5, 2), (7, 3)])
def test_projection_is_the_least_squares_solution(length, stride, normal):
    """Against the normal equations, for equally and unequally many taps a phase."""
    h = normal(length, length, 1, 2)
    tied = np.asarray(equal_gains(h, stride))
    place = np.arange(length) % stride
    phase = (place[:, None] * stride + place[None]).ravel()
    sums = np.float64(phase == np.arange(stride**2)[:, None])
    apart = sums[1:] - sums[:1]  # the differences of gains that must be zero
    flat = np.float64(h).reshape(-1, 2)
    expected = flat - np.linalg.pinv(apart) @ apart @ flat
    np.testing.assert_allclose(tied.reshape(-1, 2), expected, atol=1e-5)
    gains = np.asarray(phase_gains(tied, stride))
    np.testing.assert_allclose(gains, gains[:1, :1] + 0 * gains, atol=1e-5)
    np.testing.assert_allclose(equal_gains(tied, stride), tied, atol=1e-6)


def test_gradients_through_the_projection_are_projected(normal):
    h, weights = normal(4, 4, 1, 2), normal(4, 4, 1, 2)
    gradient = jax.grad(lambda h: (equal_gains(h) * weights).sum())(h)
    np.testing.assert_allclose(gradient, equal_gains(weights), atol=1e-6)


def test_samples_of_one_group_have_a_gradient():
    """Compiled, where XLA of jaxlib 0.10.2 ends the process at sums of seven axes."""
    code = (
        "import jax, jax.numpy as jnp; from caejax.ops.reassembly import sample; "
        "x, offsets = jnp.ones((16, 4, 4, 31)), jnp.full((16, 4, 4, 4, 1, 2), 0.25); "
        "gradient = jax.jit(jax.grad(lambda *a: sample(*a).sum()))(x, offsets); "
        "print(round(float(gradient.sum())))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == str(16 * 4 * 4 * 31 * 4)
