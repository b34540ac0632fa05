"""Tests of the poolings."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from caejax.ops.pool import blur_pool, max_pool


def stock_pool(x):
    return nn.max_pool(x, (2, 2), strides=(2, 2), padding="SAME")


@pytest.mark.parametrize("size", [(4, 6), (5, 4), (1, 3)])
@pytest.mark.parametrize("offset", [0, -9], ids=["any_sign", "negative"])
def test_values_and_gradients_are_those_of_flax(size, offset, assert_same_function):
    # Distinct values, so that there is one gradient only.
    values = np.random.default_rng(0).permutation(2 * size[0] * size[1] * 3)
    x = jnp.float32(values / len(values) - 0.5 + offset).reshape(2, *size, 3)
    assert_same_function(max_pool, stock_pool, x)


def test_valid_is_that_of_flax(assert_same_function):
    x = np.random.default_rng(0).permutation(2 * 5 * 4).astype(np.float32)
    assert_same_function(
        lambda x: max_pool(x, valid=True),
        lambda x: nn.max_pool(x, (2, 2), strides=(2, 2), padding="VALID"),
        x.reshape(2, 5, 4, 1),
    )


def test_worked_by_hand():
    x = jnp.array([[1.0, -2, -3], [4, 3, -5], [-7, -8, -9]]).reshape(1, 3, 3, 1)
    np.testing.assert_array_equal(max_pool(x)[0, ..., 0], [[4, -3], [-7, -9]])


@pytest.mark.parametrize("size", [4, 5])
def test_the_first_of_ties_has_the_gradient_as_in_flax(size):
    x = np.random.default_rng(0).integers(0, 2, (3, size, size, 2)).astype(np.float32)
    gradient, stock = (
        jax.jit(jax.grad(lambda x, pool=pool: (pool(x) ** 2 + pool(x)).sum()))(x)
        for pool in (max_pool, stock_pool)
    )
    np.testing.assert_array_equal(gradient, stock)


@pytest.mark.parametrize("size", [(4, 6), (5, 4), (1, 3)])
def test_blur_is_a_convolution_with_its_filter(size, normal, assert_same_function):
    taps = np.float32([1, 3, 3, 1]) / 8
    kernel = jnp.tile(jnp.outer(taps, taps)[:, :, None, None], (1, 1, 1, 3))

    def convolve(x):
        sides = [(1, 1 + n % 2) for n in size]
        x = jnp.pad(x, ((0, 0), *sides, (0, 0)), mode="edge")
        return lax.conv_general_dilated(
            x,
            kernel,
            (2, 2),
            "VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=3,
        )

    assert_same_function(blur_pool, convolve, normal(2, *size, 3))


def test_blur_worked_by_hand():
    x = jnp.float32([8, 16, 0, 24]).reshape(1, 1, 4, 1)
    np.testing.assert_array_equal(blur_pool(x).ravel(), [10, 14])


def test_blur_leaves_constants_as_they_are():
    x = jnp.full((1, 5, 6, 2), 0.7)
    np.testing.assert_allclose(blur_pool(x), jnp.full((1, 3, 3, 2), 0.7), rtol=1e-6)


@pytest.mark.parametrize("pool", [max_pool, blur_pool])
def test_keeps_bfloat16(pool):
    assert pool(jnp.zeros((1, 3, 4, 2), jnp.bfloat16)).dtype == jnp.bfloat16
