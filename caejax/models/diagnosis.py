"""Whether an upsampling layer draws checkerboards, read off its kernel.

No data is needed. A layer of stride 2 with the filter h (see
`caejax.models.kinds`) makes of a constant input x

    y[i] = x sum_m h[i - 2 m],

a pattern of period 2 whose four values are the gains of the output phases. It is
constant exactly if all gains are equal; equally, if the filter's frequency response
is zero at the lattice frequencies (pi, 0), (0, pi) and (pi, pi). Odena, Dumoulin &
Olah, Distill 2016; Sugawara & Kiya, arXiv 1806.02658.

Kinds whose weights depend on content (`caejax.models.kinds.CONTENT`) have no kernel
that says what they draw, and are refused here. That they leave constants constant
follows from their definition; all else is measured on what they make of codes, by
`caejax.metrics.checkerboard`.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from caejax.models.kinds import (
    CONTENT,
    STRIDE,
    check_kernel,
    find_kind,
    layer_filter,
)
from caejax.ops import polyphase
from caejax.ops.foreign import taking_any

_POWER_FLOOR = 1e-20  # -200 dB, far below float32 rounding


@taking_any
@functools.partial(jax.jit, static_argnames="kind")
def phase_gains(kernel: jax.Array, kind: str) -> jax.Array:
    """What each output phase makes of a constant input of one.

    gain[p] = sum_m h[p - 2 m], both axes alike.

    Args:
      kernel: the layer's parameter "kernel".
      kind: a name of `caejax.models.kinds.UPSAMPLING`.

    Returns:
      The gains, (2, 2, C, F), phases counted from output pixel (0, 0). Where
      channels are added up in groups, C is filled up to whole groups.

    Raises:
      ValueError: no such kind, one without a kernel to read, or a kernel that is not
        of it.
    """
    found = check_kernel(kernel.shape, kind)
    if found.run in CONTENT:
        raise ValueError(
            f"{kind} has no kernel to read: its weights depend on what it enlarges; "
            "measure what it makes of codes, with dc_ripple_db for instance"
        )
    gains = polyphase.phase_gains(layer_filter(kernel, found), STRIDE)
    # There, phases are counted from the filter's first tap.
    return jnp.roll(gains, (found.origin, found.origin), (0, 1))


@taking_any
@functools.partial(jax.jit, static_argnames="kind")
def lattice_response(kernel: jax.Array, kind: str) -> jax.Array:
    """Frequency response of the layer's filter on the period-2 lattice.

    H(w) = sum_d h[d] exp(-i w.d) at w = (pi u, pi v), d counted from the input
    pixel; as exp(-i pi d) is the same for all taps of a phase, it is the discrete
    Fourier transform of the phase gains. At (0, 0) it is the sum of the gains;
    elsewhere it is zero for layers without checkerboards (Sugawara & Kiya).

    Args:
      kernel: the layer's parameter "kernel".
      kind: a name of `caejax.models.kinds.UPSAMPLING`.

    Returns:
      The response, (2, 2, C, F) complex, indexed by (u, v).

    Raises:
      ValueError: as in `phase_gains`.
    """
    return jnp.fft.fft2(phase_gains(kernel, kind), axes=(0, 1))


@taking_any
@functools.partial(jax.jit, static_argnames="kind")
def kernel_ripple_db(kernel: jax.Array, kind: str) -> jax.Array:
    """Power of the checkerboard on constant inputs, relative to their own, in dB.

    10 log10(mean Var_p(g) / mean (mean_p g)^2), means over pairs of channels, g the
    phase gains. Untied phases of independent gains give 10 log10(3) = 4.77 dB.
    Failure mode: the signs of channels are not known, so what the layer makes of
    features that are not independent can be more or less.

    Args:
      kernel: the layer's parameter "kernel".
      kind: a name of `caejax.models.kinds.UPSAMPLING`.

    Returns:
      The power in dB, a scalar, at least -200.

    Raises:
      ValueError: as in `phase_gains`.
    """
    gains = phase_gains(kernel, kind)
    ripple, level = gains.var((0, 1)).mean(), (gains.mean((0, 1)) ** 2).mean()
    # A kernel of zeros draws nothing.
    ratio = ripple / jnp.maximum(level, jnp.finfo(level.dtype).tiny)
    return 10 * jnp.log10(jnp.maximum(ratio, _POWER_FLOOR))


def clean_by_construction(kind: str) -> bool:
    """Whether no kernel whatever draws checkerboards on constant inputs.

    Gains are linear in the kernel, so it suffices that all basis kernels, one tap
    of one and zeros elsewhere, have equal gains. Their taps are multiples of powers
    of two, hence the comparison is exact. Kernels that are projected onto equal gains
    have them but for rounding, and weights that sum to one leave constants alone.

    Raises:
      ValueError: no such kind.
    """
    found = find_kind(kind)
    if found.projected or found.run in CONTENT:
        return True
    # Each basis kernel is a feature; the phases of a shuffle lie outside of those.
    basis = np.eye(found.kernel_size**2 * found.phases, dtype=np.float32)
    basis = basis.reshape(found.kernel_size, found.kernel_size, 1, -1)
    gains = np.asarray(phase_gains(basis, kind))
    return bool((gains == gains[:1, :1]).all())


def clean_at_initialisation(kind: str) -> bool:
    """Whether a fresh layer draws no checkerboards on constant inputs.

    By construction, or because all phases start with one kernel and so with one
    gain, its sum (Aitken et al., arXiv 1707.02937).

    Raises:
      ValueError: no such kind.
    """
    return find_kind(kind).tied or clean_by_construction(kind)
