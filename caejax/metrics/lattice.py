"""The frequencies at which patterns of a period live, and spectra read there."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from caejax.errors import WrongValue
from caejax.metrics.phases import check_fits, check_period, crop_to_multiple
from caejax.ops.checks import check_images


def spectrum(images: jax.Array, period: int) -> jax.Array:
    """Power spectrum of each image without its mean, as a share of its total.

    Args:
      images: images (B, H, W, C), cropped at the end to multiples of the period.
      period: the period S, a power of two; two periods must fit.

    Returns:
      Spectra (B, H', W'), channels summed, each image summing to one; zeros for an
      image that is constant.
    """
    check_images(images, "images")
    check_period(period)
    check_fits(images, period, 2)
    images = crop_to_multiple(images, period).astype(jnp.float32)
    images -= images.mean((1, 2), keepdims=True)
    power = (jnp.abs(jnp.fft.fft2(images, axes=(1, 2))) ** 2).sum(-1)
    total = power.sum((1, 2), keepdims=True)
    return power / jnp.where(total > 0, total, 1)


def peak_db(spectrum: jax.Array, period: int) -> jax.Array:
    """New lattice frequencies against their neighbours, in dB.

    Args:
      spectrum: a power spectrum (H, W), such as the mean of `spectrum` over images.
      period: the period S; see `lattice_masks`.

    Returns:
      The ratio in dB, a scalar; 0 dB for an empty spectrum.
    """
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
      height, width: the spectrum's size, multiples of the period and at least twice
        the period.
      period: the period S.

    Returns:
      Two (H, W) arrays, each summing to the number of new frequencies.
    """
    check_period(period)
    if height % period or width % period or min(height, width) < 2 * period:
        raise WrongValue(
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
