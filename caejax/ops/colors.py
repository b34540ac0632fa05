"""Colours of images changed at random."""

import jax
import jax.numpy as jnp

STRONGEST = 2.0  # times as far from grey, at most; and half as far, at least


def random_colors(key: jax.Array, images: jax.Array, share: float) -> jax.Array:
    """Exchanges channels of some images, and makes their colours paler or stronger.

    The distance from grey, the mean of the channels, is multiplied by a factor whose
    logarithm is uniform between those of 1 / 2 and 2; what leaves [0, 1] is clipped.
    All orders of the channels are equally likely.

    Args:
      key: the random key.
      images: images (B, H, W, C), floating point in [0, 1].
      share: the share of images that are changed, in [0, 1].
    """
    count, channels = len(images), images.shape[-1]
    choice, orders, factors = jax.random.split(key, 3)
    order = jax.random.uniform(orders, (count, channels)).argsort()
    changed = jnp.take_along_axis(images, order[:, None, None], axis=3)
    factor = STRONGEST ** jax.random.uniform(
        factors, (count, 1, 1, 1), images.dtype, -1, 1
    )
    grey = changed.mean(3, keepdims=True)
    changed = jnp.clip(grey + factor * (changed - grey), 0, 1)
    chosen = jax.random.bernoulli(choice, share, (count, 1, 1, 1))
    return jnp.where(chosen, changed, images)
