"""Parameters drawn at random, and the stock layers that ours must equal."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from caejax.models.kinds import kernel_shape
from caejax.models.upsampling import UPSAMPLING

DECONV = {
    "deconv_k2": 2,
    "deconv_k3": 3,
    "deconv_k4": 4,
    "deconv_k5": 5,
    "deconv_k6": 6,
}
RESIZED = {"nearest_k3": "nearest", "bilinear_k3": "bilinear", "bicubic_k3": "bicubic"}
SHUFFLED = ("shuffle_k3", "shuffle_icnr", "shuffle_hold")
FIR = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32) / 16


def stock_layer(kind, features):
    """The stock layer whose kernel a kind has, without the bias of a shuffle."""
    if kind in DECONV:
        return nn.ConvTranspose(features, (DECONV[kind],) * 2, (2, 2), "SAME")
    if kind == "deconv_k3_fir":
        return nn.ConvTranspose(features, (3, 3), (2, 2), "VALID")
    if kind in SHUFFLED:
        return nn.Conv(4 * features, (3, 3), use_bias=False)
    return nn.Conv(features, (3, 3))


def stock_upsample(kind, params, x):
    """What a kind must equal: stock layers with the same parameters."""
    batch, height, width, channels = x.shape
    features = params["bias"].size
    bias = params["bias"][None, None, None]
    layer = stock_layer(kind, features)
    double = (batch, 2 * height, 2 * width, channels)
    if kind in RESIZED:
        x = jax.image.resize(x, double, RESIZED[kind])
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
    return layer.apply({"params": params}, x)


def random_params(normal, kind, channels, features):
    shape = kernel_shape(UPSAMPLING[kind], channels, features)
    return {"kernel": normal(*shape), "bias": normal(features)}


def random_variables(model, normal):
    """Parameters of about the size of initialised ones, biases included."""
    x = jnp.zeros((1, *model.shape))
    shapes = jax.eval_shape(model.init, jax.random.key(0), x)

    def draw(leaf):
        fan_in = np.prod(leaf.shape[:-1]) if len(leaf.shape) > 1 else 10
        return normal(*leaf.shape) * (2 / fan_in) ** 0.5

    return jax.tree.map(draw, shapes)
