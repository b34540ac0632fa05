"""Checkerboard artifacts, measured.

A decoder that doubles the resolution l times can draw patterns of period
S = 2^l in its output. With a data range of 1:

- `dc_ripple_db` decodes a spatially constant feature map, which ought to give
  a constant image, and takes the power of what repeats with period S. It needs
  no reference and works before training as after it.
- `lattice_peak_db` looks for peaks in the spectrum of real residuals, at the
  frequencies where only a pattern of period S can put them.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from caejax.losses import check_pair

PERIODS = (2, 4, 8)

_TILES = 12
_POWER_FLOOR = 1e-20  # -200 dBFS, far below float32 rounding


def crop_to_multiple(x: jax.Array, period: int) -> jax.Array:
    """Drops trailing rows and columns of (B, H, W, C) that start a new period."""
    height, width = (size - size % period for size in x.shape[1:3])
    return x[:, :height, :width]


def phase_means(x: jax.Array, period: int) -> jax.Array:
    """Mean over space of every phase of a period x period pattern.

    Args:
      x: (B, H, W, C), cropped at the end to multiples of the period.
      period: S.

    Returns:
      (B, S, S, C).
    """
    x = crop_to_multiple(x, period)
    batch, height, width, channels = x.shape
    blocks = (batch, height // period, period, width // period, period, channels)
    return x.reshape(blocks).mean((1, 3))


def constant_response(
    decode: Callable[[jax.Array], jax.Array], features: jax.Array, period: int
) -> jax.Array:
    """Decodes constant feature maps, clear of the borders.

    Args:
      decode: (B, h, w, K) to (B, s*h, s*w, C) for any h and w.
      features: (B, h, w, K) codes of real images; averaged over space and tiled
        to 12 x 12, or as many as the period needs.
      period: S; at least four periods, and four of the decoder's own strides s,
        are cropped from every border.

    Returns:
      (B, H', W', C), H' and W' multiples of S.
    """
    scale = _scale(decode, features.shape[-1])
    margin = 4 * max(scale, period)
    tiles = max(_TILES, -(-(2 * margin + period) // scale))
    code = features.mean((1, 2), keepdims=True)
    constant = jnp.broadcast_to(code, (code.shape[0], tiles, tiles, code.shape[-1]))
    image = decode(constant)
    return crop_to_multiple(image[:, margin:-margin, margin:-margin], period)


def _scale(decode, channels):
    """How many times larger an image is than its code."""
    code = jax.ShapeDtypeStruct((1, _TILES, _TILES, channels), jnp.float32)
    return -(-jax.eval_shape(decode, code).shape[1] // _TILES)


def dc_ripple_db(
    decode: Callable[[jax.Array], jax.Array], features: jax.Array, period: int
) -> jax.Array:
    """Ripple that a decoder adds to constant input, in dB of full scale.

    10 log10(D), D = mean over images and channels of Var_p(mu_p), where mu_p are
    the phase means of `constant_response`. An amplitude a of a unit-RMS pattern
    gives 20 log10(a). Below -100 dBFS a decoder is clean; floor -200.

    Failure modes: a saturated output activation hides ripple, so measure the
    linear output too; ripple that constant inputs do not excite is not seen.

    Args:
      decode: (B, h, w, K) to (B, s*h, s*w, C) for any h and w.
      features: (B, h, w, K) codes of real images.
      period: S; also sees patterns whose periods divide S.

    Returns:
      A scalar.
    """
    mu = phase_means(constant_response(decode, features, period), period)
    power = mu.var((1, 2)).mean()
    return 10 * jnp.log10(jnp.maximum(power, _POWER_FLOOR))


def lattice_peak_db(output: jax.Array, target: jax.Array, period: int) -> jax.Array:
    """Peak of the residual's spectrum on the period's lattice, in dB.

    10 log10 of the mean normalised power of output - target at the lattice
    frequencies of period S that period S/2 does not have, over that of their
    neighbours; see `lattice_masks`. About 0 dB for residuals without pattern,
    positive for checkerboards, negative where a resize has left a null. Invariant
    to the residual's scale and to shifts of the pattern.

    Failure mode: content of the residual at just these frequencies, fine stripes
    for instance.

    Args:
      output, target: (B, H, W, C).
      period: S.

    Returns:
      A scalar.
    """
    return peak_db(residual_spectrum(output, target, period).mean(0), period)


def residual_spectrum(output: jax.Array, target: jax.Array, period: int) -> jax.Array:
    """Power spectrum of each residual, as a share of its total.

    Args:
      output, target: (B, H, W, C), cropped at the end to multiples of the period.
      period: S.

    Returns:
      (B, H', W'), channels summed, each image summing to one; zeros for an image
      without residual.
    """
    check_pair(output, target)
    residual = crop_to_multiple(output - target, period).astype(jnp.float32)
    residual -= residual.mean((1, 2), keepdims=True)
    power = (jnp.abs(jnp.fft.fft2(residual, axes=(1, 2))) ** 2).sum(-1)
    total = power.sum((1, 2), keepdims=True)
    return power / jnp.where(total > 0, total, 1)


def peak_db(spectrum: jax.Array, period: int) -> jax.Array:
    """`lattice_peak_db` from a mean spectrum (H, W); 0 dB for an empty one."""
    peaks, neighbours = lattice_masks(*spectrum.shape, period)
    tiny = jnp.finfo(jnp.float32).tiny
    ratio = ((spectrum * peaks).sum() + tiny) / ((spectrum * neighbours).sum() + tiny)
    return 10 * jnp.log10(ratio)


@functools.cache
def lattice_masks(
    height: int, width: int, period: int
) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the lattice's new frequencies and of their neighbours.

    New are the multiples of (H/S, W/S) that are not multiples of twice that. A
    frequency on an axis is compared with neighbours on the axes, any other with
    neighbours off them, because images have more power on the axes.

    Args:
      height, width: of the spectrum, multiples of the period and at least twice.
      period: S.

    Returns:
      Two (H, W) arrays, each summing to the number of new frequencies.
    """
    if height % period or width % period or min(height, width) < 2 * period:
        raise ValueError(
            f"period {period} needs sides that are multiples of it and at least "
            f"{2 * period}, got {height}x{width}"
        )
    fy, fx = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")

    def on_lattice(s):
        return (fy * s % height == 0) & (fx * s % width == 0)

    lattice, axis = on_lattice(period), (fy == 0) | (fx == 0)
    peaks = lattice & ~on_lattice(period // 2)
    neighbours = np.zeros((height, width), np.float32)
    for y, x in np.argwhere(peaks):
        near = [
            ((y + i) % height, (x + j) % width) for i in (-1, 0, 1) for j in (-1, 0, 1)
        ]
        near = [p for p in near if not lattice[p] and axis[p] == axis[y, x]]
        for p in near:
            neighbours[p] += 1 / len(near)
    peaks = peaks.astype(np.float32)
    for mask in (peaks, neighbours):
        mask.setflags(write=False)  # they are shared by all callers
    return peaks, neighbours
