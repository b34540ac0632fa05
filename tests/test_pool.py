"""Tests of max-pooling."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from caejax.ops.pool import max_pool


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
def test_ties_share_the_gradient(size):
    gradient = jax.jit(jax.grad(lambda x: max_pool(x).sum()))
    gradient = np.asarray(gradient(np.zeros((1, size, size, 1), np.float32)))
    assert gradient.sum() == pytest.approx(((size + 1) // 2) ** 2)
    assert (gradient > 0).all()


def test_keeps_bfloat16():
    assert max_pool(jnp.zeros((1, 3, 4, 2), jnp.bfloat16)).dtype == jnp.bfloat16
