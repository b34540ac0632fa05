"""The systems in stock Flax: its layers and JAX's, put together plainly."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from caejax.models.kinds import UPSAMPLING
from experiments.speed.systems import System, Weights, plan

RESIZED = {
    "nearest_k3": "nearest",
    "nearest_k5": "nearest",
    "bilinear_k3": "bilinear",
    "bicubic_k3": "cubic",
    "bilinear_additive": "bilinear",
}


class StockUpsample(nn.Module):
    """A kind of upsampling; the layer that learns is called "layer"."""

    features: int
    kind: str
    padding: str = "SAME"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, C) to (B, 2H, 2W, features); VALID, `valid_growth` more."""
        batch, height, width, channels = x.shape
        double = (batch, 2 * height, 2 * width)
        options = {"dtype": self.dtype, "name": "layer"}
        if self.kind in RESIZED:
            x = jax.image.resize(x, (*double, channels), RESIZED[self.kind])
            if self.kind == "bilinear_additive":
                groups = [x[..., i : i + 4].sum(-1) for i in range(0, channels, 4)]
                x = jnp.stack(groups, axis=-1)
            k = UPSAMPLING[self.kind].kernel_size
            return nn.Conv(self.features, (k, k), padding=self.padding, **options)(x)
        if self.kind == "deconv_k3_fir":
            x = nn.ConvTranspose(
                *(self.features, (3, 3), (2, 2), "VALID"), use_bias=False, **options
            )(x)
            return self._add_bias(blur(x))
        if self.kind.startswith("deconv"):
            k = int(self.kind.removeprefix("deconv_k"))
            return nn.ConvTranspose(
                self.features, (k, k), (2, 2), self.padding, **options
            )(x)
        x = nn.Conv(4 * self.features, (3, 3), use_bias=False, **options)(x)
        x = x.reshape(batch, height, width, 2, 2, self.features)
        x = x.transpose(0, 1, 3, 2, 4, 5).reshape(*double, self.features)
        if self.kind == "shuffle_hold":
            x = jnp.pad(x, ((0, 0), (1, 0), (1, 0), (0, 0)), mode="edge")
            x = nn.avg_pool(x, (2, 2), (1, 1))
        return self._add_bias(x)

    def _add_bias(self, x):
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return x + bias.astype(x.dtype)[None, None, None]


def blur(x: jax.Array) -> jax.Array:
    """Filters every channel with [1, 3, 3, 1] / 4 along both axes."""
    taps = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 16
    features = x.shape[-1]
    return jax.lax.conv_general_dilated(
        x,
        jnp.tile(jnp.asarray(taps, x.dtype)[:, :, None, None], features),
        (1, 1),
        ((1, 1), (1, 1)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=features,
    )


class StockAutoencoder(nn.Module):
    """A system; its layers are called by their place, "layer_0" and so on."""

    system: System
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, C) images to logits of the same shape, float32."""
        for i, step in enumerate(plan(self.system)):
            x = self._run(step, x, f"layer_{i}")
            if step.layer.activation != "linear":
                x = getattr(nn, step.layer.activation)(x)
        return x.astype(jnp.float32)

    def _run(self, step, x, name):
        layer, (height, width, _) = step.layer, step.after
        padding = "VALID" if layer.valid else "SAME"
        if layer.op == "pool":
            return nn.max_pool(x, (2, 2), (2, 2), padding)
        if layer.op == "nearest":
            # TensorFlow 1's mapping, which `jax.image.resize` does not have.
            for axis, size in ((1, height), (2, width)):
                index = np.arange(size) * x.shape[axis] // size
                x = jnp.take(x, index, axis)
            return x
        options = {"padding": padding, "dtype": self.dtype, "name": name}
        if layer.op == "conv":
            k = layer.kernel_size
            return nn.Conv(layer.features, (k, k), **options)(x)
        x = StockUpsample(layer.features, layer.op, **options)(x)
        return x[:, :height, :width]


def to_params(system: System, weights: Sequence[Weights | None]) -> dict[str, Any]:
    """The parameters of `StockAutoencoder` that hold these weights."""

    def params(step, weights):
        kernel, bias = map(jnp.asarray, weights[:2])
        op = step.layer.op
        if op not in UPSAMPLING:
            return {"kernel": kernel, "bias": bias}
        if op == "deconv_k3_fir" or op.startswith("shuffle"):
            return {"layer": {"kernel": kernel}, "bias": bias}
        return {"layer": {"kernel": kernel, "bias": bias}}

    pairs = zip(plan(system), weights, strict=True)
    return {f"layer_{i}": params(*pair) for i, pair in enumerate(pairs) if pair[1]}
