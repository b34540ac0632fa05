"""Losses by name, one value per image.

`bce`, `mse` and `l1` are means over an image's pixels and channels, `sse` is the
sum. Training minimises their mean over the batch, for `sse` their sum, and
reports the mean over images.
"""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from caejax.ops.checks import check_pair
from caejax.ops.sums import mean_over_pixels


def bce(logits: jax.Array, target: jax.Array) -> jax.Array:
    """Binary cross-entropy in nats, from logits.

    Args:
      logits: (B, H, W, C), before the sigmoid.
      target: (B, H, W, C) in [0, 1].

    Returns:
      (B,).
    """
    check_pair(logits, target)
    return mean_over_pixels(optax.sigmoid_binary_cross_entropy(logits, target))


def mse(output: jax.Array, target: jax.Array) -> jax.Array:
    """Mean squared error: (B, H, W, C) images twice to (B,)."""
    check_pair(output, target)
    return mean_over_pixels((output - target) ** 2)


def l1(output: jax.Array, target: jax.Array) -> jax.Array:
    """Mean absolute error: (B, H, W, C) images twice to (B,)."""
    check_pair(output, target)
    return mean_over_pixels(jnp.abs(output - target))


def sse(output: jax.Array, target: jax.Array) -> jax.Array:
    """Summed squared error: (B, H, W, C) images twice to (B,)."""
    check_pair(output, target)
    return mse(output, target) * output[0].size


class Loss(NamedTuple):
    """A loss and how training uses it.

    Attributes:
      per_image: two (B, H, W, C) to (B,).
      from_logits: it takes the decoder's linear output, not the image.
      summed: training minimises its sum over the batch, not its mean.
    """

    per_image: Callable[[jax.Array, jax.Array], jax.Array]
    from_logits: bool = False
    summed: bool = False


LOSSES: dict[str, Loss] = {
    "bce": Loss(bce, from_logits=True),
    "mse": Loss(mse),
    "l1": Loss(l1),
    "sse": Loss(sse, summed=True),
}


def loss_and_image(
    model: nn.Module, name: str, linear: jax.Array, clean: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Loss (B,) and image (B, H, W, C) of a decoder's linear output.

    Args:
      model: an autoencoder, whose `to_image` applies the output activation.
      name: of the loss.
      linear, clean: (B, H, W, C).
    """
    loss, image = LOSSES[name], model.to_image(linear)
    return loss.per_image(linear if loss.from_logits else image, clean), image
