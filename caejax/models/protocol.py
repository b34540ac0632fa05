"""What every autoencoder answers, stated once."""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax

from caejax.models.layers import ACTIVATIONS
from caejax.ops import paths


class Autoencoder(nn.Module):
    """An encoder and its decoder; images are (B, H, W, C) in [0, 1].

    A subclass has the attributes and the methods below; whoever uses a model asks it,
    and neither for its class nor for attributes of its own. The decoded image is
    linear: before the output activation, hence logits for a sigmoid.

    Connections around the code, the skips of a U-Net or the image of which the noise
    is taken away, leave less to `decode` than to `__call__`: `decode` takes what comes
    around the code as zero, and `with_code` returns the image of `__call__`. What is
    measured on codes (ripple, gallery) is then of the decoder alone, and `stages` are
    those of the path from the code to the image.

    A model with a `noise_map` sees the level of the noise besides the image: its
    `encode`, `__call__` and `with_code` then take a second argument, a number for all
    images or (B,) of them, by default 0 for clean ones. `told` gives it to models that
    take it, and nothing to others.

    Attributes:
      shape: (H, W, C) of the images it is made for.
      output_activation: a name of `caejax.models.layers.ACTIVATIONS`.
      initializer: a name of `caejax.models.layers.INITIALIZERS`.
      dtype: the computation's type; parameters and outputs are float32.
    """

    noise_map = False

    def encode(self, x: jax.Array) -> jax.Array:
        """(B, H, W, C) images to codes (B, *code_shape), float32."""
        raise NotImplementedError

    def decode(self, code: jax.Array) -> jax.Array:
        """Codes to linear images (B, H, W, C), float32."""
        raise NotImplementedError

    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, C) images to linear images of `output_size`, float32."""
        raise NotImplementedError

    def with_code(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(B, H, W, C) images to their codes and what `__call__` makes of them."""
        code = self.encode(x)
        return code, self.decode(code)

    def told(self, level: jax.Array | float) -> tuple[jax.Array | float, ...]:
        """What `encode`, `__call__` and `with_code` take besides noisy images."""
        return (level,) if self.noise_map else ()

    def to_image(self, linear: jax.Array) -> jax.Array:
        """Applies the output activation."""
        return ACTIVATIONS[self.output_activation](linear)

    @property
    def code_shape(self) -> tuple[int, ...]:
        """(h, w, K) of one image's code, or (K,) where it has no height and width."""
        raise NotImplementedError

    @property
    def convolutional(self) -> bool:
        """Whether codes have a height and a width, so that they take any size."""
        return len(self.code_shape) == 3

    @property
    def stride(self) -> int:
        """Pixels an axis for each of the code's; 1 where it has none."""
        raise NotImplementedError

    @property
    def stages(self) -> tuple[str, ...]:
        """Kinds of the decoder's upsampling layers, from the code outwards."""
        raise NotImplementedError

    @property
    def largest_map(self) -> int:
        """About how many numbers the largest stage holds of one image."""
        raise NotImplementedError

    @property
    def reach(self) -> int | None:
        """Pixels on each side of one that it depends on, at most; None if unknown."""
        return None

    def output_size(self, size: tuple[int, int]) -> tuple[int, int] | None:
        """(H, W) that images of a size come out with; None for one it cannot take."""
        raise NotImplementedError


def on_its_path(method: Callable[..., Any]) -> Callable[..., Any]:
    """A model's method, with operations computed as the model's `path` says."""

    @functools.wraps(method)
    def run(self, *args):
        with paths.use(self.path):
            return method(self, *args)

    return run
