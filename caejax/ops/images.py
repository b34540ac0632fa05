"""Images as they are stored, and as they are computed with."""

import jax
import jax.numpy as jnp


def as_float(images: jax.Array) -> jax.Array:
    """uint8 in 0..255 to float32 in [0, 1]; floating point stays as it is."""
    if images.dtype != jnp.uint8:
        return images
    return images.astype(jnp.float32) / 255
