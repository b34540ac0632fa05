"""Images as they are stored, and as they are computed with."""

import jax
import jax.numpy as jnp


def as_float(images: jax.Array) -> jax.Array:
    """uint8 in 0..255 to float32 in [0, 1]; floating point stays as it is."""
    if images.dtype != jnp.uint8:
        return images
    return images.astype(jnp.float32) / 255


def filled_up(x: jax.Array, multiple: int) -> jax.Array:
    """Images (B, H, W, C) continued until both sides are multiples of a number.

    Below and on the right the pixels are mirrored at the outermost, which is not
    repeated; where an image is too small for that, its first ones are.
    """
    for axis in (1, 2):
        size = x.shape[axis]
        missing = -size % multiple
        if isinstance(missing, int) and not missing:
            continue  # of sides that are not known yet it cannot be told
        mirrored = jnp.maximum(size - 2 - jnp.arange(missing), 0)
        x = jnp.concatenate([x, jnp.take(x, mirrored, axis=axis)], axis=axis)
    return x
