"""The fully connected autoencoder."""

import math

import jax
import jax.numpy as jnp

from caejax.models.decoders import DenseDecoder
from caejax.models.encoders import DenseEncoder
from caejax.models.flat import FlatAutoencoder


class DenseAutoencoder(FlatAutoencoder):
    """Fully connected, for images of one size.

    Attributes:
      shape: (H, W, C) of the images.
      widths: numbers of hidden units on both sides of the code; often none.
      latent_channels: number of units of the code.
      code_activation, output_activation, initializer, dtype: as in
        `ConvAutoencoder`.
    """

    shape: tuple[int, int, int]
    widths: tuple[int, ...]
    latent_channels: int
    code_activation: str = "relu"
    output_activation: str = "sigmoid"
    initializer: str = "he_normal"
    dtype: jnp.dtype = jnp.float32

    def setup(self):
        """Makes the two halves."""
        self.encoder = DenseEncoder(
            self.widths,
            self.latent_channels,
            code_activation=self.code_activation,
            initializer=self.initializer,
            dtype=self.dtype,
        )
        self.decoder = DenseDecoder(
            self.widths[::-1],
            self.shape,
            initializer=self.initializer,
            dtype=self.dtype,
        )

    def encode(self, x: jax.Array) -> jax.Array:
        """(B, H, W, C) images in [0, 1] to (B, latent_channels) float32."""
        return self.encoder(x).astype(jnp.float32)

    def decode(self, code: jax.Array) -> jax.Array:
        """(B, latent_channels) to the linear image (B, H, W, C), float32."""
        return self.decoder(code).astype(jnp.float32)

    @property
    def largest_map(self) -> int:
        """About how many numbers the image or the largest layer holds."""
        return max(math.prod(self.shape), *self.widths, self.latent_channels)
