"""What others measure: of outputs (B, H, W, 1), without the target, an image at a time.

Higher means more artifact, as with caejax's own metrics.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from caejax.metrics.phases import phase_means

HIGH = 3 / 8
"""Cycles per pixel from which on a frequency counts as high: 3/4 of Nyquist."""

_EPSILON = 1e-8  # as in the authors' code


def azimuthal_profile(outputs: jax.Array) -> jax.Array:
    """20 log10 |DFT|, averaged over rings of frequencies: (B, R).

    After Durall, Keuper & Keuper, "Watch your up-convolution" (2020, arXiv
    2003.01826), and the code they published: rings of integer radius around
    frequency zero, out to the corners of the spectrum, without ring 0. Unlike the
    code, the rings are centred on frequency zero instead of half a frequency beside
    it, and the outermost one is kept: it holds the frequency of a pure checkerboard.
    """
    spectrum = jnp.abs(jnp.fft.fft2(outputs[..., 0])) + _EPSILON
    rings = _rings(*outputs.shape[1:3])
    return 20 * jnp.log10(spectrum).reshape(len(outputs), -1) @ rings


@functools.cache
def _rings(height, width):
    """(H * W, R) weights that average over the rings 1 to R."""
    fy, fx = (np.fft.fftfreq(n) * n for n in (height, width))
    radius = np.hypot(fy[:, None], fx[None]).astype(int).ravel()
    rings = radius[:, None] == np.arange(1, radius.max() + 1)
    return (rings / rings.sum(0)).astype(np.float32)


def azimuthal_db(outputs: jax.Array) -> jax.Array:
    """High-frequency power: the profile's mean over its high rings, in dB, (B,)."""
    return azimuthal_profile(outputs)[:, _first_high_ring(outputs) :].mean(1)


def azimuthal_minmax(outputs: jax.Array) -> jax.Array:
    """The same of the profile scaled to [0, 1], as the authors do: (B,)."""
    profile = azimuthal_profile(outputs)
    low, high = (f(profile, 1, keepdims=True) for f in (jnp.min, jnp.max))
    profile = (profile - low) / jnp.maximum(high - low, _EPSILON)
    return profile[:, _first_high_ring(outputs) :].mean(1)


def _first_high_ring(outputs):
    return int(HIGH * min(outputs.shape[1:3])) - 1  # ring 0 is left out


def non_dc_energy(outputs: jax.Array, period: int) -> jax.Array:
    """Share of an output's energy on the period's lattice without DC: (B,).

    Sum of |DFT|^2 over the frequencies of period S but zero, divided by its sum over
    all frequencies; by Parseval, the variance of the phase means over the mean
    square. The obvious measure of a tone, here of outputs of any content.
    """
    energy = (outputs**2).mean((1, 2, 3))
    lattice = phase_means(outputs, period).var((1, 2)).mean(-1)
    return lattice / jnp.maximum(energy, jnp.finfo(jnp.float32).tiny)


def bef(outputs: jax.Array, period: int) -> jax.Array:
    """PSNR-B's blocking effect factor with blocks of S x S pixels: (B,).

    Yim & Bovik, "Quality assessment of deblocked images", IEEE Transactions on Image
    Processing 20 (2011): of neighbouring pixels across and down,

        D_B = mean squared difference of pairs that a block boundary separates,
        D_C = mean squared difference of all other pairs,
        BEF = eta * (D_B - D_C),
        eta = log2(S) / log2(min(H, W)) if D_B > D_C, else 0.

    The boundaries are known, before every S-th row and column; PSNR-B is
    10 log10(1 / (MSE + BEF)).
    """
    sums = {True: 0.0, False: 0.0}
    counts = {True: 0, False: 0}
    for axis in (1, 2):
        squares = jnp.diff(outputs, axis=axis) ** 2
        at_boundary = np.arange(1, outputs.shape[axis]) % period == 0
        for boundary in (True, False):
            chosen = squares.take(np.flatnonzero(at_boundary == boundary), axis)
            sums[boundary] += chosen.sum((1, 2, 3))
            counts[boundary] += chosen[0].size
    excess = sums[True] / counts[True] - sums[False] / counts[False]
    eta = np.log2(period) / np.log2(min(outputs.shape[1:3]))
    return eta * jnp.maximum(excess, 0)
