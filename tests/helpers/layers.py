"""Parameters drawn at random, and the stock layers that ours must equal."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.ndimage import map_coordinates

from caejax.models.kinds import guide_shapes, kernel_shape
from caejax.models.upsampling import UPSAMPLING

DECONV = {
    "deconv_k2": 2,
    "deconv_k3": 3,
    "deconv_k4": 4,
    "deconv_k5": 5,
    "deconv_k6": 6,
    "deconv_k4_tied": 4,
}
RESIZED = {
    "nearest_k3": "nearest",
    "nearest_k5": "nearest",
    "bilinear_k3": "bilinear",
    "bicubic_k3": "bicubic",
}
SHUFFLED = ("shuffle_k3", "shuffle_icnr", "shuffle_hold", "shuffle_tied")
PROJECTED = ("deconv_k4_tied", "shuffle_tied")
CONTENT = ("carafe", "dysample")
FIR = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32) / 16


def stock_layer(kind, features):
    """The stock layer whose kernel a kind has, without the bias of a shuffle."""
    if kind in DECONV:
        return nn.ConvTranspose(features, (DECONV[kind],) * 2, (2, 2), "SAME")
    if kind == "deconv_k3_fir":
        return nn.ConvTranspose(features, (3, 3), (2, 2), "VALID")
    if kind in SHUFFLED:
        return nn.Conv(4 * features, (3, 3), use_bias=False)
    k = 5 if kind == "nearest_k5" else 3
    return nn.Conv(features, (k, k))


def tie(params, kind):
    """Parameters with the kernel of a projected kind projected, phase by phase."""
    if kind not in PROJECTED:
        return params
    kernel, features = params["kernel"], params["bias"].size
    if kind in DECONV:
        places = [np.s_[i::2, j::2] for i in (0, 1) for j in (0, 1)]
    else:
        places = [np.s_[..., n * features : (n + 1) * features] for n in range(4)]
    gains = [kernel[place].sum((0, 1), keepdims=True) for place in places]
    kernel = jnp.asarray(kernel)
    for place, gain in zip(places, gains, strict=True):
        taps = np.prod(kernel[place].shape[:2])
        kernel = kernel.at[place].add((sum(gains) / 4 - gain) / taps)
    return params | {"kernel": kernel}


def stock_resize(kind, params, x):
    """CARAFE's and DySample's resizes by their definition, output by output."""

    def guide(x, name):
        kernel, bias = params[name]["kernel"], params[name]["bias"]
        layer = nn.Conv(bias.size, kernel.shape[:2])
        return layer.apply({"params": {"kernel": kernel, "bias": bias}}, x)

    batch, height, width, channels = x.shape
    if kind == "carafe":
        logits = guide(guide(x, "channel_compressor"), "content_encoder")
        around = lax.conv_general_dilated_patches(
            x, (5, 5), (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        ).reshape(batch, height, width, channels, 25)
    else:
        groups = np.gcd(channels, 4)
        moves = guide(x, "offset").reshape(batch, height, width, 2, groups, 4) / 4
        moves = jnp.repeat(moves, channels // groups, axis=4)
        pixels = np.indices((height, width), np.float32)[:, None, :, :, None]

    def pick(image, down, right):
        return map_coordinates(image, [down, right], 1, "nearest")

    pick = jax.vmap(jax.vmap(pick, -1, -1))
    y = jnp.zeros((batch, 2 * height, 2 * width, channels))
    for phase in range(4):
        a, b = divmod(phase, 2)
        if kind == "carafe":
            weights = nn.softmax(logits[..., phase::4])
            found = jnp.einsum("bhwct,bhwt->bhwc", around, weights)
        else:
            right, down = moves[..., 0, :, phase], moves[..., 1, :, phase]
            down = down + pixels[0] + (a - 0.5) / 2
            found = pick(x, down, right + pixels[1] + (b - 0.5) / 2)
        y = y.at[:, a::2, b::2].set(found)
    return y


def stock_upsample(kind, params, x):
    """What a kind must equal: stock layers with the same parameters."""
    batch, height, width, channels = x.shape
    features = params["bias"].size
    bias = params["bias"][None, None, None]
    params = tie(params, kind)
    layer = stock_layer(kind, features)
    double = (batch, 2 * height, 2 * width, channels)
    if kind in RESIZED:
        x = jax.image.resize(x, double, RESIZED[kind])
    if kind in CONTENT:
        x = stock_resize(kind, params, x)
    if kind == "bilinear_additive":
        x = jax.image.resize(x, double, "bilinear")
        groups = [x[..., i : i + 4].sum(-1) for i in range(0, channels, 4)]
        x = jnp.stack(groups, axis=-1)
    if kind in SHUFFLED:
        y = layer.apply({"params": {"kernel": params["kernel"]}}, x)
        y = y.reshape(batch, height, width, 2, 2, features).transpose(0, 1, 3, 2, 4, 5)
        y = y.reshape(*double[:3], features)
        if kind == "shuffle_hold":
            y = jnp.pad(y, ((0, 0), (1, 0), (1, 0), (0, 0)), mode="edge")
            y = nn.avg_pool(y, (2, 2), (1, 1), "VALID")
        return y + bias
    if kind == "deconv_k3_fir":
        y = layer.apply({"params": params | {"bias": 0 * params["bias"]}}, x)
        y = lax.conv_general_dilated(
            y,
            jnp.tile(FIR[:, :, None, None], features),
            (1, 1),
            ((1, 1), (1, 1)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=features,
        )
        return y + bias
    params = {name: params[name] for name in ("kernel", "bias")}
    return layer.apply({"params": params}, x)


def random_params(normal, kind, channels, features):
    shape = kernel_shape(UPSAMPLING[kind], channels, features)
    guides = {
        name: {"kernel": normal(*guide), "bias": normal(guide[-1])}
        for name, guide in guide_shapes(UPSAMPLING[kind], channels).items()
    }
    return {"kernel": normal(*shape), "bias": normal(features), **guides}


def run(model, variables, *args, method=None):
    """What a module does, in one program: one by one, its operations take longer."""
    return jax.jit(functools.partial(model.apply, method=method))(variables, *args)


def random_variables(model, normal):
    """Parameters of about the size of initialised ones, biases included."""
    x = jnp.zeros((1, *model.shape))
    shapes = jax.eval_shape(model.init, jax.random.key(0), x)

    def draw(leaf):
        fan_in = np.prod(leaf.shape[:-1]) if len(leaf.shape) > 1 else 10
        return normal(*leaf.shape) * np.float32((2 / fan_in) ** 0.5)

    return jax.tree.map(draw, shapes)
