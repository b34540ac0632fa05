"""Decoders: codes to images, the encoders mirrored."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from caejax.models.layers import Conv, Dense
from caejax.models.upsampling import Upsample


class ConvDecoder(nn.Module):
    """Upsampling and ReLU per width, then a 3 x 3 convolution, linear.

    Attributes:
      widths: numbers of channels of the stages, from the code outwards.
      channels: number of channels of the image.
      upsampling: a name of `caejax.models.upsampling.UPSAMPLING`.
      initializer, dtype: as in `Upsample`.
    """

    widths: tuple[int, ...]
    channels: int
    upsampling: str
    initializer: str = "he_normal"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self, code: jax.Array, size: tuple[int, int] | None = None
    ) -> jax.Array:
        """Decodes a feature map of any height and width.

        Args:
          code: the feature map, (B, h, w, C).
          size: the image's size (H, W); the encoder must map it to (h, w). Trailing
            rows and columns are cropped after each stage, where the encoder had
            an odd size. Without it, nothing is cropped.

        Returns:
          Linear images (B, H, W, channels), by default with (H, W) = 2^L (h, w).
        """
        x = code
        for stage, width in enumerate(self.widths, start=1):
            x = Upsample(
                width,
                self.upsampling,
                initializer=self.initializer,
                dtype=self.dtype,
            )(x)
            if size is not None:
                height, width = pooled_size(size, len(self.widths) - stage)
                x = x[:, :height, :width]
            x = nn.relu(x)
        return Conv(self.channels, initializer=self.initializer, dtype=self.dtype)(x)


def pooled_size(size: tuple[int, int], stages: int) -> tuple[int, int]:
    """What is left of (height, width) after so many 2 x 2 poolings."""
    height, width = size
    return -(-height // 2**stages), -(-width // 2**stages)


class DenseDecoder(nn.Module):
    """Dense layers with ReLU, then the pixels, linear.

    Attributes:
      widths: numbers of hidden units, from the code outwards; often none.
      shape: (H, W, C) of the image.
      initializer, dtype: as in `ConvDecoder`.
    """

    widths: tuple[int, ...]
    shape: tuple[int, int, int]
    initializer: str = "he_normal"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, code: jax.Array) -> jax.Array:
        """(B, K) to (B, H, W, C)."""
        x = code
        for width in self.widths:
            x = nn.relu(self._dense(width)(x))
        return self._dense(math.prod(self.shape))(x).reshape(-1, *self.shape)

    def _dense(self, features):
        return Dense(features, initializer=self.initializer, dtype=self.dtype)
