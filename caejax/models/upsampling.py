"""Upsampling layers by name, all as filters of the one polyphase operation.

What the kinds are, `caejax.models.kinds` says; here they are run and initialised.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from caejax.models.kinds import (
    STRIDE,
    UPSAMPLING,
    Kind,
    find_kind,
    kernel_shape,
    layer_filter,
    painted_filter,
    valid_growth,
)
from caejax.models.layers import (
    INITIALIZERS,
    LIBRARY_DEFAULTS,
    add_bias,
    initial_bias,
)
from caejax.ops.polyphase import smooth, upsample
from caejax.ops.resize import correct_border

__all__ = ["STRIDE", "UPSAMPLING", "Kind", "Upsample", "apply_kind", "layer_filter"]


class Upsample(nn.Module):
    """Doubles height and width: (B, H, W, C) to (B, 2H, 2W, features).

    Parameters have the names and shapes of the stock layer: kernel
    (k, k, C, features) as in `nn.ConvTranspose` (SAME, stride 2) or `nn.Conv`
    (SAME, after `jax.image.resize`), (3, 3, C, 4 features) before a shuffle, phase
    outermost; bias (features,), one for all phases. With equal parameters the
    output is that of the stock layers, borders included.

    Attributes:
      features: output channels.
      kind: a name of `UPSAMPLING`.
      initializer: a name of `caejax.models.layers.INITIALIZERS`, with the kind's
        `variance`, so that every kind keeps the signal's variance alike; the
        defaults of libraries go without.
      dtype: of the computation; parameters stay float32.
      valid: VALID instead of SAME padding, for kinds with a `valid_growth`.
    """

    features: int
    kind: str
    initializer: str = "he_normal"
    dtype: jnp.dtype = jnp.float32
    valid: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, C) to (B, 2H, 2W, features), VALID to `valid_growth` more."""
        kind = find_kind(self.kind)
        shape = kernel_shape(kind, x.shape[-1], self.features)
        kernel = self.param("kernel", initial_kernel, shape, kind, self.initializer)
        fan_in = _torch_fan_in(shape, kind)
        bias = self.param(
            "bias", initial_bias, (self.features,), self.initializer, fan_in
        )
        y = apply_kind(x.astype(self.dtype), kernel, kind, valid=self.valid)
        return add_bias(y, bias)


def initial_kernel(
    key: jax.Array, shape: tuple[int, ...], kind: Kind, initializer: str
) -> jax.Array:
    """Draws a kernel parameter.

    Args:
      key: random key.
      shape: of the kernel, `kernel_shape`.
      kind: of the layer.
      initializer: a name of `caejax.models.layers.INITIALIZERS`.

    Returns:
      float32 of that shape.
    """
    copies = kind.phases if kind.tied else 1
    one = (*shape[:-1], shape[-1] // copies)
    kernel = jnp.tile(INITIALIZERS[initializer](key, one), copies)
    if initializer == "torch_default":
        fan_in = math.prod(shape[:-1])
        return kernel * (fan_in / _torch_fan_in(shape, kind)) ** 0.5
    if initializer in LIBRARY_DEFAULTS:
        return kernel
    return kernel * kind.variance**0.5


def _torch_fan_in(shape, kind):
    """PyTorch takes the outputs of a transposed convolution for its inputs."""
    k, _, channels, features = shape
    return k * k * (features if kind.transposed else channels)


def apply_kind(
    x: jax.Array, kernel: jax.Array, kind: Kind, *, valid: bool = False
) -> jax.Array:
    """Upsamples images with a kind's kernel.

    Args:
      x: (B, H, W, C).
      kernel: float32 kernel parameter, `kernel_shape`.
      kind: of the layer.
      valid: VALID instead of SAME padding; the kind must have a `valid_growth`.

    Returns:
      (B, 2H, 2W, F); VALID, `valid_growth` pixels more a side.
    """
    if not valid:
        return _apply_same(x, kernel, kind)
    growth = valid_growth(kind)
    if growth < 0:
        # SAME and VALID differ in the pixels that see the border, and only there.
        border = -growth // 2
        return _apply_same(x, kernel, kind)[:, border:-border, border:-border]
    height, width = (STRIDE * side + growth for side in x.shape[1:3])
    extra = -(-growth // STRIDE)
    x = jnp.pad(x, ((0, 0), (0, extra), (0, extra), (0, 0)))
    h = painted_filter(kernel, kind).astype(x.dtype)
    return upsample(x, h, origin=0, stride=STRIDE)[:, :height, :width]


def _apply_same(x, kernel, kind):
    x = _sum_groups(x, kind.group)
    h = painted_filter(kernel, kind)
    if kind.run != "average":
        # Rounded only once made, so that all phases keep nearly the same gain.
        h = smooth(h, kind.fixed)
    border = "edge" if kind.run == "resize" else "zero"
    h = h.astype(x.dtype)
    y = upsample(x, h, origin=kind.origin, stride=STRIDE, border=border)
    if kind.run == "resize":
        return correct_border(y, x, kernel.astype(x.dtype), kind.fixed)
    return _average(y) if kind.run == "average" else y


def _sum_groups(x: jax.Array, group: int) -> jax.Array:
    """(B, H, W, C) to (B, H, W, ceil(C / group)): sums of consecutive channels."""
    if group == 1:
        return x
    x = jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, -x.shape[-1] % group)))
    return x.reshape(*x.shape[:-1], -1, group).sum(-1)


def _average(y: jax.Array) -> jax.Array:
    """(B, H, W, F): each pixel and those above and on its left, edges repeated."""
    y = jnp.pad(y, ((0, 0), (1, 0), (1, 0), (0, 0)), mode="edge")
    y = (y[:, :-1] + y[:, 1:]) / 2
    return (y[:, :, :-1] + y[:, :, 1:]) / 2
