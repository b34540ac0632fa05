"""Filters whose output phases all have the same gain."""

import jax
import jax.numpy as jnp

from caejax.ops.equal import equal_moves
from caejax.ops.polyphase import phase_gains


def equal_gains(h: jax.Array, stride: int = 2) -> jax.Array:
    """The filter nearest to h whose output phases have equal gains.

    By the least sum of squares, for each pair of channels: see `equal_moves`. It is an
    orthogonal projection: linear, the same when done twice, and its own transpose, so
    that the gradient with respect to h is the projection of that with respect to the
    result.

    Args:
      h: the filter at the high resolution, (L, L, C, F), L at least the stride, since
        a phase without taps has no gain.
      stride: the stride s.

    Returns:
      The filter, (L, L, C, F); its gains agree to rounding.
    """
    gains = phase_gains(h, stride)
    counts = phase_gains(jnp.ones_like(h, shape=(*h.shape[:2], 1, 1)), stride)
    moves = equal_moves(gains, counts, (0, 1))
    repeats = -(-h.shape[0] // stride)
    moves = jnp.tile(moves, (repeats, repeats, 1, 1))
    return h + moves[: h.shape[0], : h.shape[1]]
