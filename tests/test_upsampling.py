"""Tests of the upsampling layers, against the layers of Flax and PyTorch."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from caejax.models.layers import INITIALIZERS
from caejax.models.upsampling import UPSAMPLING, Upsample, layer_filter
from caejax.ops.polyphase import phase_gains

# Kernel size of the stock layer, and the resize before it; without one the layer
# is a transposed convolution.
STOCK = {
    "deconv_k2": (2, None),
    "deconv_k3": (3, None),
    "deconv_k4": (4, None),
    "nearest_k3": (3, "nearest"),
    "bilinear_k3": (3, "bilinear"),
}
TRANSPOSED = [kind for kind, (_, resize) in STOCK.items() if not resize]
RESIZED = [kind for kind, (_, resize) in STOCK.items() if resize]

# (H, W, C) and features: one pixel, one row, an odd and an even side.
SHAPES = [((1, 1, 3), 2), ((1, 4, 1), 3), ((5, 4, 3), 1)]


def stock_layer(kind, features):
    size, resize = STOCK[kind]
    if resize:
        return nn.Conv(features, (size, size), padding="SAME")
    return nn.ConvTranspose(features, (size, size), strides=(2, 2), padding="SAME")


def stock_upsample(kind, params, x):
    """What a kind must equal: stock layers with the same parameters."""
    batch, height, width, channels = x.shape
    if resize := STOCK[kind][1]:
        x = jax.image.resize(x, (batch, 2 * height, 2 * width, channels), resize)
    return stock_layer(kind, params["bias"].size).apply({"params": params}, x)


def random_params(normal, kind, channels, features):
    size = STOCK[kind][0]
    return {"kernel": normal(size, size, channels, features), "bias": normal(features)}


def test_every_kind_has_a_reference():
    assert set(STOCK) == set(UPSAMPLING)


@pytest.mark.parametrize("kind", STOCK)
@pytest.mark.parametrize(("shape", "features"), SHAPES)
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


def torch_deconv(torch, params, x, padding, output_padding):
    """Transposed convolution; PyTorch paints its kernel, Flax the turned one."""
    kernel = np.flip(params["kernel"], (0, 1)).transpose(2, 3, 0, 1).copy()
    return torch.nn.functional.conv_transpose2d(
        x,
        torch.from_numpy(kernel),
        torch.from_numpy(params["bias"]),
        stride=2,
        padding=padding,
        output_padding=output_padding,
    )


def torch_resize(torch, params, x, mode, **options):
    x = torch.nn.functional.interpolate(x, scale_factor=2, mode=mode, **options)
    kernel = params["kernel"].transpose(3, 2, 0, 1).copy()
    return torch.nn.functional.conv2d(
        x, torch.from_numpy(kernel), torch.from_numpy(params["bias"]), padding=1
    )


TORCH = {
    "deconv_k2": lambda *args: torch_deconv(*args, 0, 0),
    # One pixel longer than SAME, at the end.
    "deconv_k3": lambda *args: torch_deconv(*args, 0, 0)[:, :, :-1, :-1],
    "deconv_k4": lambda *args: torch_deconv(*args, 1, 0),
    "nearest_k3": lambda *args: torch_resize(*args, "nearest"),
    "bilinear_k3": lambda *args: torch_resize(*args, "bilinear", align_corners=False),
}


@pytest.mark.parametrize("kind", UPSAMPLING)
def test_values_are_those_of_pytorch(kind, normal, torch):
    params, x = random_params(normal, kind, 3, 2), normal(2, 4, 5, 3)
    nchw = torch.from_numpy(x.transpose(0, 3, 1, 2).copy())
    expected = TORCH[kind](torch, params, nchw).permute(0, 2, 3, 1)
    y = jax.jit(Upsample(2, kind).apply)({"params": params}, x)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


def test_usual_deconv_k3_of_pytorch_lies_one_pixel_later(normal, torch):
    params, x = random_params(normal, "deconv_k3", 3, 2), normal(2, 4, 5, 3)
    nchw = torch.from_numpy(x.transpose(0, 3, 1, 2).copy())
    usual = torch_deconv(torch, params, nchw, 1, 1).permute(0, 2, 3, 1)
    y = jax.jit(Upsample(2, "deconv_k3").apply)({"params": params}, x)
    assert usual.shape == y.shape
    np.testing.assert_allclose(y[:, 1:, 1:], usual[:, :-1, :-1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", UPSAMPLING)
def test_parameters_have_stock_names_and_shapes(kind, key):
    x = jnp.zeros((1, 2, 2, 3))
    ours = jax.eval_shape(Upsample(5, kind).init, key, x)
    assert ours == jax.eval_shape(stock_layer(kind, 5).init, key, x)


PARAMETERS = {  # from 3 to 5 channels
    "deconv_k2": 4 * 15 + 5,
    "deconv_k3": 9 * 15 + 5,
    "deconv_k4": 16 * 15 + 5,
    "nearest_k3": 9 * 15 + 5,
    "bilinear_k3": 9 * 15 + 5,
}


@pytest.mark.parametrize("kind", UPSAMPLING)
def test_parameter_count(kind, key):
    params = jax.eval_shape(Upsample(5, kind).init, key, jnp.zeros((1, 2, 2, 3)))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == PARAMETERS[kind]


@pytest.mark.parametrize("kind", UPSAMPLING)
def test_variance_correction_doubles_transposed_kernels(kind, key, monkeypatch):
    monkeypatch.setitem(INITIALIZERS, "ones", nn.initializers.ones)
    for correction, expected in [(True, 2 if kind in TRANSPOSED else 1), (False, 1)]:
        layer = Upsample(8, kind, "ones", variance_correction=correction)
        params = jax.jit(layer.init)(key, np.zeros((1, 2, 2, 8)))["params"]
        assert (params["kernel"] == expected).all()
        assert (params["bias"] == 0).all()


def test_variance_correction_quadruples_the_variance_of_flax(key):
    def kernels():
        layer = Upsample(8, "deconv_k4", "lecun_normal")
        layers = (
            layer,
            layer.clone(variance_correction=False),
            stock_layer("deconv_k4", 8),
        )
        x = jnp.zeros((1, 2, 2, 8))
        return [layer.init(key, x)["params"]["kernel"] for layer in layers]

    corrected, uncorrected, stock = map(np.var, jax.jit(kernels)())
    assert corrected / stock == pytest.approx(4)
    assert uncorrected / stock == pytest.approx(1)


@pytest.mark.parametrize("kind", TRANSPOSED)
def test_variance_correction_keeps_the_signal(kind, key, normal):
    layer = Upsample(32, kind, "lecun_normal")
    y, _ = jax.jit(layer.init_with_output)(key, normal(1, 12, 12, 64))
    assert np.var(np.asarray(y)[:, 2:-2, 2:-2]) == pytest.approx(1, rel=0.1)


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


@functools.partial(jax.jit, static_argnums=1)
def kernel_gains(kernel, kind):
    return phase_gains(layer_filter(kernel, kind))


@pytest.mark.parametrize("kind", UPSAMPLING)
def test_phases_have_one_gain_after_a_resize_only(kind, normal):
    kernel = random_params(normal, kind, 2, 3)["kernel"]
    gains = kernel_gains(kernel, UPSAMPLING[kind])
    spread = np.ptp(gains, axis=(0, 1))
    assert (spread < 1e-5).all() if kind in RESIZED else (spread > 0.1).all()
    assert UPSAMPLING[kind].transposed == (kind in TRANSPOSED)


@pytest.mark.parametrize("kind", UPSAMPLING)
def test_constant_input_meets_the_gain_of_each_phase(kind, normal):
    params = random_params(normal, kind, 1, 1)
    y = jax.jit(Upsample(1, kind).apply)(
        {"params": params}, np.ones((1, 6, 6, 1), np.float32)
    )
    inside = np.asarray(y)[0, 4:-4, 4:-4, 0] - params["bias"].item()
    kind = UPSAMPLING[kind]
    gains = kernel_gains(params["kernel"], kind)[..., 0, 0]
    # Phases are counted from the filter's first tap, pixels from the origin.
    expected = np.tile(np.roll(gains, (kind.origin, kind.origin), (0, 1)), (2, 2))
    np.testing.assert_allclose(inside, expected, atol=1e-5)
