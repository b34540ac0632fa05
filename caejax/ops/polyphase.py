"""The algebra of upsampling: a small convolution, then depth-to-space.

Every linear upsampling layer of stride s puts a filter h around each input
pixel and adds up:

    y[i] = sum_m x[m] h[i - s m],   i - s m = origin, ..., origin + L - 1

(one axis; both axes alike). Output pixels taken s at a time, starting where the
filter starts, depend on only T = ceil(L / s) neighbouring inputs. So the layer
is one T x T convolution of the low-resolution map to s*s*F channels, followed
by depth-to-space. Layers differ in h alone, and whether they draw
checkerboards can be read off it: see `phase_gains`.
"""

import jax
import jax.numpy as jnp

from caejax.errors import WrongValue
from caejax.ops import paths
from caejax.ops.apart import phases_differ, upsample_apart
from caejax.ops.conv import THIN, conv


def upsample(
    x: jax.Array,
    h: jax.Array,
    *,
    origin: int,
    stride: int = 2,
    border: str = "zero",
) -> jax.Array:
    """Upsamples images with the filter h.

    Args:
      x: images (B, H, W, C).
      h: the filter at the high resolution, (L, L, C, F).
      origin: where the filter's first tap lies relative to its input pixel, in
        high-resolution pixels, -s*T < origin < s; the same for both axes.
      stride: the stride s.
      border: what surrounds x: "zero", or "wrap" for x again and again: one pixel
        then gives one whole period of what a constant image of any size gives.

    Returns:
      The upsampled images, (B, s*H, s*W, F).
    """
    lowest = 1 - stride * -(-len(h) // stride)
    if not lowest <= origin < stride:
        raise WrongValue(
            f"origin is {origin}; a filter of {h.shape[0]} taps needs one between "
            f"{lowest} and {stride - 1}"
        )
    if (
        paths.chosen() == "matmul"
        and border == "zero"
        and max(h.shape[2:]) > THIN
        and phases_differ(len(h), origin, stride)
    ):
        return upsample_apart(x, h, origin, stride)
    return upsample_together(x, h, origin=origin, stride=stride, border=border)


def upsample_together(
    x: jax.Array, h: jax.Array, *, origin: int, stride: int, border: str = "zero"
) -> jax.Array:
    """As `upsample`, always by one convolution for all phases."""
    kernel = phase_kernel(h, stride)
    height, width = x.shape[1:3]
    above, below, top = _span(height, kernel.shape[0], origin, stride)
    left, right, start = _span(width, kernel.shape[1], origin, stride)
    padding = ((above, below), (left, right))
    if border == "wrap":
        x = jnp.pad(x, ((0, 0), *padding, (0, 0)), mode="wrap")
        padding = ((0, 0), (0, 0))
    elif border != "zero":
        raise WrongValue(f"border is {border!r}; known: 'zero', 'wrap'")
    y = depth_to_space(conv(x, kernel, padding), stride)
    return y[:, top : top + stride * height, start : start + stride * width]


def _span(size: int, taps: int, origin: int, stride: int) -> tuple[int, int, int]:
    """Padding before and after one axis, and outputs to skip at its start.

    Block n holds outputs s*n + origin, ..., s*n + origin + s - 1 and reads
    inputs n - taps + 1, ..., n.
    """
    first = -origin // stride
    last = (stride * size - 1 - origin) // stride
    return taps - 1 - first, last - size + 1, -(stride * first + origin)


def phase_kernel(h: jax.Array, stride: int) -> jax.Array:
    """Rearranges a filter into the convolution that yields all phases at once.

    Args:
      h: the filter at the high resolution, (L, L, C, F).
      stride: the stride s.

    Returns:
      The kernel, (T, T, C, s*s*F) with T = ceil(L / s): channel (p*s + q)*F + f
      holds output f of row phase p and column phase q.
    """
    length, _, channels, features = h.shape
    taps = -(-length // stride)
    fill = taps * stride - length
    h = jnp.pad(h, ((0, fill), (0, fill), (0, 0), (0, 0)))
    h = h.reshape(taps, stride, taps, stride, channels, features)[::-1, :, ::-1]
    h = h.transpose(0, 2, 4, 1, 3, 5)
    return h.reshape(taps, taps, channels, stride * stride * features)


def interleave(kernel: jax.Array, stride: int) -> jax.Array:
    """The filter of "convolve, then depth-to-space", `phase_kernel` undone.

    Args:
      kernel: the convolution's kernel, (T, T, C, s*s*F), phases outermost in the
        channels.
      stride: the stride s.

    Returns:
      The filter, (s*T, s*T, C, F).
    """
    taps, _, channels, depth = kernel.shape
    features = depth // stride**2
    h = kernel.reshape(taps, taps, channels, stride, stride, features)
    h = h[::-1, ::-1].transpose(0, 3, 1, 4, 2, 5)
    return h.reshape(stride * taps, stride * taps, channels, features)


def depth_to_space(x: jax.Array, stride: int) -> jax.Array:
    """(B, H, W, s*s*F) to (B, s*H, s*W, F); row phase outermost in the channels."""
    batch, height, width, depth = x.shape
    features = depth // stride**2
    x = x.reshape(batch, height, width, stride, stride, features)
    x = x.transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(batch, stride * height, stride * width, features)


def phase_gains(h: jax.Array, stride: int = 2) -> jax.Array:
    """What each output phase makes of a constant input of one.

    A layer draws no checkerboard on constant inputs exactly when, for every
    pair of channels, all its phases have the same gain.

    Args:
      h: the filter at the high resolution, (L, L, C, F).
      stride: the stride s.

    Returns:
      The gains, (s, s, C, F), phases counted from the filter's first tap.
    """
    channels, features = h.shape[2:]
    kernel = phase_kernel(h, stride).sum((0, 1))
    return kernel.reshape(channels, stride, stride, features).transpose(1, 2, 0, 3)


def smooth(h: jax.Array, taps: tuple[float, ...]) -> jax.Array:
    """The filter h followed by a fixed one, as one: their full convolution.

    Both orders are the same, so h may also follow the fixed filter: a layer that
    resizes and then correlates with a kernel w is h = w turned, smoothed with the
    resize's own filter.

    Args:
      h: the filter at the high resolution, (L, L, C, F).
      taps: one axis of the fixed filter, (r,).

    Returns:
      The combined filter, (L + r - 1, L + r - 1, C, F).
    """
    for axis in (0, 1):
        h = sum(tap * _shift(h, axis, t, len(taps) - 1) for t, tap in enumerate(taps))
    return h


def _shift(h, axis, by, room):
    """Moves h along an axis into a space that is longer by `room`."""
    widths = [(0, 0)] * h.ndim
    widths[axis] = (by, room - by)
    return jnp.pad(h, widths)
