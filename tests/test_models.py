"""Tests of the autoencoders."""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.layers import random_variables, stock_upsample

from caejax.config import sections
from caejax.models.autoencoders import MODELS, Autoencoder, create_model
from caejax.models.decoders import pooled_size
from caejax.models.layers import ACTIVATIONS
from caejax.models.upsampling import UPSAMPLING
from caejax.ops.pool import blur_pool

CLASSIC = {"bottleneck": "pooled", "code_activation": "relu"}
SMALL = {"shape": (13, 10, 3), "widths": (4, 6), "latent_channels": 5}
# One of each way to run a layer; that every kind is its stock layers, the tests of
# the layers show.
KINDS = ("deconv_k3", "deconv_k4", "nearest_k3", "bilinear_k3", "shuffle_hold")
SMALL_MODELS = {
    **{kind: {"encoder": "conv", "upsampling": kind} for kind in KINDS},
    "pooled": {"encoder": "conv", "upsampling": "nearest_k3"} | CLASSIC,
    "dense": {"encoder": "dense"},
    "tied_dense": {"encoder": "tied_dense"},
}


def small_model(name, **changes):
    return create_model(**SMALL | SMALL_MODELS[name] | changes)


def run(model, variables, x, method="__call__"):
    return jax.jit(functools.partial(model.apply, method=method))(variables, x)


COUNTS = [
    # Sums over the encoder's layers and over the decoder's, outwards.
    (
        "conv",
        {
            "shape": (28, 28, 1),
            "widths": (64, 64, 32),
            "latent_channels": 32,
            "upsampling": "nearest_k3",
            **CLASSIC,
        },
        (640 + 36_928 + 18_464) + (9_248 + 18_496 + 36_928 + 577),  # 121,281
    ),
    (
        "conv",
        {
            "shape": (28, 28, 1),
            "widths": (32, 32, 16),
            "latent_channels": 16,
            "upsampling": "nearest_k3",
            **CLASSIC,
        },
        (320 + 9_248 + 4_624) + (2_320 + 4_640 + 9_248 + 289),
    ),
    (  # The count that Keras publishes for its convolutional denoiser.
        "conv",
        {
            "shape": (28, 28, 1),
            "widths": (32, 32),
            "latent_channels": 32,
            "upsampling": "deconv_k3",
            **CLASSIC,
        },
        28_353,
    ),
    (
        "conv",
        {
            "shape": (50, 37, 3),
            "widths": (8, 16),
            "latent_channels": 4,
            "upsampling": "deconv_k4",
        },
        (9 * 3 * 8 + 8)
        + (9 * 8 * 16 + 16)
        + (16 * 4 + 4)
        + (16 * 4 * 16 + 16)
        + (16 * 16 * 8 + 8)
        + (9 * 8 * 3 + 3),
    ),
    (
        "layers",
        {
            "shape": (8, 8, 3),
            "encoder_layers": ("conv5 4 relu", "pool", "conv1 2"),
            "decoder_layers": ("nearest 2", "conv3 5 relu", "conv3 3"),
        },
        (25 * 3 * 4 + 4) + (4 * 2 + 2) + (9 * 2 * 5 + 5) + (9 * 5 * 3 + 3),
    ),
    (
        "dense",
        {"shape": (28, 28, 1), "widths": (), "latent_channels": 64},
        784 * 64 + 64 + 64 * 784 + 784,
    ),
    (
        "dense",
        {"shape": (4, 4, 3), "widths": (10,), "latent_channels": 5},
        (48 * 10 + 10) + (10 * 5 + 5) + (5 * 10 + 10) + (10 * 48 + 48),
    ),
    (
        "tied_dense",
        {"shape": (28, 28, 1), "latent_channels": 500},
        784 * 500 + 500 + 784,
    ),
]


def test_count_table_has_every_model():
    assert {encoder for encoder, _, _ in COUNTS} == set(MODELS)


@pytest.mark.parametrize(("encoder", "settings", "count"), COUNTS)
def test_parameter_count(encoder, settings, count, key):
    model = create_model(encoder, **settings)
    params = jax.eval_shape(model.init, key, jnp.zeros((1, *model.shape)))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == count


def shapes_of_all_methods(model, code_size=None):
    """Shapes of encode, decode(encode) and both, and of a decoded other code."""

    def methods(module, x):
        code = module.encode(x)
        other = jnp.zeros((1, *code_size, code.shape[-1])) if code_size else code
        return code, module.decode(code), module(x), module.decode(other)

    def init(x):
        return model.init_with_output(jax.random.key(0), x, method=methods)[0]

    outputs = jax.eval_shape(init, jnp.zeros((2, *model.shape)))
    assert {y.dtype for y in outputs} == {jnp.dtype(jnp.float32)}
    return [y.shape for y in outputs]


SHAPES = [(28, 28, 1), (64, 64, 3), (50, 37, 3), (50, 37, 1)]


@pytest.mark.parametrize(
    ("shape", "stages", "upsampling"),
    [
        *((shape, 3, "nearest_k3") for shape in SHAPES),
        *((SHAPES[-1], stages, "nearest_k3") for stages in (1, 2, 4)),
        *((SHAPES[-1], 2, kind) for kind in UPSAMPLING),
    ],
)
def test_shapes_of_convolutional_models(shape, stages, upsampling):
    settings = {"widths": (2,) * stages, "latent_channels": 3, "upsampling": upsampling}
    model = create_model("conv", shape=shape, **settings)
    code, decoded, both, other = shapes_of_all_methods(model, code_size=(6, 5))
    halved = [-(-side // 2**stages) for side in shape[:2]]
    assert code == (2, *model.code_shape) == (2, *halved, 3)
    assert decoded == both == (2, *shape)
    assert other == (1, 6 * 2**stages, 5 * 2**stages, shape[-1])


LAYERS = {
    "encoder_layers": ("conv3 4 relu", "pool", "pool valid"),
    "decoder_layers": ("deconv_k3 6 valid relu", "nearest 1", "deconv_k4 3"),
}


def test_shapes_of_layered_models():
    model = create_model("layers", shape=(14, 10, 3), **LAYERS)
    code, decoded, both, other = shapes_of_all_methods(model, code_size=(6, 5))
    assert code == (2, *model.code_shape) == (2, 3, 2, 4)
    assert decoded == both == (2, 14, 10, 3)
    assert other == (1, 26, 22, 3)
    assert model.output_size((14, 10)) == (14, 10)
    assert model.output_size((16, 10)) == (18, 10)


def test_what_probes_ask_of_convolutional_models():
    conv = small_model("deconv_k4", widths=(2, 6))
    assert conv.convolutional
    assert (conv.stride, conv.stages) == (4, ("deconv_k4",) * 2)
    assert conv.largest_map == 13 * 10 * 3
    assert conv.output_size((9, 8)) == (9, 8)
    layers = create_model("layers", shape=(14, 10, 3), **LAYERS)
    assert layers.convolutional
    assert (layers.stride, layers.stages) == (4, ("deconv_k3", "deconv_k4"))
    assert layers.largest_map == 14 * 10 * 4
    assert not small_model("dense").convolutional
    assert not small_model("tied_dense").convolutional


ANSWERS = {  # stride, stages, largest map
    "conv": (4, ("nearest_k3",) * 2, 13 * 10 * 4),
    "layers": (4, ("deconv_k3", "deconv_k4"), 14 * 10 * 4),
    "dense": (1, (), 13 * 10 * 3),
    "tied_dense": (1, (), 13 * 10 * 3),
}


@pytest.mark.parametrize("encoder", MODELS)
def test_every_model_answers_all_that_the_protocol_asks(encoder, normal):
    settings = SMALL | LAYERS | {"upsampling": "nearest_k3"}
    if encoder == "layers":
        settings["shape"] = (14, 10, 3)
    model = create_model(encoder, **settings)
    public = [name for name in vars(Autoencoder) if name[0] != "_"]
    own = {"encode", "decode", "code_shape", "stride", "stages", "largest_map"}
    assert own | {"output_size"} <= set(public)
    for name in [*own, "output_size", "__call__"]:
        assert getattr(type(model), name) is not getattr(Autoencoder, name)
    size = model.shape[:2]
    assert (model.stride, model.stages, model.largest_map) == ANSWERS[encoder]
    assert model.output_size(size) == size
    assert model.convolutional == (encoder in ("conv", "layers"))
    assert (model.output_size((40, 24)) is None) == (not model.convolutional)
    assert not model.noise_map
    for name in ("output_activation", "initializer", "dtype"):
        assert name in {field.name for field in dataclasses.fields(model)}
    variables, x = random_variables(model, normal), normal(2, *model.shape)
    code, linear = run(model, variables, x, "with_code")
    assert code.shape == (2, *model.code_shape)
    np.testing.assert_array_equal(code, run(model, variables, x, "encode"))
    np.testing.assert_allclose(linear, run(model, variables, x), atol=1e-5)
    image = model.to_image(linear)
    assert 0 <= float(image.min()) <= float(image.max()) <= 1


def test_layers_cannot_take_what_they_leave_nothing_of():
    layers = ("pool valid",) * 3, ("deconv_k2 3",) * 3
    settings = dict(zip(("encoder_layers", "decoder_layers"), layers, strict=True))
    model = create_model("layers", shape=(8, 8, 3), **settings)
    assert model.output_size((7, 8)) is None
    assert model.output_size((9, 8)) == (8, 8)


@pytest.mark.parametrize("encoder", MODELS)
def test_a_config_section_has_the_settings_of_its_model(encoder):
    fields = {field.name for field in dataclasses.fields(MODELS[encoder])}
    elsewhere = {"shape", "filled_up"}  # follow from config.data and config.train
    assert set(sections.MODELS[encoder]) == fields - elsewhere - {"parent", "name"}
    assert list(sections.MODELS) == list(MODELS)


@pytest.mark.parametrize("encoder", ["dense", "tied_dense"])
def test_shapes_of_dense_models(encoder):
    model = create_model(encoder, **SMALL)
    code, decoded, both, _ = shapes_of_all_methods(model)
    assert code == (2, *model.code_shape) == (2, 5)
    assert decoded == both == (2, 13, 10, 3)


def test_pooled_size():
    sizes = [pooled_size((28, 37), stages) for stages in range(4)]
    assert sizes == [(28, 37), (14, 19), (7, 10), (4, 5)]


@pytest.mark.parametrize("name", ["deconv_k3", "pooled", "dense", "tied_dense"])
def test_decode_after_encode_is_the_whole(name, normal):
    model = small_model(name)
    variables, x = random_variables(model, normal), normal(2, *model.shape)
    whole, parts = run(
        model, variables, x, lambda self, x: (self(x), self.decode(self.encode(x)))
    )
    assert whole.shape == x.shape
    np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-5)


def stock_autoencoder(model, variables, x):
    """`ConvAutoencoder` from stock Flax layers, with its parameters."""
    encoder, decoder = (variables["params"][half] for half in ("encoder", "decoder"))
    activation = {"linear": lambda x: x, "relu": nn.relu}[model.code_activation]
    pooled, stages = model.bottleneck == "pooled", len(model.widths)
    pools = {
        "max_pool": lambda x: nn.max_pool(x, (2, 2), (2, 2), "SAME"),
        "blur_pool": blur_pool,
    }
    pool = pools.get(model.downsampling, lambda x: x)
    stride = 1 if model.downsampling in pools else 2

    def convolve(params, x, stride=1):
        size = params["kernel"].shape[:2]
        layer = nn.Conv(params["bias"].size, size, stride, padding="SAME")
        return layer.apply({"params": params}, x)

    sizes = []
    for stage in range(stages):
        sizes.append(x.shape[1:3])
        last = pooled and stage == stages - 1
        x = convolve(encoder[f"Conv_{stage}"], x, stride)
        x = pool((activation if last else nn.relu)(x))
    if not pooled:
        x = activation(convolve(encoder[f"Conv_{stages}"], x))
    for stage, (height, width) in enumerate(reversed(sizes)):
        x = stock_upsample(model.upsampling, decoder[f"Upsample_{stage}"], x)
        x = nn.relu(x[:, :height, :width])
    return convolve(decoder["Conv_0"], x)


@pytest.mark.parametrize(
    ("name", "size", "downsampling"),
    # The model's own size, and two others: it is fully convolutional.
    [
        *((kind, (13, 10), "max_pool") for kind in KINDS),
        ("pooled", (8, 15), "max_pool"),
        ("pooled", (8, 8), "max_pool"),
        ("pooled", (8, 8), "stride_k3"),
        ("nearest_k3", (13, 10), "blur_pool"),
        ("nearest_k3", (8, 15), "stride_k4"),
    ],
)
def test_convolutional_model_from_stock_layers(name, size, downsampling, normal):
    model = small_model(name, downsampling=downsampling)
    variables, x = random_variables(model, normal), normal(2, *size, 3)

    @jax.jit
    def both(variables, x):
        return model.apply(variables, x), stock_autoencoder(model, variables, x)

    ours, stock = both(variables, x)
    assert ours.shape == x.shape
    np.testing.assert_allclose(ours, stock, rtol=1e-5, atol=1e-5)


def test_decoder_has_its_own_widths_if_given(normal):
    mirrored = small_model("nearest_k3")
    model = small_model("nearest_k3", decoder_widths=(3, 7))
    variables, x = random_variables(model, normal), normal(2, 13, 10, 3)
    decoder = variables["params"]["decoder"]
    kernels = [decoder[f"Upsample_{i}"]["kernel"].shape for i in range(2)]
    assert kernels == [(3, 3, 5, 3), (3, 3, 3, 7)]
    np.testing.assert_allclose(
        run(model, variables, x),
        stock_autoencoder(model, variables, x),
        rtol=1e-4,
        atol=1e-5,
    )
    assert model.largest_map == 13 * 10 * 7
    # The encoder starts as ever, so that runs stay paired.
    ours, theirs = (
        jax.jit(m.init)(jax.random.key(0), x)["params"]["encoder"]
        for m in (model, mirrored)
    )
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_gradients_are_those_of_stock_layers(normal, assert_same_function):
    model = small_model("deconv_k3", widths=(4,))
    assert_same_function(
        model.apply,
        functools.partial(stock_autoencoder, model),
        random_variables(model, normal),
        normal(1, *model.shape),
        rtol=1e-4,
    )


def test_dense_model_is_its_formula(normal):
    model = small_model("dense", widths=(7,), code_activation="linear")
    variables, x = random_variables(model, normal), normal(2, *model.shape)
    y = x.reshape(2, -1)
    for half, activations in (("encoder", "relu linear"), ("decoder", "relu linear")):
        layers = variables["params"][half]
        for i, name in enumerate(activations.split()):
            y = y @ layers[f"Dense_{i}"]["kernel"] + layers[f"Dense_{i}"]["bias"][None]
            y = np.maximum(y, 0) if name == "relu" else y
    np.testing.assert_allclose(
        run(model, variables, x), y.reshape(x.shape), rtol=1e-4, atol=1e-5
    )


def test_tied_decoder_is_the_transposed_encoder(normal):
    model = small_model("tied_dense")
    variables, x = random_variables(model, normal), normal(2, *model.shape)
    params = variables["params"]
    hidden = x.reshape(2, -1) @ params["kernel"] + params["code_bias"][None]
    code = 1 / (1 + np.exp(-hidden))
    linear = code @ params["kernel"].T + params["pixel_bias"][None]
    np.testing.assert_allclose(run(model, variables, x, "encode"), code, rtol=1e-4)
    np.testing.assert_allclose(
        run(model, variables, x), linear.reshape(x.shape), rtol=1e-4, atol=1e-5
    )


def test_decoders_share_the_encoder_of_a_seed(key):
    models = [small_model("deconv_k4", upsampling=kind) for kind in UPSAMPLING]
    x = jnp.zeros((1, *SMALL["shape"]))

    def encoders():
        return [model.init(key, x)["params"]["encoder"] for model in models]

    first, *others = jax.jit(encoders)()
    assert first["Conv_1"]["kernel"].std() > 0
    for other in others:
        jax.tree.map(np.testing.assert_array_equal, other, first)


@pytest.mark.parametrize("name", ["deconv_k4", "dense", "tied_dense"])
def test_bfloat16_is_of_the_computation_only(name, normal):
    model = small_model(name, dtype=jnp.bfloat16)
    variables, x = random_variables(model, normal), normal(2, *model.shape)
    shapes = jax.eval_shape(model.init, jax.random.key(0), x)
    assert {p.dtype for p in jax.tree.leaves(shapes)} == {jnp.dtype(jnp.float32)}

    @jax.jit
    def outputs(variables, x):
        def methods(model, x):
            return model.encode(x), model(x)

        exact = model.clone(dtype=jnp.float32)
        return [m.apply(variables, x, method=methods) for m in (model, exact)]

    for y, exact in zip(*outputs(variables, x), strict=True):
        assert y.dtype == jnp.float32
        error = np.abs(y - exact).max()
        assert 0 < error < 0.03 * np.abs(exact).max()


@pytest.mark.parametrize("name", ["nearest_k3", "pooled", "dense", "tied_dense"])
def test_code_activation(name, normal):
    linear = small_model(name, code_activation="linear")
    variables, x = random_variables(linear, normal), normal(2, *linear.shape)

    @jax.jit
    def codes(variables, x):
        models = {name: linear.clone(code_activation=name) for name in ACTIVATIONS}
        return {
            name: model.apply(variables, x, method="encode")
            for name, model in models.items()
        }

    code = codes(variables, x)
    before = np.asarray(code["linear"])
    assert before.min() < 0 < before.max()
    by_hand = {
        "linear": before,
        "relu": np.maximum(before, 0),
        "sigmoid": 1 / (1 + np.exp(-before)),
    }
    assert set(by_hand) == set(ACTIVATIONS)
    for activation, expected in by_hand.items():
        np.testing.assert_allclose(code[activation], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", SMALL_MODELS)
def test_to_image_applies_the_output_activation(name):
    linear = jnp.array([-np.log(3), 0, 50]).reshape(1, 1, 3, 1)
    image = small_model(name).to_image(linear)
    np.testing.assert_allclose(image.ravel(), [0.25, 0.5, 1], rtol=1e-6)
    same = small_model(name, output_activation="linear").to_image(linear)
    np.testing.assert_array_equal(same, linear)


def test_create_model_takes_what_a_model_has():
    settings = SMALL | LAYERS | {"upsampling": "nearest_k3", "bottleneck": "pooled"}
    for name, model in MODELS.items():
        assert type(create_model(name, **settings)) is model
    with pytest.raises(TypeError, match="'depth', 'width'"):
        create_model("dense", width=3, depth=2, **settings)


@pytest.mark.parametrize("field", ["bottleneck", "downsampling"])
def test_unknown_parts_are_refused(field, key):
    model = small_model("nearest_k3", **{field: "poold"})
    with pytest.raises(ValueError, match=f"{field} is 'poold'"):
        model.init(key, jnp.zeros((1, *model.shape)))
