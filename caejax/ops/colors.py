"""Colours of images changed at random."""

import jax
import jax.numpy as jnp

STRONGEST = 2.0  # times as far from grey, at most; and half as far, at least


def random_colors(key: jax.Array, images: jax.Array, share: float) -> jax.Array:
    """Gives some images other colours, whose edges are as sharp as those of brightness.

    Of such an image

    1. channels are exchanged; all orders are equally likely;
    2. the distance from grey, the mean of the channels, is multiplied by a factor whose
       logarithm is uniform between those of 1 / 2 and 2; what leaves [0, 1] is clipped;
    3. each channel x_c becomes (1 - t) x_c + t z_c, with t uniform in [0, 1]. z_c is a
       sum of all channels with weights that are uniform in [-1, 1], brought to [0, 1]
       by the least and the most that it could be.

    Colours of JPEG files are mostly stored at half the resolution; by the last step,
    what differs in brightness differs in colour, too.

    Args:
      key: the random key.
      images: images (B, H, W, C), floating point in [0, 1].
      share: the share of images that are changed, in [0, 1].
    """
    choice, orders, factors, mixtures = jax.random.split(key, 4)
    changed = _exchanged(orders, images)
    shape = len(images), 1, 1, 1
    factor = STRONGEST ** jax.random.uniform(factors, shape, images.dtype, -1, 1)
    grey = changed.mean(3, keepdims=True)
    changed = jnp.clip(grey + factor * (changed - grey), 0, 1)
    chosen = jax.random.bernoulli(choice, share, shape)
    return jnp.where(chosen, _mixed(mixtures, changed), images)


def _exchanged(key, images):
    count, channels = len(images), images.shape[-1]
    order = jax.random.uniform(key, (count, channels)).argsort()
    return jnp.take_along_axis(images, order[:, None, None], axis=3)


def _mixed(key, images):
    count, channels = len(images), images.shape[-1]
    weights, shares = jax.random.split(key)
    weight = jax.random.uniform(
        weights, (count, channels, channels), images.dtype, -1, 1
    )
    least = jnp.minimum(weight, 0).sum(1)[:, None, None]
    most = jnp.maximum(weight, 0).sum(1)[:, None, None]
    mixture = jnp.einsum("bhwk,bkc->bhwc", images, weight)
    t = jax.random.uniform(shares, (count, 1, 1, 1), images.dtype)
    return (1 - t) * images + t * (mixture - least) / (most - least)
