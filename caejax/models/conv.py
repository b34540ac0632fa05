"""The convolutional autoencoder whose stages are alike."""

import jax
import jax.numpy as jnp

from caejax.models.decoders import ConvDecoder, pooled_size
from caejax.models.encoders import STRIDED, ConvEncoder
from caejax.models.kinds import UPSAMPLING
from caejax.models.protocol import Autoencoder, on_its_path
from caejax.ops.images import filled_up


class ConvAutoencoder(Autoencoder):
    """Fully convolutional: works on images of any size.

    Attributes:
      shape: (H, W, C) of the images it is made for; codes of their size decode to
        them, with the crops that odd sizes need.
      widths, latent_channels, bottleneck, downsampling, code_activation: as in
        `ConvEncoder`.
      upsampling: as in `ConvDecoder`, or one name for all stages.
      skips: as in `ConvDecoder`.
      refine, encoder_refine: numbers of further convolutions in the stages of the
        decoder, from the code outwards, and of the encoder, from the image inwards, as
        there; or one number for all.
      residual: whether what is decoded is the noise, which is taken away from the
        image that was put in.
      noise_map: whether the level of the noise is put in as a further channel.
      filled_up: whether images are filled up, by `caejax.ops.images.filled_up`, until
        2^L divides their sides, and cropped at the end: so a model that has seen none
        but such crops sees no borders of another kind.
      decoder_widths: the decoder's widths, from the code outwards; () for those of
        the encoder, mirrored.
      output_activation, initializer: names of `ACTIVATIONS` and of `INITIALIZERS` in
        `caejax.models.layers`.
      dtype: the computation's type; parameters and outputs are float32.
      path: how layers are computed, one of `caejax.ops.paths.PATHS`.
    """

    shape: tuple[int, int, int]
    widths: tuple[int, ...]
    latent_channels: int
    upsampling: str | tuple[str, ...]
    decoder_widths: tuple[int, ...] = ()
    bottleneck: str = "projection"
    downsampling: str = "max_pool"
    code_activation: str = "linear"
    output_activation: str = "sigmoid"
    initializer: str = "he_normal"
    dtype: jnp.dtype = jnp.float32
    path: str = "auto"
    skips: str = "none"
    refine: int | tuple[int, ...] = 0
    encoder_refine: int | tuple[int, ...] = 0
    residual: bool = False
    noise_map: bool = False
    filled_up: bool = False

    def setup(self):
        """Makes the two halves."""
        self.encoder = ConvEncoder(
            self.widths,
            self.latent_channels,
            bottleneck=self.bottleneck,
            downsampling=self.downsampling,
            refine=self._each(self.encoder_refine),
            code_activation=self.code_activation,
            initializer=self.initializer,
            dtype=self.dtype,
        )
        self.decoder = ConvDecoder(
            self._decoder_widths,
            self.shape[-1],
            self.stages,
            skips=self.skips,
            refine=self._each(self.refine),
            initializer=self.initializer,
            dtype=self.dtype,
        )

    @on_its_path
    def encode(self, x: jax.Array, level: jax.Array | float = 0.0) -> jax.Array:
        """(B, H, W, C) images in [0, 1] to (B, h, w, latent_channels) float32."""
        return self.encoder(self._seen(x, level)).astype(jnp.float32)

    @on_its_path
    def decode(self, code: jax.Array) -> jax.Array:
        """(B, h, w, latent_channels) to the linear image, float32.

        A code of the model's own size gives an image of `shape`; any other gives
        one of 2^L h by 2^L w.
        """
        decoded = self._decoded(code, self._size_of(code)).astype(jnp.float32)
        return -decoded if self.residual else decoded

    def __call__(self, x: jax.Array, level: jax.Array | float = 0.0) -> jax.Array:
        """(B, H, W, C) images in [0, 1] to linear images of the same shape."""
        return self.with_code(x, level)[1]

    @on_its_path
    def with_code(
        self, x: jax.Array, level: jax.Array | float = 0.0
    ) -> tuple[jax.Array, jax.Array]:
        """(B, H, W, C) images to their codes and what `__call__` makes of them."""
        code, features = self.encoder.with_features(self._seen(x, level))
        decoded = self._decoded(code, x.shape[1:3], features).astype(jnp.float32)
        return code.astype(jnp.float32), x - decoded if self.residual else decoded

    def _size_of(self, code):
        """That of the image of a code, if it is the model's own."""
        return self.shape[:2] if code.shape[1:3] == self.code_shape[:2] else None

    def _decoded(self, code, size, features=()):
        """What is decoded of a size; for None nothing is cropped."""
        if size is None or not self.filled_up:
            return self.decoder(code, size, features)
        whole = tuple(n + -n % self.stride for n in size)
        return self.decoder(code, whole, features)[:, : size[0], : size[1]]

    def _seen(self, x, level):
        """The images and, with a noise map, the level as a further channel."""
        x = filled_up(x, self.stride) if self.filled_up else x
        if not self.noise_map:
            return x
        level = jnp.asarray(level, x.dtype).reshape(-1, 1, 1, 1)
        return jnp.concatenate([x, jnp.broadcast_to(level, (*x.shape[:-1], 1))], -1)

    @property
    def code_shape(self) -> tuple[int, int, int]:
        """(h, w, latent_channels) of one image's code."""
        return (*pooled_size(self.shape[:2], len(self.widths)), self.latent_channels)

    @property
    def stride(self) -> int:
        """2^L for L stages."""
        return 2 ** len(self.widths)

    @property
    def stages(self) -> tuple[str, ...]:
        """The kinds as given, or the same one for every width."""
        return self._each(self.upsampling)

    @property
    def largest_map(self) -> int:
        """About how many numbers the image or the first stage holds, the larger."""
        height, width, channels = self.shape
        maps = 1 + max(self._each(self.refine) + self._each(self.encoder_refine))
        widest = max(channels, self.widths[0], self._decoder_widths[-1])
        return height * width * widest * maps

    @property
    def reach(self) -> int | None:
        """The sum of what the layers reach, each at its own scale; rather too much."""
        kinds = [UPSAMPLING[name] for name in self.stages]
        if any(kind.run == "dysample" for kind in kinds):
            return None  # its samples may be anywhere
        pixels = 1
        refine = self._each(self.encoder_refine)
        for stage in range(len(self.widths)):
            strided = self.downsampling in STRIDED
            pixels += 2**stage * 2  # the convolution, or it and the pool
            pixels += 2**stage * (0 if strided else 2)
            pixels += 2 ** (stage + strided) * refine[stage]
        pairs = zip(kinds, self._each(self.refine), strict=True)
        for stage, (kind, more) in enumerate(pairs):
            low = 2 ** (len(kinds) - stage)
            # Resizes and reassembly reach three pixels of the smaller map at most.
            pixels += 3 * low + low // 2 * (kind.kernel_size // 2 + more)
        return pixels

    def output_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """The size itself: every size is kept."""
        return size

    def _each(self, value):
        """A value for each stage."""
        return value if isinstance(value, tuple) else (value,) * len(self.widths)

    @property
    def _decoder_widths(self):
        return self.decoder_widths or self.widths[::-1]
