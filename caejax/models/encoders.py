"""Encoders: images to codes."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from caejax.models.layers import ACTIVATIONS, Conv, Dense
from caejax.ops.pool import max_pool

BOTTLENECKS = ("projection", "pooled")


class ConvEncoder(nn.Module):
    """3 x 3 convolution, ReLU and 2 x 2 max-pool per width, then the bottleneck.

    Attributes:
      widths: channels of the stages, from the image inwards.
      latent_channels: channels of the code.
      bottleneck: "projection" adds a 1 x 1 convolution from the last stage to the
        code, so widths and code size vary independently; "pooled" lets the last
        stage itself have latent_channels channels, as in the classic examples.
      code_activation: a name of `caejax.models.layers.ACTIVATIONS`.
      initializer: a name of `caejax.models.layers.INITIALIZERS`.
      dtype: of the computation.
    """

    widths: tuple[int, ...]
    latent_channels: int
    bottleneck: str = "projection"
    code_activation: str = "linear"
    initializer: str = "he_normal"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, C) to (B, ceil(H/2^L), ceil(W/2^L), latent_channels)."""
        activation = ACTIVATIONS[self.code_activation]
        if self.bottleneck not in BOTTLENECKS:
            raise ValueError(f"bottleneck is {self.bottleneck!r}; known: {BOTTLENECKS}")
        pooled = self.bottleneck == "pooled"
        for width in self.widths[:-1] if pooled else self.widths:
            x = max_pool(nn.relu(self._conv(width)(x)))
        if pooled:
            return max_pool(activation(self._conv(self.latent_channels)(x)))
        return activation(self._conv(self.latent_channels, kernel_size=1)(x))

    def _conv(self, features, kernel_size=3):
        return Conv(
            features, kernel_size, initializer=self.initializer, dtype=self.dtype
        )


class DenseEncoder(nn.Module):
    """Dense layers with ReLU, then a dense code.

    Attributes:
      widths: hidden units before the code; often none.
      latent_channels: units of the code.
      code_activation, initializer, dtype: as in `ConvEncoder`.
    """

    widths: tuple[int, ...]
    latent_channels: int
    code_activation: str = "relu"
    initializer: str = "he_normal"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, C) to (B, latent_channels)."""
        x = x.reshape(x.shape[0], -1).astype(self.dtype)
        for width in self.widths:
            x = nn.relu(self._dense(width)(x))
        return ACTIVATIONS[self.code_activation](self._dense(self.latent_channels)(x))

    def _dense(self, features):
        return Dense(features, initializer=self.initializer, dtype=self.dtype)
