"""Enlarging images smoothly and convolving them, with half of the products.

    y[i] = sum_t k[t] u[i + t],   u = U x,   i = 0, ..., 2 N - 1

(one axis; both alike), where U is fixed: a smooth resize with zeros around it, or a
blur behind zeros put between the pixels. Products with the kernel's taps along one axis
may be taken before that axis is enlarged, at half as many pixels, as U does not mix
channels:

    y[i] = sum_t (U (k[t] x))[i + t]

That is done along the height, after the width has been enlarged: 18 products an input
pixel and pair of channels for 3 x 3 taps, where a convolution of the enlarged image
takes 36. Along both axes it would be 9, but what is added up then takes longer than
they do. All phases have the gain of the taps' sum but for rounding.
"""

import jax
import jax.numpy as jnp
import numpy as np

STRIDE = 2


def enlarging_matrix(size: int, taps: tuple[float, ...], *, resize: bool) -> np.ndarray:
    """The matrix U of one axis: what fixed taps make of an image twice as large.

    Args:
      size: number of pixels N.
      taps: an even number of them, symmetric, behind a zero put after each pixel.
      resize: whether they are a resize's, as `jax.image.resize` does it: of pixels
        near the border the weights that are left are made to sum to one, and zeros lie
        around the result. Otherwise zeros lie around the image.

    Returns:
      U, (2 N + 2, N) float32: pixels -1 to 2 N of the result.
    """
    shift = len(taps) // 2 - STRIDE
    places = np.arange(STRIDE * size + 2)[:, None] - STRIDE * np.arange(size) + shift
    inside = (places >= 0) & (places < len(taps))
    matrix = np.where(inside, np.take(taps, places, mode="clip"), 0.0)
    if resize:
        matrix[1:-1] /= matrix[1:-1].sum(1, keepdims=True)
        matrix[[0, -1]] = 0
    return matrix.astype(np.float32)


def enlarge_and_convolve(
    x: jax.Array, kernel: jax.Array, rows: np.ndarray, columns: np.ndarray
) -> jax.Array:
    """Correlates with a kernel what two matrices make of an image.

    Args:
      x: images (B, H, W, C).
      kernel: the kernel, (3, 3, C, F).
      rows: the matrix of the height, (2 H + 2, H), of `enlarging_matrix`.
      columns: that of the width, (2 W + 2, W).

    Returns:
      Images (B, 2H, 2W, F).
    """
    batch, height, width, channels = x.shape
    taps, _, _, features = kernel.shape
    wide = jnp.stack(_enlarged(x, columns, 2), 3)
    wide = wide.reshape(batch, height, -1, channels)
    wide = [wide[:, :, t : t + STRIDE * width] for t in range(taps)]
    wide = jnp.concatenate(wide, -1)
    kernel = kernel.transpose(1, 2, 0, 3).reshape(-1, taps * features)
    products = jnp.matmul(wide, kernel, preferred_element_type=jnp.float32)
    products = products.reshape(batch, height, STRIDE * width, taps, features)
    parts = [_enlarged(products[..., t, :], rows, 1) for t in range(taps)]
    y = [
        sum(_every_other(part, t + phase, height) for t, part in enumerate(parts))
        for phase in range(STRIDE)
    ]
    y = jnp.stack(y, 2).reshape(batch, STRIDE * height, STRIDE * width, features)
    return y.astype(x.dtype)


def _every_other(part, first, size):
    """Every other row of what `_enlarged` gives, from the first one on."""
    block, phase = divmod(first, STRIDE)
    return part[phase][:, block : block + size]


def _enlarged(x, matrix, axis):
    """The matrix times x along an axis: rows of even number, and those of odd."""
    return [_banded(x, matrix[phase::STRIDE], axis) for phase in range(STRIDE)]


def _banded(x, matrix, axis):
    count, size = matrix.shape
    shape = [1] * x.ndim
    shape[axis] = count
    total = 0
    for diagonal in range(1 - count, size):
        weights = np.zeros(count, matrix.dtype)
        inside = np.diagonal(matrix, diagonal)
        start = max(0, -diagonal)
        weights[start : start + len(inside)] = inside
        if weights.any():
            pads = [(0, 0, 0)] * x.ndim
            pads[axis] = (-diagonal, count - size + diagonal, 0)
            shifted = jax.lax.pad(x, jnp.zeros((), x.dtype), pads)
            total += shifted * weights.reshape(shape).astype(x.dtype)
    return total
