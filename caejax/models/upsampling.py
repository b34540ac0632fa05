"""Upsampling layers by name, all as filters of the one polyphase operation.

The layers differ in how their filter is made from their kernel. Transposed
convolutions use it as it is; resize-convolutions smear it with the filter of
the resize, which makes the gain of all output phases equal and so rules out
checkerboards on constant inputs (Odena, Dumoulin & Olah, Distill 2016).
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from caejax.models.layers import INITIALIZERS, add_bias
from caejax.ops.conv import conv
from caejax.ops.polyphase import resize_filter, upsample

STRIDE = 2


class Kind(NamedTuple):
    """How one kind of layer makes its filter.

    Attributes:
      kernel_size: k of the kernel parameter (k, k, C, F).
      resize: one axis of the resize's filter; empty for transposed convolutions.
      origin: place of the filter's first tap, in output pixels.
      clamped: the resize repeats the border pixels instead of fading to zero.
    """

    kernel_size: int
    resize: tuple[float, ...]
    origin: int
    clamped: bool = False

    @property
    def transposed(self) -> bool:
        """Whether the layer is a transposed convolution."""
        return not self.resize


UPSAMPLING: dict[str, Kind] = {
    "deconv_k2": Kind(2, (), 0),
    "deconv_k3": Kind(3, (), 0),
    "deconv_k4": Kind(4, (), -1),
    "nearest_k3": Kind(3, (1.0, 1.0), -1),
    "bilinear_k3": Kind(3, (0.25, 0.75, 0.75, 0.25), -2, clamped=True),
}


class Upsample(nn.Module):
    """Doubles height and width: (B, H, W, C) to (B, 2H, 2W, features).

    Parameters have the names and shapes of the stock layer: kernel
    (k, k, C, features) as in `nn.ConvTranspose` (SAME, stride 2) or `nn.Conv`
    (SAME, after `jax.image.resize`), bias (features,). With equal parameters the
    output is that of the stock layers, borders included.

    Attributes:
      features: output channels.
      kind: a name of `UPSAMPLING`.
      initializer: a name of `caejax.models.layers.INITIALIZERS`.
      variance_correction: multiplies a transposed kernel's initial variance by
        stride**2. Fan-in counts all k*k taps, of which an output pixel meets one
        in stride**2, so that Flax's default halves the signal at every stage.
      dtype: of the computation; parameters stay float32.
    """

    features: int
    kind: str
    initializer: str = "he_normal"
    variance_correction: bool = True
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, C) to (B, 2H, 2W, features)."""
        kind = UPSAMPLING[self.kind]
        shape = (kind.kernel_size, kind.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", self._init_kernel, shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        y = apply_kind(x.astype(self.dtype), kernel, kind)
        return add_bias(y, bias)

    def _init_kernel(self, key, shape):
        kernel = INITIALIZERS[self.initializer](key, shape)
        corrected = self.variance_correction and UPSAMPLING[self.kind].transposed
        return kernel * STRIDE if corrected else kernel


def layer_filter(kernel: jax.Array, kind: Kind) -> jax.Array:
    """A layer's filter at the high resolution, (L, L, C, F), from its kernel."""
    if kind.transposed:
        # ConvTranspose correlates, so the picture it paints is turned.
        return jnp.flip(kernel, (0, 1))
    return resize_filter(kernel, kind.resize)


def apply_kind(x: jax.Array, kernel: jax.Array, kind: Kind) -> jax.Array:
    """Upsamples (B, H, W, C) with a float32 kernel (k, k, C, F) of a kind."""
    # Rounded only once made, so that all phases keep nearly the same gain.
    h = layer_filter(kernel, kind).astype(x.dtype)
    if not kind.clamped:
        return upsample(x, h, origin=kind.origin, stride=STRIDE)
    y = upsample(x, h, origin=kind.origin, stride=STRIDE, border="edge")
    return _without_outer_ring(y, x, kernel.astype(x.dtype))


def _without_outer_ring(y: jax.Array, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Zero-pads after the fact.

    A clamped resize continues its image beyond the border, whereas a SAME
    convolution sees zeros there. This takes back what the 3 x 3 kernel read from
    the ring of pixels just outside: four thin convolutions.

    Args:
      y: (B, 2H, 2W, F) output computed with the continued image.
      x: (B, H, W, C) input.
      kernel: (3, 3, C, F).

    Returns:
      (B, 2H, 2W, F).
    """
    batch, height, width, channels = x.shape
    rows = jax.image.resize(
        x[:, jnp.array([0, -1])], (batch, 2, 2 * width, channels), "linear"
    )
    columns = jax.image.resize(
        x[:, :, jnp.array([0, -1])], (batch, 2 * height, 2, channels), "linear"
    )
    # The corners belong to the rows.
    rows = jnp.pad(rows, ((0, 0), (0, 0), (1, 1), (0, 0)), mode="edge")
    above, below = ((0, 0), (0, 0)), ((1, 1), (0, 0))
    y = y.at[:, :1].add(-conv(rows[:, :1], kernel[:1], above))
    y = y.at[:, -1:].add(-conv(rows[:, 1:], kernel[2:], above))
    y = y.at[:, :, :1].add(-conv(columns[:, :, :1], kernel[:, :1], below))
    return y.at[:, :, -1:].add(-conv(columns[:, :, 1:], kernel[:, 2:], below))
