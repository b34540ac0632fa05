"""The convolutional autoencoder that is given layer by layer."""

import math

import jax
import jax.numpy as jnp

from caejax.models.protocol import Autoencoder, on_its_path
from caejax.models.stack import Stack, parse, shapes_after
from caejax.models.upsampling import UPSAMPLING


class LayersAutoencoder(Autoencoder):
    """Given layer by layer.

    Attributes:
      shape: (H, W, C) of the images it is made for. Others can be put in, but may
        come out with another size: see `output_size`.
      encoder_layers, decoder_layers: each layer's words, as in `caejax.models.stack`.
        The last layer has no activation, as the output activation follows it.
      output_activation, initializer, dtype, path: as in `ConvAutoencoder`.
    """

    shape: tuple[int, int, int]
    encoder_layers: tuple[str, ...]
    decoder_layers: tuple[str, ...]
    output_activation: str = "sigmoid"
    initializer: str = "he_normal"
    dtype: jnp.dtype = jnp.float32
    path: str = "auto"

    def setup(self):
        """Makes the two halves."""
        settings = {"initializer": self.initializer, "dtype": self.dtype}
        self.encoder = Stack(self.encoder_layers, **settings)
        self.decoder = Stack(self.decoder_layers, **settings)

    @on_its_path
    def encode(self, x: jax.Array) -> jax.Array:
        """(B, H, W, C) images in [0, 1] to (B, h, w, K) float32."""
        return self.encoder(x).astype(jnp.float32)

    @on_its_path
    def decode(self, code: jax.Array) -> jax.Array:
        """(B, h, w, K) to the linear image, float32."""
        return self.decoder(code).astype(jnp.float32)

    @on_its_path
    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, C) images in [0, 1] to linear images of `output_size`."""
        return self.decoder(self.encoder(x)).astype(jnp.float32)

    @property
    def code_shape(self) -> tuple[int, int, int]:
        """(h, w, K) of one image's code."""
        return shapes_after(self.encoder_layers, self.shape)[-1]

    @property
    def stride(self) -> int:
        """2^L for L poolings."""
        return 2 ** sum(parse(words).op == "pool" for words in self.encoder_layers)

    @property
    def stages(self) -> tuple[str, ...]:
        """Layers that only resize are not among them: they have no kernel."""
        ops = (parse(words).op for words in self.decoder_layers)
        return tuple(op for op in ops if op in UPSAMPLING)

    @property
    def largest_map(self) -> int:
        """About how many numbers the image or the largest layer holds."""
        shapes = shapes_after(self.encoder_layers + self.decoder_layers, self.shape)
        return max(map(math.prod, shapes))

    def output_size(self, size: tuple[int, int]) -> tuple[int, int] | None:
        """The size of `shape` is kept; others may not be."""
        layers = self.encoder_layers + self.decoder_layers
        try:
            return shapes_after(layers, (*size, self.shape[-1]))[-1][:2]
        except ValueError:  # the poolings leave nothing of it
            return None
