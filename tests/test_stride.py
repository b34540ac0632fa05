"""Tests of the convolution of stride 2."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from caejax.ops import paths
from caejax.ops.stride import conv_stride2


def flax_conv(x, kernel):
    layer = nn.Conv(kernel.shape[3], kernel.shape[:2], strides=2, use_bias=False)
    return layer.apply({"params": {"kernel": kernel}}, x)


@pytest.mark.parametrize("path", ["matmul", "stock"])
@pytest.mark.parametrize(
    ("size", "kernel_size"),
    [*(((6, 5), k) for k in (1, 2, 3, 4, 5)), ((1, 2), 3)],
)
def test_values_and_gradients_are_those_of_flax(
    size, kernel_size, path, normal, assert_same_function
):
    def ours(x, kernel):
        with paths.use(path):
            return conv_stride2(x, kernel)

    kernel = normal(kernel_size, kernel_size, 3, 2)
    assert_same_function(ours, flax_conv, normal(2, *size, 3), kernel)


def test_values_are_those_of_pytorch(normal, torch):
    # Padded by 1 on both sides, an even kernel of PyTorch is as with SAME.
    x, kernel = normal(2, 6, 8, 3), normal(4, 4, 3, 5)
    images, weights = (
        torch.tensor(np.array(a).transpose(order))
        for a, order in ((x, (0, 3, 1, 2)), (kernel, (3, 2, 0, 1)))
    )
    theirs = torch.nn.functional.conv2d(images, weights, stride=2, padding=1)
    ours = jax.jit(conv_stride2)(x, kernel)
    theirs = theirs.numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_worked_by_hand():
    x = jnp.float32([1, 2, 3, 4]).reshape(1, 1, 4, 1)
    kernel = jnp.float32([1, 10, 100]).reshape(1, 3, 1, 1)
    # An even size is padded behind alone.
    y = conv_stride2(x, kernel)
    np.testing.assert_array_equal(y.ravel(), [321, 43])


def test_keeps_bfloat16():
    x, kernel = (jnp.zeros(s, jnp.bfloat16) for s in ((1, 4, 4, 2), (3, 3, 2, 1)))
    assert conv_stride2(x, kernel).dtype == jnp.bfloat16
