"""Patterns on codes that rise linearly, where a decoder that is clean on constants may
still draw steps."""

import jax

from caejax.metrics.checkerboard import ratio_to_db
from caejax.metrics.phases import phase_variance, without_trend
from caejax.metrics.responses import Decode, Responses, margin_of, responses


def ramp_ripple_db(decode: Decode, features: jax.Array, period: int) -> jax.Array:
    """Ripple that a decoder draws where its code rises linearly, against the slope.

    10 log10(E Var_p(mu_p) / E |slope|^2), E over images and channels, as
    `ramp_powers` has them: the ripple's power, relative to what the output rises by
    from one pixel to the next. A ripple of a tenth of that rise has -20 dB, whatever
    the contrast.

    A nearest resize by 2 makes pairs of equal pixels, which stand a quarter of a step
    off the line: half of the slope, -6.02 dB, times what the convolution behind it
    passes at Nyquist. A bilinear resize is exact on ramps, -200 dB but for rounding.
    The kernel of a clean decoder vanishes at the lattice's frequencies; of a decoder
    that is clean on ramps too, the derivatives vanish there as well (zeros of second
    order or more; Sugawara & Kiya, arXiv 1806.02658; Kinoshita & Kiya, arXiv
    2002.02117).

    Invariances: to the output's scale, to the rise of a linear decoder's code, and to
    what the decoder draws on constants, which is taken off. Failure mode: where ReLUs
    change within a period, curvature counts as ripple; it is the smaller, the shorter
    the period.

    Args:
      decode: function from (B, h, w, K) to (B, s*h, s*w, C), for any h and w.
      features: (B, h, w, K) codes of real images.
      period: the period S; patterns whose periods divide S are seen, too.

    Returns:
      The ripple in dB of the slope, a scalar, at least -200.
    """
    powers = ramp_powers(responses(decode, features, period), period)
    return ratio_to_db(powers["part"].mean(), powers["whole"].mean())


def ramp_powers(responses: Responses, period: int) -> dict[str, jax.Array]:
    """Powers of the ripple and of the slope on a ramp, an image each.

    Of what is made of the rising code, what is made of the constant is subtracted, and
    borders are cropped as for `constant_response`. The slope is the mean difference of
    pixels one period apart, over the period; the ripple is what is left without the
    moving average over one period.

    Args:
      responses: what a decoder has made of both.
      period: the period S.

    Returns:
      part, Var_p of the ripple's phase means, and whole, the squared length of the
      slope by pixel: (B,) each, means over channels.
    """
    # What constants draw cancels in the middle, where the code is theirs on average.
    outside = margin_of(responses.scale, period) - period // 2
    around = slice(outside, -outside)
    x = (responses.ramp - responses.flat)[:, around, around]
    down = (x[:, period:] - x[:, :-period]).mean((1, 2)) / period
    across = (x[:, :, period:] - x[:, :, :-period]).mean((1, 2)) / period
    inside = slice(period // 2, -(period // 2))
    ripple = without_trend(x, period)[:, inside, inside]
    return {
        "part": phase_variance(ripple, period).mean(-1),
        "whole": (down**2 + across**2).mean(-1),
    }
