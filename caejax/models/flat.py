"""What autoencoders have in common whose code has no height and width."""

import jax

from caejax.models.protocol import Autoencoder


class FlatAutoencoder(Autoencoder):
    """For images of one size; has `shape` and `latent_channels`."""

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

    def output_size(self, size: tuple[int, int]) -> tuple[int, int] | None:
        """The model's own size; no other can be put in."""
        return size if size == self.shape[:2] else None
