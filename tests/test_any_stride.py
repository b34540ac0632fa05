"""Tests of upsampling layers of other strides and dimensions than images twice."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.layers import run

from caejax.models.upsampling import Upsample

SHAPES = {1: (2, 6, 3), 2: (1, 4, 5, 3), 3: (1, 3, 4, 2, 3)}
CASES = [(1, 2), (1, 8), (2, 3), (2, 4), (3, 2), (3, 3)]


def layer_and_parameters(kind, dims, stride, key, normal):
    layer, x = Upsample(2, kind, stride=stride), normal(*SHAPES[dims])
    params = layer.init(key, x)["params"]
    return layer, x, params | {"bias": jnp.array([0.5, -1.0])}


@pytest.mark.parametrize(("dims", "stride"), CASES)
def test_as_the_stock_layers(dims, stride, key, normal):
    """Flax's transposed convolution, and its convolution behind a resize."""
    layer, x, params = layer_and_parameters("deconv_k4", dims, stride, key, normal)
    stock = nn.ConvTranspose(2, (4,) * dims, (stride,) * dims)
    made = run(layer, {"params": params}, x)
    assert made.shape == (x.shape[0], *(stride * n for n in x.shape[1:-1]), 2)
    np.testing.assert_array_equal(made, run(stock, {"params": params}, x))
    for kind, method in [("nearest_k3", "nearest"), ("bilinear_k3", "linear")]:
        layer, x, params = layer_and_parameters(kind, dims, stride, key, normal)
        large = jax.image.resize(x, (*made.shape[:-1], 3), method)
        expected = run(nn.Conv(2, (3,) * dims), {"params": params}, large)
        np.testing.assert_array_equal(run(layer, {"params": params}, x), expected)


@pytest.mark.parametrize(("dims", "stride"), [(1, 4), (2, 3)])
def test_shuffles_by_hand(dims, stride, key, normal):
    layer, x, params = layer_and_parameters("shuffle_k3", dims, stride, key, normal)
    made = run(layer, {"params": params}, x)
    wide = nn.Conv(2 * stride**dims, (3,) * dims, use_bias=False)
    phases = np.asarray(run(wide, {"params": {"kernel": params["kernel"]}}, x))
    for n, phase in enumerate(np.ndindex(*(stride,) * dims)):
        taken = made[(slice(None), *(slice(p, None, stride) for p in phase))]
        expected = phases[..., 2 * n : 2 * n + 2] + np.asarray(params["bias"])
        np.testing.assert_allclose(taken, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", ["deconv_k4_tied", "shuffle_tied", "shuffle_hold"])
@pytest.mark.parametrize(("dims", "stride"), [(1, 3), (2, 4)])
def test_clean_kinds_are_clean(kind, dims, stride, key, normal):
    layer = Upsample(2, kind, stride=stride)
    x = np.broadcast_to(normal(3), (1, *(9,) * dims, 3))
    params = layer.init(key, x)["params"]
    params = jax.tree.map(lambda p: p + 0.1 * normal(*p.shape), params)
    made = run(layer, {"params": params}, x)
    inner = made[(slice(None), *(slice(3 * stride, 6 * stride),) * dims)]
    np.testing.assert_allclose(inner, jnp.broadcast_to(inner.mean(
        tuple(range(1, dims + 1)), keepdims=True), inner.shape), atol=5e-6)  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "shape", "stride", "words"),
    [
        ("carafe", (1, 4, 4, 3), 4, "images and a stride of 2 alone"),
        ("dysample", (1, 4, 3), 2, "images and a stride of 2 alone"),
        ("deconv_k3_fir", (1, 4, 4, 3), 3, "one for a stride of 2, not 3"),
        ("deconv_k4_tied", (1, 4, 4, 3), 8, "without any"),
        ("deconv_k4", (1, 2, 2, 2, 2, 3), 2, "not 4 by 2"),
    ],
)
def test_kinds_without_such_a_form(kind, shape, stride, words, key):
    with pytest.raises(ValueError, match=words):
        Upsample(2, kind, stride=stride).init(key, jnp.zeros(shape))
