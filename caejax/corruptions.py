"""Corruptions: pure functions `f(key, images, *, level)`, made to run inside jit.

All take (B, H, W, C) images in [0, 1] and return the same shape, dtype and
range. Every image is corrupted differently; level may be a traced scalar.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

Corruption = Callable[..., jax.Array]


def none(key: jax.Array, images: jax.Array, *, level: float) -> jax.Array:
    """Returns the images as they are."""
    del key, level
    return images


def gaussian(key: jax.Array, images: jax.Array, *, level: float) -> jax.Array:
    """Adds Gaussian noise of standard deviation level, then clips to [0, 1]."""
    noise = jax.random.normal(key, images.shape, images.dtype)
    return jnp.clip(images + (level * noise).astype(images.dtype), 0, 1)


def masking(key: jax.Array, images: jax.Array, *, level: float) -> jax.Array:
    """Sets each pixel, all channels together, to 0 with probability level."""
    kept = jax.random.uniform(key, (*images.shape[:-1], 1)) >= level
    return images * kept


def salt_and_pepper(key: jax.Array, images: jax.Array, *, level: float) -> jax.Array:
    """Sets each pixel to 0 or to 1, with probability level / 2 each."""
    u = jax.random.uniform(key, (*images.shape[:-1], 1))
    return jnp.where(u < level / 2, 0, jnp.where(u < level, 1, images))


def cross(key: jax.Array, images: jax.Array, *, level: float) -> jax.Array:
    """Draws a dark upright cross of random place, size and thickness.

    The centre lies in the middle half of the image. Each bar is between
    level / 2 and level of the image's side long and 5 to 15 % of it thick, at
    least one pixel.
    """
    y, x, size = _pixel_grid(images)
    center, length, thickness = jax.random.split(key, 3)
    shape = (images.shape[0], 1, 1, 2)
    center = size * jax.random.uniform(center, shape, minval=0.25, maxval=0.75)
    length = size * level * jax.random.uniform(length, shape, minval=0.5)
    thickness = jax.random.uniform(thickness, shape, minval=0.05, maxval=0.15)
    thickness = jnp.maximum(size * thickness, 1)
    dy, dx = jnp.abs(y - center[..., 0]), jnp.abs(x - center[..., 1])
    upright = (dy <= length[..., 0] / 2) & (dx <= thickness[..., 1] / 2)
    level_bar = (dx <= length[..., 1] / 2) & (dy <= thickness[..., 0] / 2)
    return jnp.where((upright | level_bar)[..., None], 0, images)


def box(key: jax.Array, images: jax.Array, *, level: float) -> jax.Array:
    """Blackens a rectangle, wholly inside the image, of random place and size.

    Each side is between level / 2 and level of the image's side.
    """
    y, x, size = _pixel_grid(images)
    place, sides = jax.random.split(key)
    shape = (images.shape[0], 1, 1, 2)
    sides = size * level * jax.random.uniform(sides, shape, minval=0.5)
    first = (size - sides) * jax.random.uniform(place, shape)
    y, x = y - first[..., 0], x - first[..., 1]
    inside = (y >= 0) & (y <= sides[..., 0]) & (x >= 0) & (x <= sides[..., 1])
    return jnp.where(inside[..., None], 0, images)


def _pixel_grid(images):
    """Pixel centres (1, H, 1) and (1, 1, W), and the size as (1, 1, 1, 2)."""
    height, width = images.shape[1:3]
    y = jnp.arange(height).reshape(1, -1, 1) + 0.5
    x = jnp.arange(width).reshape(1, 1, -1) + 0.5
    return y, x, jnp.array([height, width], jnp.float32).reshape(1, 1, 1, 2)


CORRUPTIONS: dict[str, Corruption] = {
    "none": none,
    "gaussian": gaussian,
    "masking": masking,
    "salt_and_pepper": salt_and_pepper,
    "cross": cross,
    "box": box,
}
