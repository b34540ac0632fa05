"""Corruptions of single pixels."""

import jax
import jax.numpy as jnp


def none(key: jax.Array, images: jax.Array, *, level: float) -> jax.Array:
    """Returns the images as they are."""
    del key, level
    return images


def gaussian(key: jax.Array, images: jax.Array, *, level: float) -> jax.Array:
    """Adds Gaussian noise of standard deviation level."""
    noise = jax.random.normal(key, images.shape, images.dtype)
    return images + (level * noise).astype(images.dtype)


def masking(key: jax.Array, images: jax.Array, *, level: float) -> jax.Array:
    """Sets each pixel, all channels together, to 0 with probability level."""
    kept = jax.random.uniform(key, (*images.shape[:-1], 1)) >= level
    return images * kept


def salt_and_pepper(
    key: jax.Array, images: jax.Array, *, level: float, salt: float = 0.5
) -> jax.Array:
    """Changes each pixel, all channels together, with probability level.

    Of the pixels that are changed, the share salt becomes 1, the others 0.
    """
    u = jax.random.uniform(key, (*images.shape[:-1], 1))
    pepper = level * (1 - salt)
    return jnp.where(u < pepper, 0, jnp.where(u < level, 1, images))
