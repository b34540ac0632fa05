"""Layers shared by encoders and decoders, and the names configs give to parts."""

import math
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from caejax.ops.conv import conv, same_padding
from caejax.ops.stride import conv_stride2

Initializer = Callable[..., jax.Array]

# How kernels start. An upsampling layer corrects the scale, but not that of a
# library's default, which is what the library's own layers draw.
INITIALIZERS: dict[str, Initializer] = {
    "flax_default": nn.initializers.lecun_normal(),
    "glorot_uniform": nn.initializers.glorot_uniform(),
    "he_normal": nn.initializers.he_normal(),
    "keras_default": nn.initializers.glorot_uniform(),
    "lecun_normal": nn.initializers.lecun_normal(),
    # Up to 4 sqrt(6 / (fan_in + fan_out)): Glorot & Bengio 2010, for sigmoids.
    "sigmoid_uniform": nn.initializers.variance_scaling(16, "fan_avg", "uniform"),
    # Up to 1 / sqrt(fan_in), biases too: see `initial_bias`.
    "torch_default": nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform"),
}
LIBRARY_DEFAULTS = ("flax_default", "keras_default", "torch_default")

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "linear": lambda x: x,
    "relu": nn.relu,
    "sigmoid": nn.sigmoid,
}


DTYPES: dict[str, jnp.dtype] = {
    "float32": jnp.dtype(jnp.float32),
    "bfloat16": jnp.dtype(jnp.bfloat16),
}


class Conv(nn.Module):
    """`nn.Conv` of stride 1 or 2, over `caejax.ops.conv` and `caejax.ops.stride`.

    Padding is SAME or, with stride 1 only, VALID. Parameters have the names and shapes
    of `nn.Conv`: kernel (k, k, C, features) and bias (features,), so weights can be
    exchanged.
    """

    features: int
    kernel_size: int = 3
    initializer: str = "he_normal"
    dtype: jnp.dtype = jnp.float32
    valid: bool = False
    stride: int = 1

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, C) to (B, H, W, features).

        VALID makes k - 1 pixels less a side, stride 2 half of them, rounded up.
        """
        shape = (self.kernel_size, self.kernel_size, x.shape[-1], self.features)
        kernel, bias = _kernel_and_bias(self, shape)
        x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
        if self.stride == 2:
            return add_bias(conv_stride2(x, kernel), bias)
        padding = ((0, 0), (0, 0)) if self.valid else same_padding(shape)
        return add_bias(conv(x, kernel, padding), bias)


class Dense(nn.Module):
    """`nn.Dense`, its parameters started by name."""

    features: int
    initializer: str = "he_normal"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, K) to (B, features)."""
        kernel, bias = _kernel_and_bias(self, (x.shape[-1], self.features))
        return add_bias(x.astype(self.dtype) @ kernel.astype(self.dtype), bias)


def _kernel_and_bias(module, shape):
    """Parameters of a layer whose kernel ends in inputs and outputs."""
    kernel = module.param("kernel", INITIALIZERS[module.initializer], shape)
    fan_in = math.prod(shape[:-1])
    bias = module.param("bias", initial_bias, shape[-1:], module.initializer, fan_in)
    return kernel, bias


def initial_bias(
    key: jax.Array, shape: tuple[int], initializer: str, fan_in: int
) -> jax.Array:
    """Draws a bias: zeros, but as PyTorch does for "torch_default".

    Args:
      key: the random key.
      shape: the bias's shape, (F,).
      initializer: a name of `INITIALIZERS`.
      fan_in: the kernel's fan-in, as PyTorch counts it.

    Returns:
      The bias, (F,) float32; for "torch_default" uniform up to 1 / sqrt(fan_in).
    """
    if initializer != "torch_default":
        return jnp.zeros(shape)
    bound = fan_in**-0.5
    return jax.random.uniform(key, shape, minval=-bound, maxval=bound)


def add_bias(x: jax.Array, bias: jax.Array) -> jax.Array:
    """Adds a (C,) bias to (..., C) in the dtype of x."""
    return x + jnp.expand_dims(bias.astype(x.dtype), tuple(range(x.ndim - 1)))
