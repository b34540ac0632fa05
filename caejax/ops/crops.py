"""Squares cut at random from images, halved, flipped and turned at random."""

import jax
import jax.numpy as jnp

from caejax.ops.images import as_float


def random_crops(
    key: jax.Array, images: jax.Array, index: jax.Array, size: int
) -> jax.Array:
    """Cuts a square out of each of some images, at uniformly random places.

    Args:
      key: the random key.
      images: all images, (N, H, W, C), of any type; only what is cut out is copied.
      index: which of the images, (B,).
      size: the squares' side, at most H and W.

    Returns:
      The squares, (B, size, size, C).
    """
    _, height, width, channels = images.shape
    count = len(index)
    rows, columns = jax.random.split(key)
    y = jax.random.randint(rows, (count,), 0, height - size + 1)
    x = jax.random.randint(columns, (count,), 0, width - size + 1)

    def cut(i, y, x):
        shape = (1, size, size, channels)
        return jax.lax.dynamic_slice(images, (i, y, x, 0), shape)[0]

    return jax.vmap(cut)(index, y, x)


def some_halved(
    key: jax.Array,
    squares: jax.Array,
    images: jax.Array,
    index: jax.Array,
    share: float,
) -> jax.Array:
    """Puts squares that were twice as large in the place of some.

    Means of 2 x 2 pixels have little of what a photograph's JPEG file has left in it:
    blocks, and colours at half the resolution.

    Args:
      key: the random key.
      squares: what was cut, (B, size, size, C), of any type.
      images: all images, (N, H, W, C) with H and W at least twice the size.
      index: which image each square is of, (B,).
      share: the share of squares that are replaced, in [0, 1].

    Returns:
      The squares, floating point in [0, 1].
    """
    choice, places = jax.random.split(key)
    count, size, _, channels = squares.shape
    large = as_float(random_crops(places, images, index, 2 * size))
    small = large.reshape(count, size, 2, size, 2, channels).mean((2, 4))
    chosen = jax.random.bernoulli(choice, share, (count, 1, 1, 1))
    return jnp.where(chosen, small, as_float(squares))


def random_turns(key: jax.Array, images: jax.Array) -> jax.Array:
    """Flips each image along either axis or not, and squares along the diagonal, too.

    For squares these are all eight flips and turns by right angles, equally likely;
    other images stay upright or are upside down, mirrored or not.

    Args:
      key: the random key.
      images: the images, (B, H, W, C).
    """
    chosen = jax.random.bernoulli(key, shape=(3, len(images), 1, 1, 1))
    images = jnp.where(chosen[0], images[:, ::-1], images)
    images = jnp.where(chosen[1], images[:, :, ::-1], images)
    if images.shape[1] != images.shape[2]:
        return images
    return jnp.where(chosen[2], images.transpose(0, 2, 1, 3), images)
