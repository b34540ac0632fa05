"""The least change that gives all phases of a filter one gain, for arrays of any kind.

It does not import JAX, so that NumPy's arrays need none of it.
"""

from typing import Any


def equal_moves(gains: Any, counts: Any, axes: tuple[int, ...]) -> Any:
    """By how much each tap of a phase moves, such that all phases have one gain.

    With n_p taps of the sum g_p, each moves by (t - g_p) / n_p, with t = sum_p (g_p /
    n_p) / sum_p (1 / n_p): Lagrange's conditions of minimising sum_p n_p d_p^2 with
    g_p + n_p d_p = t for all p.

    Args:
      gains: the sums g_p, phases along the axes.
      counts: the numbers n_p, above 0, of a shape that goes with the gains'.
      axes: of the phases.

    Returns:
      The moves, of the shape of the gains.
    """
    common = (gains / counts).sum(axes, keepdims=True) / (1 / counts).sum(
        axes, keepdims=True
    )
    return (common - gains) / counts
