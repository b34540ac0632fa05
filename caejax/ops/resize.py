"""Resizing to twice the size and convolving: what happens at the border.

In the interior "resize, then convolve" is one filter of
`caejax.ops.polyphase.upsample`. At the border it is not, for two reasons: the
resize leaves out the taps that reach over the border and scales up the others,
and the convolution (SAME) sees zeros there instead of a resized image. With Z the
matrix of the resize along one axis, a row of zeros at either end, and E the one
that continues the border pixels, as `upsample` with border="edge" does, the
images that the kernel w slides over differ by

    Z x Z' - E x E' = D x Z' + E x D',   D = Z - E.

D is zero but for its first and last few rows, so that the difference is a frame,
and two convolutions of thin strips make up for it.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from caejax.ops.conv import conv

_NO_PADDING = ((0, 0), (0, 0))


def correct_border(
    y: jax.Array, x: jax.Array, kernel: jax.Array, taps: tuple[float, ...]
) -> jax.Array:
    """Turns a continued border into that of a resize and a SAME convolution.

    Args:
      y: (B, 2H, 2W, F) x resized and convolved as if its border pixels went on.
      x: (B, H, W, C).
      kernel: (3, 3, C, F) of the convolution.
      taps: (r,) one axis of the resize's filter, r = 2, 4, 8, ...

    Returns:
      (B, 2H, 2W, F) equal to `jax.image.resize`, then `nn.Conv`.
    """
    rows, columns = (_matrices(taps, size) for size in x.shape[1:3])

    def strips(down, x, right):
        down, right = (jnp.asarray(matrix, x.dtype) for matrix in (down, right))
        x = jnp.einsum("ih,bhwc,jw->bijc", down, x, right)
        return conv(x, kernel, _NO_PADDING)

    y += _apart(strips(rows.frame, x[:, rows.ends], columns.exact), 1, y)
    return y + _apart(strips(rows.edge, x[:, :, columns.ends], columns.frame), 2, y)


def _apart(strips, axis, y):
    """Puts the two halves of an axis at its ends, zeros between, to y's shape."""
    near, far = jnp.split(strips, 2, axis)
    gap = y.shape[axis] - near.shape[axis]

    def pad(strip, before, after):
        widths = [(0, 0)] * y.ndim
        widths[axis] = (before, after)
        return jnp.pad(strip, widths)

    return pad(near, 0, gap) + pad(far, gap, 0)


class _Matrices(NamedTuple):
    """Resizing n pixels along one axis, all for output places -1, ..., 2n.

    Attributes:
      exact: (2n + 2, n) Z.
      edge: (2n + 2, n) E.
      frame: (2a + 2, e) the first and the last a rows of D and, between them, two
        rows of zeros, which keep a kernel of three taps from seeing both.
      ends: (e,) the pixels that these rows read.
    """

    exact: np.ndarray
    edge: np.ndarray
    frame: np.ndarray
    ends: np.ndarray


@functools.cache
def _matrices(taps: tuple[float, ...], size: int) -> _Matrices:
    reach = len(taps)
    inputs = np.arange(-reach, size + reach)
    tap = np.arange(-1, 2 * size + 1)[:, None] - 2 * inputs + reach // 2 - 1
    inside = (tap >= 0) & (tap < reach)
    full = np.where(inside, np.take(taps, tap, mode="clip"), 0)
    edge = full @ np.eye(size)[inputs.clip(0, size - 1)]
    exact = full[:, reach:-reach]
    exact = exact / exact.sum(1, keepdims=True)
    exact[[0, -1]] = 0
    difference = exact - edge
    # The upper half goes by the first rows alone, however small the image.
    wrong = np.flatnonzero(np.abs(difference[: size + 1]).max(1) > 1e-9)
    depth = wrong[-1] + 1
    frame = np.concatenate(
        [difference[:depth], np.zeros((2, size)), difference[-depth:]]
    )
    ends = np.flatnonzero(np.abs(frame).max(0) > 1e-9)
    return _Matrices(exact, edge, frame[:, ends], ends)
