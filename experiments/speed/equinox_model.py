"""The systems in equinox: its layers, channels first, each image by `jax.vmap`.

What is compared is `equinox.nn.ConvTranspose`, whose gradient pull request 1259 of
equinox mended; resizes, shuffles and blurs are as in `flax_model`.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from caejax.models.kinds import STRIDE, UPSAMPLING
from caejax.ops.polyphase import depth_to_space
from experiments.speed.flax_model import RESIZED, blur
from experiments.speed.systems import Step, System, Weights, plan

Layers = list[eqx.nn.Conv | eqx.nn.ConvTranspose | None]


def create_layers(
    system: System, weights: Sequence[Weights | None], dtype: str
) -> Layers:
    """A layer of equinox for each step of `plan`, None where nothing is learnt.

    Raises:
      ValueError: the dtype is not float32, the only one measured.
    """
    if dtype != "float32":
        raise ValueError(f"dtype is {dtype}; equinox is measured in float32")
    pairs = zip(plan(system), weights, strict=True)
    return [values and _layer(step, values) for step, values in pairs]


def _layer(step: Step, weights: Weights) -> eqx.nn.Conv | eqx.nn.ConvTranspose:
    layer, k = step.layer, weights.kernel.shape[0]
    channels, features = weights.kernel.shape[2:]
    kind = UPSAMPLING.get(layer.op)
    options = {"dtype": jnp.float32, "key": jax.random.key(0)}
    if kind and kind.transposed:
        # Of all that it paints, 2 H + k - 2 pixels, Flax's SAME leaves out so many.
        whole = layer.valid or kind.fixed != (1.0,)
        before = 0 if whole else k // 2 - 1
        cut = (before, 0 if whole else k - STRIDE - before)
        made = eqx.nn.ConvTranspose2d(
            channels, features, k, STRIDE, padding=(cut, cut), **options
        )
    else:
        padding = 0 if layer.valid else k // 2
        made = eqx.nn.Conv2d(channels, features, k, padding=padding, **options)
    kernel = jnp.asarray(weights.kernel.transpose(3, 2, 0, 1))
    bias = np.tile(weights.bias, features // len(weights.bias))
    where = lambda layer: (layer.weight, layer.bias)  # noqa: E731
    return eqx.tree_at(where, made, (kernel, jnp.asarray(bias)[:, None, None]))


def apply(system: System, layers: Layers, images: jax.Array) -> jax.Array:
    """(B, H, W, C) images to logits of the same shape."""
    return jax.vmap(lambda image: _run(system, layers, image))(images)


def _run(system, layers, image):
    x = image.transpose(2, 0, 1)
    for step, layer in zip(plan(system), layers, strict=True):
        x = _step(step, layer, x)[:, : step.after[0], : step.after[1]]
        if step.layer.activation != "linear":
            x = getattr(jax.nn, step.layer.activation)(x)
    return x.transpose(1, 2, 0)


def _step(step, layer, x):
    op, (channels, height, width) = step.layer.op, x.shape
    if op == "pool":
        ceil = not step.layer.valid
        return eqx.nn.MaxPool2d(2, 2, use_ceil=ceil)(x)
    if op == "nearest":
        for axis, size in ((1, step.after[0]), (2, step.after[1])):
            x = jnp.take(x, np.arange(size) * x.shape[axis] // size, axis)
        return x
    if op in RESIZED:
        x = jax.image.resize(x, (channels, 2 * height, 2 * width), RESIZED[op])
        if op == "bilinear_additive":
            x = jnp.stack([x[i : i + 4].sum(0) for i in range(0, channels, 4)])
    x = layer(x)
    if op.startswith("shuffle"):
        x = _last(lambda y: depth_to_space(y, STRIDE), x)
    if op == "shuffle_hold":
        x = jnp.pad(x, ((0, 0), (1, 0), (1, 0)), mode="edge")
        x = eqx.nn.AvgPool2d(2, 1)(x)
    if op == "deconv_k3_fir":
        bias = layer.bias
        x = _last(blur, x - bias) + bias
    return x


def _last(function, x):
    """Runs a function of (1, H, W, C) on (C, H, W)."""
    return function(x.transpose(1, 2, 0)[None])[0].transpose(2, 0, 1)
