"""The autoencoder of one dense layer and its transpose."""

import math

import jax
import jax.numpy as jnp

from caejax.models.flat import FlatAutoencoder
from caejax.models.layers import ACTIVATIONS, INITIALIZERS, add_bias, initial_bias


class TiedDenseAutoencoder(FlatAutoencoder):
    """One dense layer whose decoder is its transpose (Vincent et al., ICML 2008).

    Attributes:
      shape, latent_channels, code_activation, output_activation, initializer,
        dtype: as in `DenseAutoencoder`.
    """

    shape: tuple[int, int, int]
    latent_channels: int
    code_activation: str = "sigmoid"
    output_activation: str = "sigmoid"
    initializer: str = "glorot_uniform"
    dtype: jnp.dtype = jnp.float32

    def setup(self):
        """Makes the one kernel and the two biases."""
        pixels, units = math.prod(self.shape), self.latent_channels
        start = self.initializer
        self.kernel = self.param("kernel", INITIALIZERS[start], (pixels, units))
        self.code_bias = self.param("code_bias", initial_bias, (units,), start, pixels)
        self.pixel_bias = self.param(
            "pixel_bias", initial_bias, (pixels,), start, units
        )

    def encode(self, x: jax.Array) -> jax.Array:
        """(B, H, W, C) images in [0, 1] to (B, latent_channels) float32."""
        x = x.reshape(x.shape[0], -1).astype(self.dtype)
        code = add_bias(x @ self.kernel.astype(self.dtype), self.code_bias)
        return ACTIVATIONS[self.code_activation](code).astype(jnp.float32)

    def decode(self, code: jax.Array) -> jax.Array:
        """(B, latent_channels) to the linear image (B, H, W, C), float32."""
        x = code.astype(self.dtype) @ self.kernel.T.astype(self.dtype)
        x = add_bias(x, self.pixel_bias)
        return x.reshape(-1, *self.shape).astype(jnp.float32)

    @property
    def largest_map(self) -> int:
        """How many numbers the image or the code holds, whichever is larger."""
        return max(math.prod(self.shape), self.latent_channels)
