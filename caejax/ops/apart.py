"""Upsampling with each of its output phases computed apart.

A filter of L taps leaves phase p of the outputs (see `caejax.ops.polyphase`)

    y[s n + p] = sum_j x[n + d - j] h[s j + r],   s d + r = p - origin, 0 <= r < s

(one axis): ceil((L - r) / s) taps, a convolution of the phase's own. So no tap is
filled up with zeros and no output is computed that is cropped: L^2 products an input
pixel and pair of channels, 9 for L = 3 where one convolution for all phases takes 16.
The gradient with respect to x is a convolution of stride s, that with respect to h a
matrix product for each phase, or one with all taps of the output's gradient where that
is thinner.
"""

import functools
import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from caejax.ops.conv import conv, lax_conv


class _Phase(NamedTuple):
    """Along one axis: the first tap r, the number of taps, and the shift d."""

    first: int
    taps: int
    shift: int

    @property
    def padding(self):
        """Zeros around x, so that the taps, turned, slide over it."""
        return self.taps - 1 - self.shift, self.shift


def phases_differ(length: int, origin: int, stride: int) -> bool:
    """Whether phases read different inputs, and all read some of those around.

    Otherwise one convolution for all phases wastes nothing, or the filter lies so far
    off that a phase has no tap or does not meet its own pixel.

    Args:
      length: the filter's taps along one axis.
      origin: where the first tap lies, as in `caejax.ops.polyphase.upsample`.
      stride: the stride.
    """
    phases = _phases(length, origin, stride)
    paddings = {phase.padding for phase in phases}
    return len(paddings) > 1 and min(map(min, paddings)) >= 0


def _phases(length, origin, stride):
    found = []
    for p in range(stride):
        shift, first = divmod(p - origin, stride)
        found.append(_Phase(first, -(-(length - first) // stride), shift))
    return found


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def upsample_apart(x: jax.Array, h: jax.Array, origin: int, stride: int) -> jax.Array:
    """Upsamples images with the filter h, zeros around them.

    Args:
      x: images (B, H, W, C).
      h: the filter at the high resolution, (L, L, C, F), for which `phases_differ`.
      origin: where the filter's first tap lies, as in
        `caejax.ops.polyphase.upsample`.
      stride: the stride s.

    Returns:
      The upsampled images, (B, s*H, s*W, F).
    """
    batch, height, width, _ = x.shape
    phases = _phases(len(h), origin, stride)

    def phase(row, column):
        kernel = jnp.flip(h[row.first :: stride, column.first :: stride], (0, 1))
        return conv(x, kernel, (row.padding, column.padding))

    rows = [jnp.stack([phase(row, column) for column in phases], 3) for row in phases]
    return jnp.stack(rows, 2).reshape(batch, stride * height, stride * width, -1)


def _forward(x, h, origin, stride):
    return upsample_apart(x, h, origin, stride), (x, h)


def _backward(origin, stride, residuals, grad):
    x, h = residuals
    side = (-origin, len(h) - stride + origin)
    by_x = lax_conv(grad, h.swapaxes(2, 3), (side, side), stride)
    thinner = _by_image if h.shape[2] <= h.shape[3] else _by_gradient
    return by_x, thinner(x, grad, len(h), _phases(len(h), origin, stride))


upsample_apart.defvjp(_forward, _backward)


def _by_image(x, grad, length, phases):
    """The filter's gradient, (L, L, C, F): for each phase from shifts of the image."""
    channels, features, stride = x.shape[3], grad.shape[3], len(phases)
    # As many zeros as any phase needs: all take their windows from the same image.
    most = [max(side) for side in zip(*(one.padding for one in phases), strict=True)]
    x = jnp.pad(x.transpose(3, 0, 1, 2), ((0, 0), (0, 0), most, most))
    grad = _split(grad, stride)
    size = grad.shape[1], grad.shape[3]
    taps = {}
    for (i, row), (j, column) in itertools.product(enumerate(phases), repeat=2):
        # Tap k reads x[n + d - k], a window that begins at d - k of the image itself.
        places = list(itertools.product(range(row.taps), range(column.taps)))
        windows = [
            _window(x, most[0] + row.shift - k, most[0] + column.shift - m, size)
            for k, m in places
        ]
        product = jnp.concatenate(windows) @ grad[:, :, i, :, j].reshape(-1, features)
        product = product.reshape(-1, channels, features)
        for (k, m), tap in zip(places, product, strict=True):
            taps[row.first + stride * k, column.first + stride * m] = tap
    every = itertools.product(range(length), repeat=2)
    taps = jnp.stack([taps[place] for place in every])
    return taps.reshape(length, length, channels, features)


def _by_gradient(x, grad, length, phases):
    """The same, in one product with shifts of the output's gradient."""
    channels, features, stride = x.shape[3], grad.shape[3], len(phases)
    most = [max(side) for side in zip(*(one.padding for one in phases), strict=True)]
    grad = _split(grad, stride).transpose(2, 4, 5, 0, 1, 3)
    around = ((0, 0),) * 4 + (most[::-1], most[::-1])
    grad = jnp.pad(grad, around)
    owner = {one.first: (p, one) for p, one in enumerate(phases)}
    windows = []
    for a, b in itertools.product(range(length), repeat=2):
        (i, row), (j, column) = owner[a % stride], owner[b % stride]
        # Pixel m meets tap s k + r in y[m - d + k].
        top = most[1] + a // stride - row.shift
        left = most[1] + b // stride - column.shift
        windows.append(_window(grad[i, j], top, left, x.shape[1:3]))
    taps = jnp.concatenate(windows) @ x.reshape(-1, channels)
    return taps.reshape(length, length, features, channels).swapaxes(2, 3)


def _window(images, top, left, size):
    """(C, B, ...) to (C, B*H*W): a window of all images."""
    height, width = size
    window = images[:, :, top : top + height, left : left + width]
    return window.reshape(len(images), -1)


def _split(grad, stride):
    """(B, s*H, s*W, F) to (B, H, s, W, s, F)."""
    batch, height, width, features = grad.shape
    blocks = height // stride, stride, width // stride, stride
    return grad.reshape(batch, *blocks, features)
