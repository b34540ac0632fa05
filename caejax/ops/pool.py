"""Poolings that halve height and width; no gradient of them needs a scatter."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from caejax.ops import paths


def max_pool(x: jax.Array, *, valid: bool = False) -> jax.Array:
    """Takes the largest of each 2 x 2 block, like SAME pooling of stride 2.

    As in `nn.max_pool`, the gradient goes to the first of equal pixels, row by row.

    Args:
      x: images (B, H, W, C); an odd last row or column makes a smaller block.
      valid: whether to leave such a row or column out, as VALID pooling does.

    Returns:
      Images (B, ceil(H / 2), ceil(W / 2), C); with VALID, rounded down.
    """
    if valid:
        height, width = (side // 2 * 2 for side in x.shape[1:3])
        x = x[:, :height, :width]
    if paths.chosen() == "stock":
        return nn.max_pool(x, (2, 2), (2, 2), "SAME")
    _, height, width, _ = x.shape
    if height % 2 or width % 2:
        odd = ((0, 0), (0, height % 2), (0, width % 2), (0, 0))
        x = jnp.pad(x, odd, constant_values=-jnp.inf)
    return _pool(x)


@jax.custom_vjp
def _pool(x):
    return _forward(x)[0]


def _forward(x):
    """Also says which pixel of its block the largest is, 0 to 3 row by row."""
    upper, lower = ([x[:, i::2, j::2] for j in (0, 1)] for i in (0, 1))
    rows = [jnp.maximum(*row) for row in (upper, lower)]
    columns = [(row[0] < row[1]).astype(jnp.int8) for row in (upper, lower)]
    below = rows[0] < rows[1]
    place = jnp.where(below, 2 + columns[1], columns[0])
    return jnp.maximum(*rows), place


def _backward(place, grad):
    batch, height, width, channels = grad.shape
    block = jnp.arange(4, dtype=jnp.int8).reshape(1, 1, 2, 1, 2, 1)
    place, grad = (x[:, :, None, :, None] for x in (place, grad))
    x = jnp.where(place == block, grad, 0)
    return (x.reshape(batch, 2 * height, 2 * width, channels),)


_pool.defvjp(_forward, _backward)


def blur_pool(x: jax.Array) -> jax.Array:
    """Blurs with [1, 3, 3, 1] / 8 an axis, then keeps every other pixel.

    Zhang, "Making Convolutional Networks Shift-Invariant Again" (ICML 2019), with the
    filter of size 4. Even pixels meet its taps 1 and 3, odd ones 3 and 1: neither has
    more of the gradient. The outermost pixels are repeated.

    Args:
      x: images (B, H, W, C).

    Returns:
      Images (B, ceil(H / 2), ceil(W / 2), C); pixel i lies between the input's
      pixels 2 i and 2 i + 1.
    """
    if paths.chosen() == "stock":
        return _blur_by_convolution(x)
    for axis in (1, 2):
        padding = [(0, 0)] * 4
        padding[axis] = (1, 1 + x.shape[axis] % 2)
        x = jnp.pad(x, padding, mode="edge")
        count = x.shape[axis] // 2 - 1
        taps = [
            lax.slice_in_dim(x, i, i + 2 * count - 1, stride=2, axis=axis)
            for i in range(4)
        ]
        x = (taps[0] + 3 * (taps[1] + taps[2]) + taps[3]) / 8
    return x


def _blur_by_convolution(x):
    """The same by one convolution, for sizes that need not be known."""
    channels = x.shape[-1]
    taps = jnp.array([1.0, 3.0, 3.0, 1.0], x.dtype) / 8
    kernel = jnp.tile(jnp.outer(taps, taps)[..., None, None], (1, 1, 1, channels))
    height, width = x.shape[1:3]
    x = jnp.pad(x, ((0, 0), (1, 2), (1, 2), (0, 0)), mode="edge")
    # Of an even side the last pixel is one too many. So sizes are what they are
    # elsewhere, in symbols, too.
    less = [(0, 2 * -(-side // 2) - side - 1, 0) for side in (height, width)]
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *less, (0, 0, 0)])
    return lax.conv_general_dilated(
        x,
        kernel,
        (2, 2),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=channels,
    )
