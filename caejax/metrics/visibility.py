"""Whether an eye would see a pattern: Barten's contrast sensitivity, at a distance.

The figure is for a screen of 96 pixels an inch that is looked at from 60 cm, shown one
pixel to a pixel: 39.6 pixels a degree. Shown k times as large, or from a k-th of the
distance, a pattern of period S is seen like one of period k S.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from caejax.metrics.phases import from_first_pixel, phase_means
from caejax.metrics.responses import Decode, Responses, flat_inside, response

PITCH = 25.4 / 96  # mm from one pixel to the next
DISTANCE = 600.0  # mm from the eye to the screen
PIXELS_PER_DEGREE = 1 / np.degrees(2 * np.arctan(PITCH / DISTANCE / 2))  # 39.6
LUMINANCE = 100.0  # cd/m^2 of the mean grey
FIELD = 10.0  # degrees that the pattern fills, each way
GAMMA = 2.2  # of the screen: luminance is value ** GAMMA
MEAN_GREY = 0.5  # the value around which the pattern varies
_LUMA = (0.2126, 0.7152, 0.0722)  # ITU-R BT.709, shares of luminance


def contrast_sensitivity(
    frequency: np.ndarray, luminance: float = LUMINANCE, field: float = FIELD
) -> np.ndarray:
    """Barten's formula: the inverse of the contrast from which on a grating is seen.

        S(u) = 5200 exp(-0.0016 u^2 (1 + 100 / L)^0.08)
               / sqrt((1 + 144 / X^2 + 0.64 u^2)
                      (63 / L^0.83 + 1 / (1 - exp(-0.02 u^2))))

    Barten, Formula for the contrast sensitivity of the human eye, Proc. SPIE 5294
    (2003), pp. 231-238, doi:10.1117/12.537476: an average observer's, with both eyes.
    Contrast is Michelson's, amplitude over mean.

    Args:
      frequency: u, in cycles a degree, any shape; 0 is not seen at all.
      luminance: L, the mean luminance in cd/m^2.
      field: X, the side of the square that the grating fills, in degrees.
    """
    square = np.asarray(frequency, np.float64) ** 2
    seen = square > 0
    square = np.where(seen, square, 1.0)
    numerator = 5200 * np.exp(-0.0016 * square * (1 + 100 / luminance) ** 0.08)
    size = 1 + 144 / field**2 + 0.64 * square
    noise = 63 / luminance**0.83 + 1 / (1 - np.exp(-0.02 * square))
    return np.where(seen, numerator / np.sqrt(size * noise), 0.0)


def pattern_visibility(pattern: jax.Array) -> jax.Array:
    """How many times as strong as the weakest visible one a repeated pattern is.

    The pattern is split into gratings (its discrete Fourier transform); each has the
    contrast m = sqrt(2) RMS of its luminance over the mean, is held against the
    contrast sensitivity at its frequency, and the squares are added up:
    V = sqrt(sum over gratings (m S(u))^2). At 1 an average observer sees it in half of
    all cases. Values become luminance by a gamma of 2.2 around a mean of 0.5, so that a
    pattern of an RMS of a has the contrast sqrt(2) 2.2 a / 0.5.

    Colours count by their share of luminance (ITU-R BT.709); what has none is not seen.
    Failure modes: fine detail of the image around it masks a pattern (the figure is for
    flat areas), and screens, distances and eyes differ.

    Args:
      pattern: one period of each pattern, (..., S, S, C), of full scale 1.

    Returns:
      V, (...).
    """
    return jnp.sqrt(visible_power(pattern))


def visible_power(pattern: jax.Array) -> jax.Array:
    """The square of `pattern_visibility`: (..., S, S, C) to (...)."""
    grey = pattern @ jnp.asarray(_luma(pattern.shape[-1]))
    power = jnp.abs(jnp.fft.fft2(grey)) ** 2
    return jnp.tensordot(power, _weights(pattern.shape[-2]), 2)


def ripple_visibility(decode: Decode, features: jax.Array, period: int) -> jax.Array:
    """`pattern_visibility` of what a decoder draws on constant codes.

    The root of the mean square over images; see `caejax.metrics.checkerboard`.

    Args:
      decode: function from (B, h, w, K) to images (B, s*h, s*w, C) as they are shown.
      features: (B, h, w, K) codes of real images.
      period: the period S; patterns whose periods divide S are seen, too.
    """
    flat = response(decode, features, period)
    return jnp.sqrt(visible_ripple(flat, period).mean())


def visible_ripple(responses: Responses, period: int) -> jax.Array:
    """The square of `ripple_visibility`, a value an image: (B,)."""
    image = from_first_pixel(flat_inside(responses, period))
    return visible_power(phase_means(image, period))


@functools.cache
def _luma(channels):
    if channels == 3:
        return np.asarray(_LUMA, np.float32)
    return np.full(channels, 1 / channels, np.float32)


@functools.cache
def _weights(period):
    """What |DFT|^2 of a pattern's period counts for, (S, S)."""
    cycles = np.fft.fftfreq(period) * PIXELS_PER_DEGREE
    frequency = np.hypot(cycles[:, None], cycles[None])
    contrast = np.sqrt(2) * GAMMA / MEAN_GREY / period**2
    return ((contrast * contrast_sensitivity(frequency)) ** 2).astype(np.float32)
