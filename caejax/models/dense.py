"""The fully connected autoencoder."""

import math

import jax
import jax.numpy as jnp

from caejax.models.decoders import DenseDecoder
from caejax.models.encoders import DenseEncoder
from caejax.models.protocol import Autoencoder


class DenseAutoencoder(Autoencoder):
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

    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, C) images in [0, 1] to linear images of the same shape."""
        return self.decode(self.encode(x))

    @property
    def code_shape(self) -> tuple[int]:
        """(latent_channels,)."""
        return (self.latent_channels,)

    @property
    def stride(self) -> int:
        """1: the code has no axes of the image."""
        return 1

    @property
    def stages(self) -> tuple[str, ...]:
        """Always empty: there are no upsampling layers."""
        return ()

    @property
    def largest_map(self) -> int:
        """About how many numbers the image or the largest layer holds."""
        return max(math.prod(self.shape), *self.widths, self.latent_channels)

    def output_size(self, size: tuple[int, int]) -> tuple[int, int] | None:
        """The model's own size; no other can be put in."""
        return size if size == self.shape[:2] else None
