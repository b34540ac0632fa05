"""Images taken apart into the phases of a period: the basis of the metrics.

Phase p = (i, j) of period S is every S-th pixel of every S-th row, from row i and
column j on. A checkerboard is a difference between phases.
"""

import jax
import jax.numpy as jnp
import numpy as np

from caejax.errors import WrongValue
from caejax.ops.checks import check_images

BORDER = 4  # pixels that `high_pass` and `drop_border` take away on each side


def check_period(period: int) -> None:
    """Refuses periods that no chain of stride-2 layers has."""
    whole = isinstance(period, int) and not isinstance(period, bool)
    if not whole or period < 2 or period & (period - 1):
        raise WrongValue(f"period is {period!r}; it must be a power of two: 2, 4, 8 …")


def check_fits(images: jax.Array, period: int, periods: int, border: int = 0) -> None:
    """Refuses images without so many whole periods inside a border."""
    height, width = images.shape[1:3]
    least = periods * period + 2 * border
    if min(height, width) < least:
        raise WrongValue(
            f"period {period} needs images of at least {least}x{least} pixels, "
            f"got {height}x{width}"
        )


def crop_to_multiple(x: jax.Array, period: int) -> jax.Array:
    """Drops trailing rows and columns of (B, H, W, C) that start a new period.

    28 pixels become 24 for period 8. Trailing crops keep each pixel's phase.
    """
    height, width = (size - size % period for size in x.shape[1:3])
    return x[:, :height, :width]


def drop_border(x: jax.Array) -> jax.Array:
    """(B, H, W, C) to (B, H - 8, W - 8, C): four pixels off on each side."""
    return x[:, BORDER:-BORDER, BORDER:-BORDER]


def high_pass(x: jax.Array) -> jax.Array:
    """Each pixel minus the mean of its four neighbours, four-pixel border dropped.

    Args:
      x: images (B, H, W, C).

    Returns:
      The filtered images, (B, H - 8, W - 8, C).
    """
    cross = x[:, :-2, 1:-1] + x[:, 2:, 1:-1] + x[:, 1:-1, :-2] + x[:, 1:-1, 2:]
    rest = BORDER - 1
    return (x[:, 1:-1, 1:-1] - cross / 4)[:, rest:-rest, rest:-rest]


def phase_means(x: jax.Array, period: int) -> jax.Array:
    """Mean over space of every phase: the map that repeats with the period.

    The variance of the map over its phases is the power of x at all frequencies
    of the period's lattice but zero: N^-4 times the sum of |DFT|^2 there for an
    image of N x N pixels (Parseval).

    Args:
      x: images (B, H, W, C), cropped at the end to multiples of the period.
      period: the period S, a power of two.

    Returns:
      The phase means, (B, S, S, C).

    Raises:
      ValueError: images that are no floating-point batch or smaller than S.
    """
    check_images(x, "images")
    check_period(period)
    check_fits(x, period, 1)
    x = crop_to_multiple(x, period)
    batch, height, width, channels = x.shape
    blocks = (batch, height // period, period, width // period, period, channels)
    return x.reshape(blocks).mean((1, 3))


def phase_variance(x: jax.Array, period: int) -> jax.Array:
    """Variance of the phase means over phases: (B, H, W, C) to (B, C).

    Cropped and checked as in `phase_means`. Exactly zero for constants.
    """
    return phase_means(from_first_pixel(x), period).var((1, 2))


def from_first_pixel(x: jax.Array) -> jax.Array:
    """Each image minus its first pixel.

    Leaves differences between phases as they are, and spares them the rounding
    that a large common mean brings.
    """
    return x - x[:, :1, :1]


def phase_power(x: jax.Array, period: int) -> jax.Array:
    """Mean square of every phase, over space and channels: (B, H, W, C) to (B, S, S).

    Cropped and checked as in `phase_means`.
    """
    return phase_means(x**2, period).mean(-1)


def phase_ratio_db(power: jax.Array) -> jax.Array:
    """10 log10(max / min) over the phases (..., S, S) of a power; 0 dB for none."""
    tiny = jnp.finfo(jnp.float32).tiny
    high, low = (f(power, (-2, -1)) + tiny for f in (jnp.max, jnp.min))
    return 10 * jnp.log10(high / low)


def phase_variation(power: jax.Array) -> jax.Array:
    """Coefficient of variation over the phases (..., S, S) of a power; 0 for none."""
    tiny = jnp.finfo(jnp.float32).tiny
    return power.std((-2, -1)) / (power.mean((-2, -1)) + tiny)


def without_trend(x: jax.Array, period: int) -> jax.Array:
    """Takes away the moving average over one period, so that patterns remain.

    The window is one period wide and symmetric (half weights at its ends), so
    flat and linear trends vanish exactly and patterns of the period stay whole.

    Args:
      x: images (B, H, W, C).
      period: the period S; the S/2 outermost pixels see a window filled up with
        copies.

    Returns:
      What is left of the images, (B, H, W, C).
    """
    weights = np.ones(period + 1, np.float32)
    weights[[0, -1]] = 0.5
    smooth, half = x, period // 2
    for axis in (1, 2):
        width = [(0, 0)] * 4
        width[axis] = (half, half)
        padded = jnp.pad(smooth, width, mode="edge")
        shifts = [
            jax.lax.slice_in_dim(padded, i, i + x.shape[axis], axis=axis)
            for i in range(period + 1)
        ]
        smooth = sum(w * s for w, s in zip(weights / period, shifts, strict=True))
    return x - smooth
