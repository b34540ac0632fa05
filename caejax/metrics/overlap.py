"""Overlap of kernels with their stride, from the kinds of layer alone."""

import functools

import jax
import jax.numpy as jnp

from caejax.metrics.phases import check_period, phase_ratio_db
from caejax.models.kinds import STRIDE, find_kind, kernel_shape, layer_filter
from caejax.models.upsampling import initial_kernel
from caejax.ops.polyphase import upsample
from caejax.runtime.compilation import quick_jit


def overlap_db(
    kind: str,
    period: int = 2,
    *,
    seeds: int = 512,
    channels: int = 32,
    initializer: str = "he_normal",
) -> jax.Array:
    """Uneven overlap of kernels with their stride, at initialisation, in dB.

    10 log10(max_p E y_p^2 / min_p E y_p^2), E over seeds and channels, of the
    phases y_p that log2(S) linear stages make of a constant input. One stage of a
    transposed convolution has 20 log10((k+1)/(k-1)) for odd k, since (k+1)/2 taps
    an axis meet one phase and (k-1)/2 the other: 6.02 dB for 3, 3.52 for 5; 0 for
    even k. Two stages of kernel 3 have 9.54 dB, three 13.98. A maximum over a
    minimum is biased upwards, for even k by about 0.1 dB with one stage and 0.3 dB
    with three; see experiments/initialisation.

    Invariant to the initialiser's scale. Failure mode: blind to phases of equal
    power that differ all the same, which is what `dc_ripple_db` is for.

    Args:
      kind: a name of `UPSAMPLING`.
      period: the period S.
      seeds: number of independent initialisations.
      channels: number of channels of every stage; a multiple of 4, for the kinds that
        add up groups.
      initializer: a name of `caejax.models.layers.INITIALIZERS`.

    Returns:
      A scalar, at least 0.
    """
    check_period(period)
    stages = period.bit_length() - 1
    powers = overlap_powers((kind,) * stages, seeds, channels, initializer)
    return phase_ratio_db(powers[-1])


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def overlap_powers(
    kinds: tuple[str, ...],
    seeds: int = 512,
    channels: int = 32,
    initializer: str = "he_normal",
) -> tuple[jax.Array, ...]:
    """E y_p^2 of `overlap_db` after each stage's kind: (2, 2), (4, 4), (8, 8), ..."""
    layers = [find_kind(kind) for kind in kinds]

    def responses(key):
        """One period, (S, S, channels), of what becomes of constant ones."""
        y, maps = jnp.ones((1, 1, 1, channels)), []
        for stage, layer in enumerate(layers):
            own = jax.random.fold_in(key, stage)
            shape = kernel_shape(layer, channels, channels)
            h = layer_filter(initial_kernel(own, shape, layer, initializer), layer)
            # One pixel that repeats for ever is a constant without borders.
            y = upsample(y, h, origin=layer.origin, stride=STRIDE, border="wrap")
            maps.append(y[0])
        return maps

    seeded = jax.random.split(jax.random.key(0), seeds)
    maps = jax.lax.map(responses, seeded, batch_size=64)
    return tuple((y**2).mean((0, 3)) for y in maps)


def stages_overlap_db(
    kinds: tuple[str, ...], initializer: str, period: int
) -> float | None:
    """`overlap_db` of a decoder's stages; three of them stand for all that follow.

    Args:
      kinds: names of the decoder's upsampling layers, from the code outwards.
      initializer: a name of `caejax.models.layers.INITIALIZERS`.
      period: the period S that log2(S) stages make; where the decoder has fewer, that
        of all its stages is taken.

    Returns:
      The overlap in dB, or None for a decoder without such layers.
    """
    powers = _powers(kinds[:_STAGES], initializer)
    if not powers:
        return None
    stages = min(period.bit_length() - 1, len(powers))
    return float(phase_ratio_db(powers[stages - 1]))


_STAGES = 3  # whose patterns have the periods that are measured


@functools.cache
def _powers(kinds, initializer):
    if not kinds:
        return ()
    return quick_jit(lambda: overlap_powers(kinds, initializer=initializer))()
