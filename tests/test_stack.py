"""Tests of layers given one by one, against stock layers."""

from fractions import Fraction

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.layers import CONTENT, DECONV, RESIZED, SHUFFLED, random_params, tie

from caejax.models.kinds import UPSAMPLING, valid_growth
from caejax.models.layers import ACTIVATIONS, Conv
from caejax.models.stack import Layer, Stack, parse, shapes_after
from caejax.models.upsampling import Upsample
from caejax.ops.nearest import resize_nearest
from caejax.ops.pool import max_pool

WORDS = {
    "conv3 32": Layer("conv", 32, 3),
    "conv5 8 valid": Layer("conv", 8, 5, valid=True),
    " conv1  16   relu ": Layer("conv", 16, 1, activation="relu"),
    "pool": Layer("pool"),
    "pool valid sigmoid": Layer("pool", valid=True, activation="sigmoid"),
    "nearest 2": Layer("nearest", factor=Fraction(2)),
    "nearest 14/8 relu": Layer("nearest", factor=Fraction(7, 4), activation="relu"),
    "deconv_k3 8 valid relu": Layer("deconv_k3", 8, valid=True, activation="relu"),
    "deconv_k3_fir 8": Layer("deconv_k3_fir", 8),
}


@pytest.mark.parametrize("words", WORDS)
def test_words_of_layers(words):
    assert parse(words) == WORDS[words]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("cnv3 32", r"'cnv3 32' is no layer \(did you mean 'conv3'\?\); layers look"),
        ("deconv_k9 8", r"did you mean 'deconv_k\d'.* deconv_k6, nearest_k3, "),
        ("conv3", "'conv3' is no layer; .* 'valid' may follow, and one of linear, r"),
        ("conv3 0", "'conv3 0' is no layer;"),
        ("conv 32", r"did you mean 'conv\d'"),
        ("conv3 32 relu valid", "is no layer;"),
        ("conv3 32 tanh", "one of linear, relu, sigmoid"),
        ("pool 2", "is no layer;"),
        ("nearest 7/0", "is no layer;"),
        ("nearest 1.75", "is no layer;"),
        ("nearest 2 valid", "only conv, pool, deconv_k2, .*can be 'valid'"),
        ("shuffle_k3 8 valid", "only conv, pool, deconv_k2, .*can be 'valid'"),
        ("", "'' is no layer;"),
        (32, "32 is no layer;"),
    ],
)
def test_other_words_are_refused_in_one_line(words, message):
    with pytest.raises(ValueError, match=message) as error:
        parse(words)
    assert "\n" not in str(error.value)


def test_a_layer_that_leaves_nothing_is_named():
    with pytest.raises(ValueError, match="'conv3 4 valid' leaves nothing of 2x5 pix"):
        shapes_after(("pool valid", "conv3 4 valid"), (5, 10, 1))


STACKS = [
    ("conv3 2", "pool", "conv5 3 valid", "nearest 7/4"),
    ("pool valid", "nearest 2", "conv3 2 valid relu", "conv1 4"),
    *((f"{kind} 4",) for kind in UPSAMPLING),
    *(
        (f"{kind} 4 valid",)
        for kind in (*DECONV, *RESIZED, "bilinear_additive", *CONTENT)
    ),
]


@pytest.mark.parametrize("layers", STACKS)
def test_shapes_are_those_of_the_layers(layers, key):
    for size in ((9, 12), (10, 11)):
        x = jnp.zeros((1, *size, 3))
        y, _ = jax.eval_shape(Stack(layers).init_with_output, key, x)
        assert y.shape[1:] == shapes_after(layers, x.shape[1:])[-1]


def test_layers_run_in_their_order(normal):
    stack = Stack(("conv3 2 relu", "pool valid", "nearest 3", "deconv_k4 5 sigmoid"))
    x = normal(2, 5, 4, 3)
    params = {
        "Conv_0": random_params(normal, "nearest_k3", 3, 2),
        "Upsample_0": random_params(normal, "deconv_k4", 2, 5),
    }

    @jax.jit
    def both(params, x):
        ours = stack.apply({"params": params}, x)
        x = nn.relu(Conv(2).apply({"params": params["Conv_0"]}, x))
        x = jnp.repeat(jnp.repeat(max_pool(x[:, :4]), 3, 1), 3, 2)
        layer = Upsample(5, "deconv_k4")
        return ours, nn.sigmoid(layer.apply({"params": params["Upsample_0"]}, x))

    np.testing.assert_allclose(*both(params, x), atol=1e-6)


def stock_valid(kind, params, x):
    """What a kind must equal with VALID padding."""
    batch, height, width, channels = x.shape
    features = params["bias"].size
    variables = {"params": tie(params, kind)}
    if kind in DECONV:
        layer = nn.ConvTranspose(features, (DECONV[kind],) * 2, (2, 2), "VALID")
        return layer.apply(variables, x)
    shape = (batch, 2 * height, 2 * width, channels)
    x = jax.image.resize(x, shape, RESIZED[kind])
    sides = params["kernel"].shape[:2]
    return nn.Conv(features, sides, padding="VALID").apply(variables, x)


@pytest.mark.parametrize("kind", [*DECONV, "nearest_k3", "nearest_k5", "bilinear_k3"])
def test_valid_upsampling_is_that_of_flax(kind, normal, assert_same_function):
    params = random_params(normal, kind, 3, 2)
    layer = Upsample(2, kind, valid=True)
    assert_same_function(
        lambda params, x: layer.apply({"params": params}, x),
        lambda params, x: stock_valid(kind, params, x),
        params,
        normal(2, 3, 4, 3),
    )


def test_kinds_without_a_valid_layer():
    without = {name for name, kind in UPSAMPLING.items() if valid_growth(kind) is None}
    assert without == {*SHUFFLED, "deconv_k3_fir"}


def test_valid_convolution_is_that_of_flax(normal, assert_same_function):
    params = {"kernel": normal(3, 3, 2, 4), "bias": normal(4)}
    ours, stock = Conv(4, valid=True), nn.Conv(4, (3, 3), padding="VALID")
    assert_same_function(
        lambda params, x: ours.apply({"params": params}, x),
        lambda params, x: stock.apply({"params": params}, x),
        params,
        normal(2, 5, 6, 2),
    )


def test_the_legacy_resize_from_4_to_7_by_hand():
    x = jnp.arange(4.0).reshape(1, 4, 1, 1) + 10 * jnp.arange(4.0).reshape(1, 1, 4, 1)
    y = resize_nearest(x, Fraction(7, 4))[0, ..., 0]
    source = [0, 0, 1, 1, 2, 2, 3]  # floor of 0, 0.57, 1.14, 1.71, 2.29, 2.86, 3.43
    np.testing.assert_array_equal(y[:, 0], source)
    np.testing.assert_array_equal(y[2], [1 + 10 * i for i in source])
    # Half-pixel centres, as resizes are now, give another picture.
    now = jax.image.resize(x, (1, 7, 7, 1), "nearest")[0, ..., 0]
    assert (now != y).any()


@pytest.mark.parametrize("factor", ["2", "1", "1/3", "7/4", "5/2", "3/7"])
def test_resize_is_a_gather(factor, normal, assert_same_function):
    factor = Fraction(factor)

    def gather(x):
        for axis in (1, 2):
            count = int(x.shape[axis] * factor)
            x = jnp.take(x, np.array([int(i / factor) for i in range(count)]), axis)
        return x

    resize = lambda x: resize_nearest(x, factor)  # noqa: E731
    assert_same_function(resize, gather, normal(2, 7, 4, 3))


def test_every_activation_has_a_word():
    for name in ACTIVATIONS:
        assert parse(f"pool {name}").activation == name
