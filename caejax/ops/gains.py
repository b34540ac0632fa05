"""Filters whose output phases all have the same gain."""

import jax
import jax.numpy as jnp

from caejax.ops.polyphase import phase_gains


def equal_gains(h: jax.Array, stride: int = 2) -> jax.Array:
    """The filter nearest to h whose output phases have equal gains.

    Phase p has n_p taps, whose sum, for each pair of channels, is its gain g_p. The
    least sum of squares that makes all gains equal moves every tap of phase p by

        (t - g_p) / n_p,   t = sum_p (g_p / n_p) / sum_p (1 / n_p),

    with equally many taps t is the mean gain (Lagrange's conditions of minimising
    sum_p n_p d_p^2 with g_p + n_p d_p = t for all p). It is an orthogonal projection:
    linear, the same when done twice, and its own transpose, so that the gradient with
    respect to h is the projection of that with respect to the result.

    Args:
      h: the filter at the high resolution, (L, L, C, F), L at least the stride, since
        a phase without taps has no gain.
      stride: the stride s.

    Returns:
      The filter, (L, L, C, F); its gains agree to rounding.
    """
    gains = phase_gains(h, stride)
    counts = phase_gains(jnp.ones_like(h, shape=(*h.shape[:2], 1, 1)), stride)
    common = (gains / counts).sum((0, 1)) / (1 / counts).sum((0, 1))
    moves = (common[None, None] - gains) / counts
    repeats = -(-h.shape[0] // stride)
    moves = jnp.tile(moves, (repeats, repeats, 1, 1))
    return h + moves[: h.shape[0], : h.shape[1]]
