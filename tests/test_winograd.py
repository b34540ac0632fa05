"""Tests of Winograd's convolution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from caejax.ops import paths
from caejax.ops.conv import conv, lax_conv
from caejax.ops.winograd import winograd_conv

SAME = ((1, 1), (1, 1))


@pytest.mark.parametrize(
    ("size", "padding"),
    [
        ((5, 4), SAME),  # blocks beyond the last row
        ((3, 4), ((2, 1), (0, 3))),
    ],
)
def test_values_and_gradients_are_those_of_lax(
    size, padding, normal, assert_same_function
):
    assert_same_function(
        lambda x, kernel: winograd_conv(x, kernel, padding),
        lambda x, kernel: lax_conv(x, kernel, padding),
        normal(2, *size, 5),
        normal(3, 3, 5, 4),
    )


def test_rounding_is_near_that_of_the_plain_sum(normal):
    x, kernel = normal(1, 8, 8, 128), normal(3, 3, 128, 16)
    run = jax.jit(lambda x, k: (winograd_conv(x, k, SAME), lax_conv(x, k, SAME)))
    found, plain = run(x, kernel)
    x = np.pad(np.float64(x), ((0, 0), (1, 1), (1, 1), (0, 0)))
    exact = sum(
        x[:, i : i + 8, j : j + 8] @ np.float64(kernel[i, j])
        for i, j in np.ndindex(3, 3)
    )
    error, plain_error = (np.sqrt(np.mean((y - exact) ** 2)) for y in (found, plain))
    assert error < 4 * plain_error
    assert error < 1e-6 * exact.std()


@pytest.mark.parametrize(
    ("channels", "dtype", "expected"),
    [(128, jnp.float32, False), (127, jnp.float32, True), (128, jnp.bfloat16, True)],
)
def test_wide_layers_in_float32_take_it(channels, dtype, expected):
    x = jax.ShapeDtypeStruct((1, 4, 4, channels), dtype)
    kernel = jax.ShapeDtypeStruct((3, 3, channels, 128), dtype)
    with paths.use("matmul"):
        jaxpr = jax.make_jaxpr(lambda x, k: conv(x, k, SAME))(x, kernel)
    assert (lax.conv_general_dilated_p.name in str(jaxpr)) == expected
