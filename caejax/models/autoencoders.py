"""Autoencoders: an encoder and its mirrored decoder, and how to make one by name.

Every model is a Linen module with three methods that can be applied:
`encode` (images to code), `decode` (code to image) and `__call__` (both). The
decoded image is linear: before the output activation, hence logits for a
sigmoid. `to_image` applies the activation.
"""

import dataclasses
import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from caejax.models.decoders import ConvDecoder, DenseDecoder, pooled_size
from caejax.models.encoders import ConvEncoder, DenseEncoder
from caejax.models.layers import (
    ACTIVATIONS,
    INITIALIZERS,
    add_bias,
    initial_bias,
)
from caejax.models.stack import Stack, parse, shapes_after
from caejax.models.upsampling import UPSAMPLING
from caejax.ops import paths


class Autoencoder(nn.Module):
    """What all autoencoders have; those below add layers and `code_shape`."""

    def to_image(self, linear: jax.Array) -> jax.Array:
        """Applies the output activation."""
        return ACTIVATIONS[self.output_activation](linear)

    @property
    def convolutional(self) -> bool:
        """Whether codes have a height and a width, so that they take any size.

        Such models also have `stride`, pixels an axis for each of the code's;
        `stages`, the kinds of the decoder's upsampling layers from the code
        outwards; `largest_map`, the numbers in an image's largest feature map; and
        `output_size`, the (H, W) that images of one (H, W) come out with.
        """
        return len(self.code_shape) == 3


def _on_its_path(method):
    """A model's method, with operations computed in the way the model says."""

    @functools.wraps(method)
    def run(self, x):
        with paths.use(self.path):
            return method(self, x)

    return run


class ConvAutoencoder(Autoencoder):
    """Fully convolutional: works on images of any size.

    Attributes:
      shape: (H, W, C) of the images it is made for; codes of their size decode to
        them, with the crops that odd sizes need.
      widths, latent_channels, bottleneck, downsampling, code_activation: of
        `ConvEncoder`.
      upsampling: of `ConvDecoder`.
      decoder_widths: its widths, from the code outwards; () for those of the encoder,
        mirrored.
      output_activation, initializer: names of `caejax.models.layers`.
      dtype: of the computation; parameters and outputs are float32.
      path: how layers are computed, one of `caejax.ops.paths.PATHS`.
    """

    shape: tuple[int, int, int]
    widths: tuple[int, ...]
    latent_channels: int
    upsampling: str
    decoder_widths: tuple[int, ...] = ()
    bottleneck: str = "projection"
    downsampling: str = "max_pool"
    code_activation: str = "linear"
    output_activation: str = "sigmoid"
    initializer: str = "he_normal"
    dtype: jnp.dtype = jnp.float32
    path: str = "auto"

    def setup(self):
        """Makes the two halves."""
        self.encoder = ConvEncoder(
            self.widths,
            self.latent_channels,
            bottleneck=self.bottleneck,
            downsampling=self.downsampling,
            code_activation=self.code_activation,
            initializer=self.initializer,
            dtype=self.dtype,
        )
        self.decoder = ConvDecoder(
            self._decoder_widths,
            self.shape[-1],
            self.upsampling,
            initializer=self.initializer,
            dtype=self.dtype,
        )

    @_on_its_path
    def encode(self, x: jax.Array) -> jax.Array:
        """(B, H, W, C) images in [0, 1] to (B, h, w, latent_channels) float32."""
        return self.encoder(x).astype(jnp.float32)

    @_on_its_path
    def decode(self, code: jax.Array) -> jax.Array:
        """(B, h, w, latent_channels) to the linear image, float32.

        A code of the model's own size gives an image of `shape`; any other gives
        one of 2^L h by 2^L w.
        """
        own = code.shape[1:3] == self.code_shape[:2]
        size = self.shape[:2] if own else None
        return self.decoder(code, size).astype(jnp.float32)

    @_on_its_path
    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, C) images in [0, 1] to linear images of the same shape."""
        return self.decoder(self.encoder(x), x.shape[1:3]).astype(jnp.float32)

    @property
    def code_shape(self) -> tuple[int, int, int]:
        """(h, w, latent_channels) of one image's code."""
        return (*pooled_size(self.shape[:2], len(self.widths)), self.latent_channels)

    @property
    def stride(self) -> int:
        """2^L of L stages."""
        return 2 ** len(self.widths)

    @property
    def stages(self) -> tuple[str, ...]:
        """The same kind for every width."""
        return (self.upsampling,) * len(self.widths)

    @property
    def largest_map(self) -> int:
        """That of the image or of the first stage."""
        height, width, channels = self.shape
        widest = max(channels, self.widths[0], self._decoder_widths[-1])
        return height * width * widest

    def output_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """The size itself."""
        return size

    @property
    def _decoder_widths(self):
        return self.decoder_widths or self.widths[::-1]


class LayersAutoencoder(Autoencoder):
    """Given layer by layer.

    Attributes:
      shape: (H, W, C) of the images it is made for. Others can be put in, but may
        come out with another size: see `output_size`.
      encoder_layers, decoder_layers: words as in `caejax.models.stack`. The last
        layer has no activation, as the output activation follows it.
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

    @_on_its_path
    def encode(self, x: jax.Array) -> jax.Array:
        """(B, H, W, C) images in [0, 1] to (B, h, w, K) float32."""
        return self.encoder(x).astype(jnp.float32)

    @_on_its_path
    def decode(self, code: jax.Array) -> jax.Array:
        """(B, h, w, K) to the linear image, float32."""
        return self.decoder(code).astype(jnp.float32)

    @_on_its_path
    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, C) images in [0, 1] to linear images of `output_size`."""
        return self.decoder(self.encoder(x)).astype(jnp.float32)

    @property
    def code_shape(self) -> tuple[int, int, int]:
        """(h, w, K) of one image's code."""
        return shapes_after(self.encoder_layers, self.shape)[-1]

    @property
    def stride(self) -> int:
        """2^L of L poolings."""
        return 2 ** sum(parse(words).op == "pool" for words in self.encoder_layers)

    @property
    def stages(self) -> tuple[str, ...]:
        """Layers that only resize are not among them: they have no kernel."""
        ops = (parse(words).op for words in self.decoder_layers)
        return tuple(op for op in ops if op in UPSAMPLING)

    @property
    def largest_map(self) -> int:
        """That of the image or of any layer."""
        shapes = shapes_after(self.encoder_layers + self.decoder_layers, self.shape)
        return max(map(math.prod, shapes))

    def output_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """That of `shape` is kept; others may not be."""
        layers = self.encoder_layers + self.decoder_layers
        return shapes_after(layers, (*size, self.shape[-1]))[-1][:2]


class DenseAutoencoder(Autoencoder):
    """Fully connected, for images of one size.

    Attributes:
      shape: (H, W, C) of the images.
      widths: hidden units on both sides of the code; often none.
      latent_channels: units of the code.
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


class TiedDenseAutoencoder(Autoencoder):
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

    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, C) images in [0, 1] to linear images of the same shape."""
        return self.decode(self.encode(x))

    @property
    def code_shape(self) -> tuple[int]:
        """(latent_channels,)."""
        return (self.latent_channels,)


MODELS: dict[str, type[Autoencoder]] = {
    "conv": ConvAutoencoder,
    "layers": LayersAutoencoder,
    "dense": DenseAutoencoder,
    "tied_dense": TiedDenseAutoencoder,
}


def create_model(encoder: str, **settings) -> Autoencoder:
    """Makes an autoencoder by name.

    Args:
      encoder: a name of `MODELS`.
      **settings: attributes of any of the models; those that this one does not
        have are left out, so one set of settings serves all.

    Returns:
      A Linen module with `encode`, `decode` and `__call__`.

    Raises:
      TypeError: a setting that no model has.
    """
    fields = {name: _field_names(model) for name, model in MODELS.items()}
    unknown = set(settings).difference(*fields.values())
    if unknown:
        raise TypeError(f"no model has the settings {sorted(unknown)}")
    own = {k: v for k, v in settings.items() if k in fields[encoder]}
    return MODELS[encoder](**own)


def _field_names(model):
    return {field.name for field in dataclasses.fields(model)}
