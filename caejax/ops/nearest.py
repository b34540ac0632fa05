"""Nearest-neighbour resizing by repeating and leaving out: no gather, no scatter."""

from fractions import Fraction

import jax
import jax.numpy as jnp


def resize_nearest(x: jax.Array, factor: Fraction) -> jax.Array:
    """Resizes by a factor p / q; output pixel i shows input pixel floor(i q / p).

    So did TensorFlow 1's `resize_nearest_neighbor` with the scale p / q;
    `jax.image.resize` takes floor((i + 1/2) q / p) instead.

    Args:
      x: images (B, H, W, C).
      factor: the factor p / q, above 0.

    Returns:
      The resized images, (B, floor(H p / q), floor(W p / q), C).
    """
    p, q = factor.numerator, factor.denominator
    for axis in (1, 2):
        size = x.shape[axis] * p // q
        x = jnp.repeat(x, p, axis)
        x = jax.lax.slice_in_dim(x, 0, (size - 1) * q + 1, q, axis)
    return x
