"""Tests of upsampling with its phases apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from caejax.ops import paths, polyphase
from caejax.ops.apart import phases_differ, upsample_apart

# Filter length, origin, stride.
FILTERS = [(3, 0, 2), (4, -1, 2), (5, -1, 2), (5, -1, 3)]


def dilated(x, h, origin, stride):
    """The definition, by a convolution of images with zeros between their pixels."""
    # Output s m + origin + t meets h[t], so h is turned.
    sides = [
        (len(h) - 1 + origin, stride - 1 - origin),
    ] * 2
    return lax.conv_general_dilated(
        x,
        jnp.flip(h, (0, 1)),
        (1, 1),
        sides,
        lhs_dilation=(stride, stride),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


@pytest.mark.parametrize(("length", "origin", "stride"), FILTERS)
@pytest.mark.parametrize("channels", [(2, 3), (3, 2)], ids=["more_features", "fewer"])
def test_values_and_gradients_are_those_of_a_dilated_convolution(
    length, origin, stride, channels, normal, assert_same_function
):
    assert phases_differ(length, origin, stride)
    assert_same_function(
        lambda x, h: upsample_apart(x, h, origin, stride),
        lambda x, h: dilated(x, h, origin, stride),
        normal(2, 4, 3, channels[0]),
        normal(length, length, *channels),
    )


@pytest.mark.parametrize(
    ("length", "origin", "differ"),
    [
        (2, 0, False),  # each phase reads its own pixel
        (3, 0, True),  # one reads two
        (4, -1, True),  # one reads above, one below
        (6, -2, False),  # both read three
        (1, 0, False),  # one reads nothing
        (3, 1, False),  # the filter lies beside its pixel
    ],
)
def test_phases_differ(length, origin, differ):
    assert phases_differ(length, origin, 2) == differ


def products(function, *shapes):
    """Additions and multiplications that XLA counts, half of them products."""
    arrays = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    compiled = jax.jit(lambda x, h: function(x, h)).lower(*arrays).compile()
    return compiled.cost_analysis()["flops"] / 2


def upsampled(x, h):
    return polyphase.upsample(x, h, origin=0)


def test_wide_layers_multiply_with_no_zeros():
    images, h = (1, 16, 16, 20), (3, 3, 20, 20)
    with paths.use("matmul"):
        apart = products(upsampled, images, h)
    with paths.use("polyphase"):
        together = products(upsampled, images, h)
    # Some less at the border; 9 of 16 products.
    needed = 9 * 16 * 16 * 20 * 20
    np.testing.assert_allclose(apart, needed, rtol=0.1)
    assert together > 1.4 * apart
