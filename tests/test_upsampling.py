"""Tests of the upsampling layers, against the layers of Flax and PyTorch."""

import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.layers import (
    CONTENT,
    DECONV,
    FIR,
    PROJECTED,
    random_params,
    stock_layer,
    stock_upsample,
    tie,
)

from caejax.models.kinds import (
    STRIDE,
    check_kernel,
    find_kind,
    multiplications,
    parameters,
)
from caejax.models.layers import INITIALIZERS
from caejax.models.torch_kernels import from_torch, to_torch
from caejax.models.upsampling import UPSAMPLING, Upsample, layer_filter

# (H, W, C) and features: one pixel, one row, odd and even sides.
SHAPES = [((1, 1, 3), 2), ((1, 4, 1), 3), ((5, 4, 3), 1)]
# A bicubic border is four pixels wide; channels come in fours or move in four groups.
MORE_SHAPES = [
    ("bicubic_k3", (2, 3, 1), 2),
    ("bicubic_k3", (7, 8, 1), 1),
    ("bilinear_additive", (3, 2, 6), 2),
    ("bilinear_additive", (2, 2, 8), 1),
    ("dysample", (2, 3, 8), 1),
]


@pytest.mark.parametrize(
    ("kind", "shape", "features"),
    [(kind, *shape) for kind in UPSAMPLING for shape in SHAPES] + MORE_SHAPES,
)
def test_values_and_gradients_are_those_of_flax(
    kind, shape, features, normal, assert_same_function
):
    params = random_params(normal, kind, shape[-1], features)
    assert_same_function(
        lambda params, x: Upsample(features, kind).apply({"params": params}, x),
        lambda params, x: stock_upsample(kind, params, x),
        params,
        normal(2, *shape),
    )


# Arguments of PyTorch's conv_transpose2d, and what to cut off at the end: without
# output_padding, odd kernels give a pixel more than SAME.
TORCH_DECONV = {
    "deconv_k2": {"padding": 0},
    "deconv_k3": {"padding": 0},
    "deconv_k4": {"padding": 1},
    "deconv_k5": {"padding": 1},
    "deconv_k6": {"padding": 2},
    "deconv_k4_tied": {"padding": 1},
}
TORCH_RESIZE = {
    "nearest_k3": {"mode": "nearest"},
    "nearest_k5": {"mode": "nearest"},
    "bilinear_k3": {"mode": "bilinear"},
    "bicubic_k3": {"mode": "bicubic", "antialias": True},
    "bilinear_additive": {"mode": "bilinear"},
}


def torch_carafe(f, x, channel_compressor, content_encoder):
    """Wang et al. 2019: a softmax over 25 neighbours for each output pixel."""
    batch, channels, height, width = x.shape
    logits = f.conv2d(f.conv2d(x, *channel_compressor), *content_encoder, padding=1)
    weights = f.pixel_shuffle(logits, 2).softmax(1)
    around = f.unfold(x, 5, padding=2).view(batch, channels * 25, height, width)
    around = f.interpolate(around, scale_factor=2, mode="nearest")
    around = around.view(batch, channels, 25, 2 * height, 2 * width)
    return (around * weights[:, None]).sum(2)


def torch_dysample(f, x, offset):
    """Liu et al. 2023, style "lp": places in [-1, 1], columns first."""
    batch, channels, height, width = x.shape
    groups = 4 if channels % 4 == 0 else 2 if channels % 2 == 0 else 1
    offset = f.pixel_shuffle(f.conv2d(x, *offset) / 4, 2)
    offset = offset.view(batch, 2, groups, 2 * height, 2 * width)
    # The centres of the output's pixels, in pixels of the input.
    centres = [(x.new_ones(2 * n).cumsum(0) - 0.5) / 2 for n in (width, height)]
    across = (offset[:, 0] + centres[0]) * 2 / width - 1
    down = (offset[:, 1] + centres[1][:, None]) * 2 / height - 1
    places = x.new_zeros(*across.shape, 2)
    places[..., 0], places[..., 1] = across, down
    y = f.grid_sample(
        x.reshape(batch * groups, -1, height, width),
        places.flatten(0, 1),
        mode="bilinear",
        align_corners=False,
        padding_mode="border",
    )
    return y.view(batch, channels, 2 * height, 2 * width)


TORCH_CONTENT = {"carafe": torch_carafe, "dysample": torch_dysample}


def torch_upsample(torch, kind, params, x):
    """The same of PyTorch, as the docstring of `torch_kernels` says."""
    f = torch.nn.functional
    x = torch.from_numpy(x.transpose(0, 3, 1, 2).copy())
    height, width = x.shape[2:]
    weight = torch.from_numpy(to_torch(params["kernel"], kind))
    bias = torch.from_numpy(params["bias"])
    if kind in DECONV:
        y = f.conv_transpose2d(x, weight, bias, stride=2, **TORCH_DECONV[kind])
        y = y[:, :, : 2 * height, : 2 * width]
    elif kind in TORCH_RESIZE:
        x = f.interpolate(x, scale_factor=2, **TORCH_RESIZE[kind])
        if kind == "bilinear_additive":
            x = torch.stack([part.sum(1) for part in x.split(4, 1)], 1)
        y = f.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)
    elif kind in CONTENT:
        guides = {
            name: [
                torch.from_numpy(guide["kernel"].transpose(3, 2, 0, 1).copy()),
                torch.from_numpy(guide["bias"]),
            ]
            for name, guide in params.items()
            if name not in ("kernel", "bias")
        }
        y = f.conv2d(TORCH_CONTENT[kind](f, x, **guides), weight, bias, padding=1)
    elif kind == "deconv_k3_fir":
        y = f.pad(f.conv_transpose2d(x, weight, stride=2), (1, 1, 1, 1))
        fir = torch.from_numpy(FIR).expand(len(bias), 1, 4, 4)
        y = f.conv2d(y, fir, groups=len(bias)) + bias[None, :, None, None]
    else:
        y = f.pixel_shuffle(f.conv2d(x, weight, padding=1), 2)
        if kind == "shuffle_hold":
            y = f.avg_pool2d(f.pad(y, (1, 0, 1, 0), mode="replicate"), 2, stride=1)
        y = y + bias[None, :, None, None]
    return y.permute(0, 2, 3, 1)


@pytest.mark.parametrize("kind", UPSAMPLING)
def test_values_are_those_of_pytorch(kind, normal, torch):
    params, x = random_params(normal, kind, 5, 2), normal(2, 4, 5, 5)
    expected = torch_upsample(torch, kind, params, x)
    y = jax.jit(Upsample(2, kind).apply)({"params": params}, x)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=3e-5)


@pytest.mark.parametrize(("kind", "padding"), [("deconv_k3", 1), ("deconv_k5", 2)])
def test_usual_odd_kernels_of_pytorch_lie_one_pixel_later(kind, padding, normal, torch):
    params, x = random_params(normal, kind, 3, 2), normal(2, 4, 5, 3)
    usual = torch.nn.functional.conv_transpose2d(
        torch.from_numpy(x.transpose(0, 3, 1, 2).copy()),
        torch.from_numpy(to_torch(params["kernel"], kind)),
        torch.from_numpy(params["bias"]),
        stride=2,
        padding=padding,
        output_padding=1,
    ).permute(0, 2, 3, 1)
    y = jax.jit(Upsample(2, kind).apply)({"params": params}, x)
    assert usual.shape == y.shape
    np.testing.assert_allclose(y[:, 1:, 1:], usual[:, :-1, :-1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", UPSAMPLING)
def test_kernels_come_back_from_pytorch(kind, normal):
    kernel = random_params(normal, kind, 5, 2)["kernel"]
    back = from_torch(to_torch(kernel, kind), kind)
    if kind in PROJECTED:
        kernel = tie({"kernel": kernel, "bias": np.zeros(2)}, kind)["kernel"]
        np.testing.assert_allclose(back, kernel, atol=1e-6)
    else:
        np.testing.assert_array_equal(back, kernel)


def test_torch_layouts_by_hand():
    kernel = np.arange(4.0).reshape(2, 2, 1, 1)
    weight = to_torch(kernel, "deconv_k2")
    np.testing.assert_array_equal(weight[0, 0], [[3, 2], [1, 0]])
    kernel = np.arange(9 * 8.0).reshape(3, 3, 1, 8)  # four phases, two features
    weight = to_torch(kernel, "shuffle_k3")
    assert weight.shape == (8, 1, 3, 3)
    np.testing.assert_array_equal(weight[:, 0, 0, 0], [0, 2, 4, 6, 1, 3, 5, 7])


@pytest.mark.parametrize("convert", [to_torch, from_torch])
def test_refused_kernels(convert):
    with pytest.raises(ValueError, match="did you mean 'shuffle_icnr'"):
        convert(np.zeros((3, 3, 2, 4)), "shuffle_incr")
    for kind, shape in [
        ("deconv_k3", (4, 4, 4, 4)),
        ("nearest_k3", (3, 3, 3)),
        ("shuffle_k3", (3, 3, 3, 3)),
    ]:
        with pytest.raises(ValueError, match=f"has shape .*; {kind} needs"):
            convert(np.zeros(shape), kind)


def test_kinds_by_name():
    assert find_kind("deconv_k4") is UPSAMPLING["deconv_k4"]
    assert check_kernel((3, 3, 2, 8), "shuffle_k3") is UPSAMPLING["shuffle_k3"]
    with pytest.raises(ValueError, match=r"did you mean 'nearest_k\d'"):
        Upsample(2, "nearest_k4").init(jax.random.key(0), jnp.zeros((1, 2, 2, 1)))


GUIDES = {  # of three channels
    "carafe": {
        "channel_compressor": {"kernel": (1, 1, 3, 1), "bias": (1,)},
        "content_encoder": {"kernel": (3, 3, 1, 100), "bias": (100,)},
    },
    "dysample": {"offset": {"kernel": (1, 1, 3, 8), "bias": (8,)}},
}


@pytest.mark.parametrize("kind", UPSAMPLING)
def test_parameters_have_stock_names_and_shapes(kind, key):
    x = jnp.zeros((1, 2, 2, 3))
    ours = jax.eval_shape(Upsample(5, kind).init, key, x)["params"]
    if kind == "bilinear_additive":
        x = jnp.zeros((1, 2, 2, 1))
    stock = jax.eval_shape(stock_layer(kind, 5).init, key, x)["params"]
    guides = {
        name: {part: leaf.shape for part, leaf in ours.pop(name).items()}
        for name in set(ours) - {"kernel", "bias"}
    }
    assert guides == GUIDES.get(kind, {})
    assert ours == {"bias": jax.ShapeDtypeStruct((5,), jnp.float32)} | stock


COSTS = {  # from 8 to 5 channels: parameters, multiplications per pixel
    "deconv_k2": (4 * 40 + 5, 4 * 40),
    "deconv_k3": (9 * 40 + 5, 9 * 40),
    "deconv_k4": (16 * 40 + 5, 16 * 40),
    "deconv_k5": (25 * 40 + 5, 25 * 40),
    "deconv_k6": (36 * 40 + 5, 36 * 40),
    "nearest_k3": (9 * 40 + 5, 16 * 40),
    "bilinear_k3": (9 * 40 + 5, 36 * 40),
    "bicubic_k3": (9 * 40 + 5, 36 * 40),
    "shuffle_k3": (36 * 40 + 5, 36 * 40),
    "shuffle_icnr": (36 * 40 + 5, 36 * 40),
    "shuffle_hold": (36 * 40 + 5, 36 * 40),
    "deconv_k3_fir": (9 * 40 + 5, 9 * 40),
    "bilinear_additive": (9 * 10 + 5, 36 * 10),
    "deconv_k4_tied": (16 * 40 + 5, 16 * 40),
    "shuffle_tied": (36 * 40 + 5, 36 * 40),
    "nearest_k5": (25 * 40 + 5, 36 * 40),
    # 8 to 2 to 100 channels; 25 pixels make each of four.
    "carafe": (365 + (16 + 2) + (1800 + 100), 1440 + 16 + 1800 + 4 * 25 * 8),
    # 8 to 2 * 4 * 4 channels; 4 pixels make each of four.
    "dysample": (365 + (256 + 32), 1440 + 256 + 4 * 4 * 8),
}


def test_every_kind_has_its_costs_in_order():
    assert list(COSTS) == list(UPSAMPLING)


@pytest.mark.parametrize("kind", UPSAMPLING)
def test_costs(kind, key):
    found = UPSAMPLING[kind]
    assert (parameters(found, 8, 5), multiplications(found, 8, 5)) == COSTS[kind]
    for channels in (8, 6):
        x = jnp.zeros((1, 2, 2, channels))
        params = jax.eval_shape(Upsample(5, kind).init, key, x)
        count = sum(leaf.size for leaf in jax.tree.leaves(params))
        assert count == parameters(found, channels, 5)


@pytest.mark.parametrize("kind", UPSAMPLING)
def test_costs_are_those_of_the_docstring(kind):
    doc = " ".join(UPSAMPLING[kind].doc.split())
    found = re.search(r"Parameters ([^;]+); multiplications ([^;]+)\.$", doc)
    formulas = (re.sub(r" (?=[CF])(?<![+/] )", " * ", part) for part in found.groups())
    costs = [eval(formula, {"C": 8, "F": 5}) for formula in formulas]
    assert tuple(costs) == COSTS[kind]
    assert "Free of checkerboards" in doc


@pytest.mark.parametrize("kind", UPSAMPLING)
def test_filter_is_the_response_to_a_pixel(kind, normal):
    found, params = UPSAMPLING[kind], random_params(normal, kind, 1, 1)
    x = np.zeros((1, 11, 11, 1), np.float32)
    x[0, 5, 5] = 1
    if kind in CONTENT:
        # Guides of zeros: weights that do not depend on content.
        params |= jax.tree.map(np.zeros_like, {k: params[k] for k in GUIDES[kind]})
    y = jax.jit(Upsample(1, kind).apply)({"params": params}, x)
    h = np.asarray(jax.jit(layer_filter, static_argnums=1)(params["kernel"], found))
    # What the hold, the blur and the cubic add has no products with the kernel.
    taps = {"shuffle_hold": 49, "deconv_k3_fir": 36, "bicubic_k3": 100}
    taps |= {"carafe": 144, "dysample": 36}
    taps = taps.get(kind, multiplications(found, 1, 1))
    h = h[:, :, 0]
    assert np.count_nonzero(h) == taps
    painted = np.zeros_like(y[0])
    place = slice(10 + found.origin, 10 + found.origin + len(h))
    painted[place, place] = h
    np.testing.assert_allclose(y[0] - params["bias"][None, None], painted, atol=1e-5)


# Initialisation.


@pytest.mark.parametrize("kind", UPSAMPLING)
def test_scaled_kernels_have_the_variance_of_their_kind(kind, key, monkeypatch):
    monkeypatch.setitem(INITIALIZERS, "ones", nn.initializers.ones)
    layer = Upsample(8, kind, "ones")
    params = jax.jit(layer.init)(key, np.zeros((1, 2, 2, 8)))["params"]
    expected = 2 if kind in DECONV else 0.5 if kind == "bilinear_additive" else 1
    assert (params["kernel"] == expected).all()
    assert (params["bias"] == 0).all()


@pytest.mark.parametrize("kind", UPSAMPLING)
def test_initialisation_keeps_the_signal(kind, key, normal):
    """Of constant images; a resize takes from the variance of noisy ones."""
    layer = Upsample(64, kind, "lecun_normal")
    x = np.tile(normal(24, 1, 1, 64), (1, 7, 7, 1))
    y, _ = jax.jit(layer.init_with_output)(key, x)
    # One period, clear of the borders.
    assert np.var(np.asarray(y)[:, 6:8, 6:8]) == pytest.approx(1, rel=0.15)


def test_he_normal_doubles_the_variance(key):
    """Before the ReLU that halves it."""

    @jax.jit
    def kernels():
        x = jnp.zeros((1, 2, 2, 8))
        layers = (
            Upsample(4, "deconv_k4", name) for name in ("lecun_normal", "he_normal")
        )
        return [layer.init(key, x)["params"]["kernel"] for layer in layers]

    lecun, he = kernels()
    np.testing.assert_allclose(he, np.sqrt(2) * lecun, rtol=1e-4)


@pytest.mark.parametrize(
    "kind",
    ["deconv_k3", "nearest_k3", "shuffle_k3", "shuffle_icnr", "bilinear_additive"],
)
def test_flax_default_is_the_draw_of_the_stock_layer(kind, key):
    def kernels():
        x = jnp.zeros((1, 2, 2, 8))
        ours = Upsample(6, kind, "flax_default").init(key, x)["params"]["kernel"]
        tied = UPSAMPLING[kind].tied
        stock = nn.Conv(6, (3, 3)) if tied else stock_layer(kind, 6)
        x = x[..., :2] if kind == "bilinear_additive" else x
        return ours, stock.init(key, x)["params"]["kernel"]

    ours, stock = jax.jit(kernels)()
    np.testing.assert_array_equal(ours[..., : stock.shape[-1]], stock)


@pytest.mark.parametrize("kind", ["shuffle_icnr", "shuffle_hold"])
@pytest.mark.parametrize("initializer", ["he_normal", "flax_default"])
def test_tied_phases_start_equal(kind, initializer, key):
    layer = Upsample(3, kind, initializer)
    kernel = jax.jit(layer.init)(key, np.zeros((1, 2, 2, 4)))["params"]["kernel"]
    phases = np.asarray(kernel).reshape(3, 3, 4, STRIDE**2, 3)
    np.testing.assert_array_equal(phases, np.repeat(phases[:, :, :, :1], 4, axis=3))
    assert np.ptp(phases, axis=-1).min() > 0


@pytest.mark.parametrize("kind", UPSAMPLING)
def test_bfloat16_is_of_the_computation_only(kind, key, normal):
    layer, x = Upsample(2, kind, dtype=jnp.bfloat16), normal(2, 4, 5, 3)
    dtypes = {p.dtype for p in jax.tree.leaves(jax.eval_shape(layer.init, key, x))}
    assert dtypes == {jnp.dtype(jnp.float32)}
    variables = {"params": random_params(normal, kind, 3, 2)}
    exact = layer.clone(dtype=jnp.float32)
    both = jax.jit(lambda *args: (layer.apply(*args), exact.apply(*args)))
    y, exact = map(np.asarray, both(variables, x))
    assert y.dtype == jnp.bfloat16
    assert np.abs(y - exact).max() < 0.03 * np.abs(exact).max()
