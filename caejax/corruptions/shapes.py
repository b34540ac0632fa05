"""Corruptions that blacken a shape, to be filled in."""

import jax
import jax.numpy as jnp


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
