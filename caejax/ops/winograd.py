"""3 x 3 convolutions of wide layers with 4 instead of 9 products an output pixel.

F(2 x 2, 3 x 3) of Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks"
(CVPR 2016), after Winograd: each block of 2 x 2 outputs is had from the 4 x 4 inputs
that it sees by 16 products, which over all blocks and channels are 16 matrix products.
What goes in and comes out is added and subtracted only, so rounding stays near that of
the plain sum. These sums take time too: it pays where both sides have many channels.
"""

import jax
import jax.numpy as jnp
from jax import lax

_TILE = 2  # outputs a side


def winograd_conv(
    x: jax.Array, kernel: jax.Array, padding: tuple[tuple[int, int], ...]
) -> jax.Array:
    """Correlates images with a 3 x 3 kernel, stride 1.

    Args:
      x: images (B, H, W, C).
      kernel: the kernel, (3, 3, C, F).
      padding: numbers of zeros ((above, below), (left, right)).

    Returns:
      Images (B, H', W', F) with H' = H + above + below - 2, likewise W'.
    """
    batch, _, _, channels = x.shape
    features = kernel.shape[3]
    sizes = [n + sum(pad) - 2 for n, pad in zip(x.shape[1:3], padding, strict=True)]
    tiles = [-(-size // _TILE) for size in sizes]
    filled = [
        (lo, hi + _TILE * count - size)
        for (lo, hi), count, size in zip(padding, tiles, sizes, strict=True)
    ]
    x = jnp.pad(x, ((0, 0), *filled, (0, 0)))
    x = [part for rows in _inputs(x, 1) for part in _inputs(rows, 2)]
    x = jnp.stack(x).reshape(16, -1, channels)
    kernel = [part for rows in _taps(kernel, 0) for part in _taps(rows, 0)]
    kernel = jnp.stack(kernel)
    y = jnp.matmul(x, kernel).reshape(4, 4, batch, *tiles, features)
    rows = [jnp.stack(_outputs(row), 3) for row in _outputs(y)]
    y = jnp.stack(rows, 2)
    y = y.reshape(batch, _TILE * tiles[0], _TILE * tiles[1], features)
    return y[:, : sizes[0], : sizes[1]]


def _inputs(x, axis):
    """Of each block's four inputs along an axis, the four sums that are multiplied."""
    even, odd = (lax.slice_in_dim(x, i, None, _TILE, axis) for i in (0, 1))
    count = even.shape[axis] - 1
    d = [
        lax.slice_in_dim(part, shift, shift + count, axis=axis)
        for shift in (0, 1)
        for part in (even, odd)
    ]
    return d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]


def _taps(kernel, axis):
    """The four sums of three taps along an axis that they are multiplied with."""
    first, second, third = (jnp.take(kernel, i, axis) for i in range(3))
    both = first + third
    return first, (both + second) / 2, (both - second) / 2, third


def _outputs(products):
    """Two outputs from four products along the first axis."""
    first, second, third, fourth = products
    return first + second + third, second - third - fourth
