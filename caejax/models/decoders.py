"""Decoders: codes to images, the encoders mirrored."""

import math
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from caejax.models.layers import INITIALIZERS, Conv, Dense
from caejax.models.upsampling import Upsample

# How a stage takes what the encoder had at its size, projected to the stage's width.
SKIPS = ("none", "add", "concat")


class ConvDecoder(nn.Module):
    """Upsampling and ReLU per width, then a 3 x 3 convolution, linear.

    Attributes:
      widths: numbers of channels of the stages, from the code outwards.
      channels: number of channels of the image.
      upsampling: each stage's kind, from the code outwards, a name of
        `caejax.models.upsampling.UPSAMPLING`.
      skips: what each stage does with the encoder's features of its size before its
        ReLU, behind a 1 x 1 convolution without bias to its width: "none" leaves them
        out, "add" adds them, "concat" puts their channels behind its own.
      refine: number of 3 x 3 convolutions of stride 1 with ReLU that follow each
        stage's upsampling; () for none.
      initializer, dtype: as in `Upsample`.
    """

    widths: tuple[int, ...]
    channels: int
    upsampling: tuple[str, ...]
    skips: str = "none"
    refine: tuple[int, ...] = ()
    initializer: str = "he_normal"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        code: jax.Array,
        size: tuple[int, int] | None = None,
        features: Sequence[jax.Array] = (),
    ) -> jax.Array:
        """Decodes a feature map of any height and width.

        Args:
          code: the feature map, (B, h, w, C).
          size: the image's size (H, W); the encoder must map it to (h, w). Trailing
            rows and columns are cropped after each stage, where the encoder had
            an odd size. Without it, nothing is cropped.
          features: the encoder's features for skips, from the image inwards, as
            `ConvEncoder.with_features` returns them; () for zeros.

        Returns:
          Linear images (B, H, W, channels), by default with (H, W) = 2^L (h, w).
        """
        x = code
        settings = {"initializer": self.initializer, "dtype": self.dtype}
        stages = zip(self.widths, self.upsampling, strict=True)
        for stage, (width, kind) in enumerate(stages):
            x = Upsample(width, kind, **settings)(x)
            left = len(self.widths) - 1 - stage
            if size is not None:
                rows, columns = pooled_size(size, left)
                x = x[:, :rows, :columns]
            if self.skips in SKIPS[1:]:
                x = self._joined(x, stage, features[left] if features else None)
            x = nn.relu(x)
            for i in range(self.refine[stage] if self.refine else 0):
                x = nn.relu(Conv(width, **settings, name=f"refine_{stage}_{i}")(x))
        return Conv(self.channels, **settings)(x)

    def _joined(self, x, stage, features):
        """A stage's map with what the encoder had, None for zeros."""
        if features is None:
            # A projection without bias makes zeros of them.
            return (
                x
                if self.skips == "add"
                else jnp.concatenate([x, jnp.zeros_like(x)], axis=-1)
            )
        projected = nn.Dense(
            x.shape[-1],
            use_bias=False,
            kernel_init=INITIALIZERS[self.initializer],
            dtype=self.dtype,
            name=f"skip_{stage}",
        )(features)
        if self.skips == "add":
            return x + projected
        return jnp.concatenate([x, projected], axis=-1)


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
