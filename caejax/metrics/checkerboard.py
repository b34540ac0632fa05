"""Checkerboard artifacts, measured in five ways.

A decoder that doubles the resolution l times can draw patterns of period
S = 2^l. With a data range of 1:

| metric | needs | sees |
| --- | --- | --- |
| `dc_ripple_db` | a decoder | what it adds to a constant input |
| `overlap_db` | the kind of layer | uneven overlap of its kernel with the stride |
| `lattice_peak_db` | outputs, targets | patterns that always look alike |
| `phase_var_db` | outputs, targets | patterns that images switch on and off |
| `grad_phase_db` | a gradient | pixels that an encoder sees more of than others |

They rest on the phases of a period (`caejax.metrics.phases`) and on its lattice
of frequencies (`caejax.metrics.lattice`). All are for floating-point images
(B, H, W, C) and periods that are powers of two; anything else is a ValueError,
as are images too small for the period.
"""

import functools

import jax
import jax.numpy as jnp

from caejax.errors import WrongValue
from caejax.metrics.lattice import peak_db, spectrum
from caejax.metrics.phases import (
    BORDER,
    check_fits,
    check_period,
    drop_border,
    from_first_pixel,
    high_pass,
    phase_means,
    phase_power,
    phase_ratio_db,
    phase_variance,
    phase_variation,
)
from caejax.metrics.responses import (
    Decode,
    Responses,
    flat_inside,
    response,
)
from caejax.metrics.units import POWER_FLOOR
from caejax.ops.checks import check_images, check_pair


def dc_ripple_db(decode: Decode, features: jax.Array, period: int) -> jax.Array:
    """Ripple that a decoder adds to constant input, in dB of full scale.

    10 log10(D), D = mean over images and channels of Var_p(mu_p), where mu_p are
    the phase means of `constant_response` (Odena, Dumoulin & Olah, Distill 2016,
    show the effect). An amplitude a of a unit-RMS pattern gives 20 log10(a).
    Below -100 dBFS a decoder is clean; floor -200.

    Invariances: to shifts of the pattern, and to what the decoder does to the
    mean; not to the output's scale.

    Failure modes: a saturated output activation hides ripple, so measure the
    linear output too; ripple that constant inputs do not excite is not seen.

    Args:
      decode: function from (B, h, w, K) to (B, s*h, s*w, C), for any h and w.
      features: (B, h, w, K) codes of real images.
      period: the period S; patterns whose periods divide S are seen, too.

    Returns:
      A scalar.
    """
    return to_db(ripple_power(response(decode, features, period), period).mean())


def ripple_power(responses: Responses, period: int) -> jax.Array:
    """Var_p(mu_p) of `dc_ripple_db`, a value an image: (B,), means over channels."""
    return phase_variance(flat_inside(responses, period), period).mean(-1)


def dc_ripple_relative_db(
    decode: Decode, features: jax.Array, period: int
) -> jax.Array:
    """`dc_ripple_db` relative to what the decoder makes of the constant itself.

    10 log10(E Var_p(mu_p) / E mean_p(mu_p)^2), E over images and channels. For L
    linear stages with independent phase kernels of zero mean, as at
    initialisation, 10 log10(4^L - 1) at period 2^L: 4.77, 11.76, 17.99 dB. All
    4^L phases of the output are then independent and alike, so that the variance
    over them is 1 - 4^-L of their power and the squared mean 4^-L of it.

    Invariant to the output's scale, therefore to the initialiser's. Arguments,
    floor and failure modes of `dc_ripple_db`; of no use after training, where a
    bias can make the mean anything.
    """
    powers = relative_powers(response(decode, features, period), period)
    return ratio_to_db(powers["part"].mean(), powers["whole"].mean())


def relative_powers(responses: Responses, period: int) -> dict[str, jax.Array]:
    """Powers of the ripple, part, and of the mean, whole: a value an image, (B,)."""
    image = flat_inside(responses, period)
    return {
        "part": phase_variance(image, period).mean(-1),
        "whole": (image.mean((1, 2)) ** 2).mean(-1),
    }


def to_db(power: jax.Array) -> jax.Array:
    """10 log10 of a power, at least -200 dB."""
    return 10 * jnp.log10(jnp.maximum(power, POWER_FLOOR))


def ratio_to_db(part: jax.Array, whole: jax.Array) -> jax.Array:
    """10 log10 of a power relative to another, at least -200 dB."""
    return to_db(part / (whole + jnp.finfo(jnp.float32).tiny))


@functools.partial(jax.jit, static_argnums=2)
def lattice_peak_db(output: jax.Array, target: jax.Array, period: int) -> jax.Array:
    """Peak of the residual's spectrum on the period's lattice, in dB.

    P = |DFT(r - mean)|^2 of each residual r = output - target, divided by its
    total, averaged over images; then 10 log10 of the sum of P at the frequencies
    of the period-S lattice that the period-S/2 lattice does not have, over the sum
    of the mean P of their neighbours. Neighbours are at Chebyshev distance 1, off
    the lattice, and of the same class: on an axis for frequencies on an axis, else
    off the axes; see `caejax.metrics.lattice`.

    About 0 dB for residuals without pattern, positive for checkerboards, negative
    where a resize has left a null. Invariant to each residual's scale and mean and
    to shifts of the pattern.

    Failure modes: content of the residual at just these frequencies, fine stripes
    for instance, or digits that always fill their frame alike; patterns whose sign
    varies within an image have their power beside the lattice, among the neighbours,
    and make the peak negative: `phase_var_db` is for them.

    Args:
      output, target: images (B, H, W, C), cropped at the end to multiples of the
        period.
      period: the period S; two periods must fit into the image.

    Returns:
      A scalar.
    """
    return peak_db(spectrum(residual(output, target), period).mean(0), period)


def residual(output: jax.Array, target: jax.Array) -> jax.Array:
    """output - target, (B, H, W, C), in float32."""
    check_pair(output, target)
    return jnp.asarray(output, jnp.float32) - jnp.asarray(target, jnp.float32)


@functools.partial(jax.jit, static_argnums=2)
def lattice_peak_unpaired_db(
    output: jax.Array, target: jax.Array, period: int
) -> jax.Array:
    """How much higher the lattice stands out of the outputs than of the targets.

    `lattice_peak_db` of the outputs themselves minus that of the targets, in dB.
    Sees a pattern against the whole image instead of the residual, so it is what
    an eye without the target could see. Failure mode: real content at these
    frequencies swamps it, and a good model's target has the most.

    Arguments as for `lattice_peak_db`.
    """
    check_pair(output, target)
    values = (peak_db(spectrum(x, period).mean(0), period) for x in (output, target))
    return next(values) - next(values)


@functools.partial(jax.jit, static_argnums=2)
def lattice_power(output: jax.Array, target: jax.Array, period: int) -> jax.Array:
    """Power of the pattern that all residuals share, unbiased, of full scale 1.

    (N Var_p(mean_n mu) - mean_n Var_p(mu_n)) / (N - 1), mean over channels, with
    the phase means mu_n of residual n. The subtracted term removes what N finite
    images of pure noise would leave. A pattern a * (unit RMS) planted on every
    image gives a^2. Signed, because it is unbiased around zero: no decibels.

    Invariant to shifts of the pattern and to each residual's mean. Failure mode:
    patterns whose sign varies between images cancel; see `phase_var_db`.

    Args:
      output, target: images (B, H, W, C), B at least 2.
      period: the period S; patterns whose periods divide S are seen, too.

    Returns:
      A scalar.
    """
    mu = phase_means(from_first_pixel(residual(output, target)), period)
    return shared_power(mu.mean(0), mu.var((1, 2)).mean(), len(mu))


def shared_power(mean_map: jax.Array, mean_variance: jax.Array, count: int):
    """`lattice_power` from the means over N images of phase means and variances.

    Args:
      mean_map: mean over images of their phase means, (S, S, C).
      mean_variance: mean over images and channels of Var_p, a scalar.
      count: the number N of images.
    """
    if count < 2:
        raise WrongValue("the power of a shared pattern needs at least 2 images, got 1")
    return (count * mean_map.var((0, 1)).mean() - mean_variance) / (count - 1)


@functools.partial(jax.jit, static_argnums=2)
def phase_var_db(output: jax.Array, target: jax.Array, period: int) -> jax.Array:
    """How unevenly the residual's fine detail is spread over the phases, in dB.

    h = r - mean of its 4 neighbours, 4-pixel border cropped, of the residual
    r = output - target; v_p = mean of h^2 over phase p and all images; then
    10 log10(max_p v_p / min_p v_p). Catches ripple whose sign varies with the
    content, which cancels in means.

    Invariant to the residual's scale and to shifts of the pattern. Failure modes:
    not zero for clean layers, because an interpolated pixel varies less than one
    that is copied, so read it against `nearest_k3`; blind to a pure +-1 checkerboard,
    whose phases have equal power; a maximum over a minimum is biased upwards for few
    images, the more the fewer edges hold the residual, so that added noise lowers
    it; and with few periods in an image, content that always lies in the same place
    (digits) counts as unevenness, mostly at S = 8.

    Args:
      output, target: images (B, H, W, C).
      period: the period S; one period must fit inside the border.

    Returns:
      A scalar, at least 0.
    """
    return phase_ratio_db(detail_power(output, target, period).mean(0))


@functools.partial(jax.jit, static_argnums=2)
def phase_var_cv(output: jax.Array, target: jax.Array, period: int) -> jax.Array:
    """Companion of `phase_var_db`: the coefficient of variation of v_p.

    std_p(v_p) / mean_p(v_p); uses all phases, not only the two extremes.
    """
    return phase_variation(detail_power(output, target, period).mean(0))


def detail_power(output: jax.Array, target: jax.Array, period: int) -> jax.Array:
    """v_p of `phase_var_db` for each image: (B, H, W, C) twice to (B, S, S)."""
    difference = residual(output, target)
    check_period(period)
    check_fits(difference, period, 1, border=BORDER)
    return phase_power(high_pass(difference), period)


@functools.partial(jax.jit, static_argnums=1)
def grad_phase_db(gradient: jax.Array, period: int) -> jax.Array:
    """How unevenly an encoder looks at the phases of its input, in dB.

    v_p = mean over phase p and all images of g^2, g = dL/dx, 4-pixel border
    cropped; then 10 log10(max_p v_p / min_p v_p): `phase_var_db` of the gradient
    without the high-pass. A stride-2 convolution of kernel 3 has 6.02 dB in
    theory, of 5, 3.52, of 4, 0: the overlap of `overlap_db`, turned round. Pooling
    has none.

    Invariant to the loss's scale. Failure modes: as for `phase_var_db`.

    Args:
      gradient: gradient of the loss with respect to the encoder's input,
        (B, H, W, C).
      period: the period S; one period must fit inside the border.

    Returns:
      A scalar, at least 0.
    """
    return phase_ratio_db(gradient_power(gradient, period).mean(0))


def gradient_power(gradient: jax.Array, period: int) -> jax.Array:
    """v_p of `grad_phase_db` for each image: (B, H, W, C) to (B, S, S)."""
    check_images(gradient, "gradient")
    check_period(period)
    check_fits(gradient, period, 1, border=BORDER)
    return phase_power(drop_border(gradient), period)
