"""The algebra of an enlarging layer's phases, for any stride and dimension.

A layer of stride s adds up filters h every s output pixels. Of a constant input x it
makes, at output pixels of phase p in Z_s, sum_c x(c) g_p(c, f) + b_p(f), with the
gains g_p(c, f) = sum_j h[p + s j](c, f): no pattern for any input exactly if gains
and biases are the same for all phases (Odena, Dumoulin & Olah, Distill 2016; Sugawara
& Kiya, arXiv 1806.02658).
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from caejax.ops.equal import equal_moves

FLOOR_DB = -200.0


class Phases(NamedTuple):
    """What the phases of a layer have.

    Attributes:
      gains: (s1, ..., sd, C, F), what each phase makes of a constant input of one;
        of a grouped layer C counts the channels of all groups and F those of one.
      power: (s1, ..., sd), mean square over channels of the sum over taps of a
        phase: what it passes on of white noise.
      taps: (s1, ..., sd), how many taps each phase has.
      bias: (s1, ..., sd, F) where each phase has biases of its own, or None.
    """

    gains: np.ndarray
    power: np.ndarray
    taps: np.ndarray
    bias: np.ndarray | None = None


def decibels(power: float) -> float:
    """10 log10 of a ratio of powers, at least -200."""
    return max(10 * float(np.log10(max(power, 1e-300))), FLOOR_DB)


def of_transposed(
    weight: np.ndarray,
    stride: Sequence[int],
    dilation: Sequence[int] | None = None,
    padding: Sequence[int] | None = None,
) -> Phases:
    """Phases of a transposed convolution.

    Args:
      weight: (C, F, k1, ..., kd), F a group's output channels.
      stride: of each axis.
      dilation: of each axis, 1 by default: tap j lies at d j.
      padding: what is cropped from the start of each axis, 0 by default; phases are
        counted from output pixel 0.
    """
    dims = len(stride)
    weight = np.asarray(weight, np.float64)
    dilation, padding = dilation or (1,) * dims, padding or (0,) * dims
    gains = np.zeros((*stride, *weight.shape[:2]))
    power, taps = np.zeros(stride), np.zeros(stride, int)
    for phase, found in _taps(weight.shape[2:], stride, dilation, padding):
        taken = weight[(slice(None), slice(None), *found)]
        axes = tuple(range(2, 2 + dims))
        gains[phase] = taken.sum(axes)
        power[phase] = (taken**2).sum(axes).mean()
        taps[phase] = np.prod(taken.shape[2:])
    return Phases(gains, power, taps)


def _taps(
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    padding: Sequence[int],
) -> Iterator[tuple[tuple[int, ...], tuple[np.ndarray, ...]]]:
    """For each phase, which taps fall on it, as an open mesh."""
    for phase in itertools.product(*map(range, stride)):
        yield (
            phase,
            np.ix_(
                *(
                    np.flatnonzero((d * np.arange(k) - pad - p) % s == 0)
                    for k, s, d, p, pad in zip(
                        kernel, stride, dilation, phase, padding, strict=True
                    )
                )
            ),
        )


def of_shuffle(weight: np.ndarray, order: np.ndarray, bias: np.ndarray | None = None):
    """Phases of a convolution, or linear layer, whose channels become pixels.

    Args:
      weight: (K, C, k1, ..., kd), or (K, C).
      order: (s1, ..., sd, F), the channel, one of K, that each phase shows.
      bias: (K,), or None.
    """
    weight = np.asarray(weight, np.float64).reshape(*weight.shape[:2], -1)
    gains = np.moveaxis(weight.sum(-1)[order], -1, -2)
    power = (weight**2).sum(-1).mean(-1)[order].mean(-1)
    taps = np.full(order.shape[:-1], weight.shape[-1])
    own = None if bias is None else np.asarray(bias, np.float64)[order]
    return Phases(gains, power, taps, own)


def blurred(phases: Phases, blur: np.ndarray) -> Phases:
    """Phases behind a fixed blur, which mixes them.

    Args:
      phases: of the layer.
      blur: (k1, ..., kd), the same for all channels; where it begins only moves
        the phases.
    """
    axes = tuple(range(blur.ndim))

    def mixed(values: np.ndarray, taps: np.ndarray) -> np.ndarray:
        return sum(
            taps[at] * np.roll(values, at, axes) for at in np.ndindex(*taps.shape)
        )

    return phases._replace(
        gains=mixed(phases.gains, blur),
        power=mixed(phases.power, blur**2),
        bias=None if phases.bias is None else mixed(phases.bias, blur),
    )


def spread_db(phases: Phases) -> float:
    """Power of the pattern on constant inputs, relative to the constant's own.

    10 log10(mean Var_p(g) / mean (mean_p g)^2), means over pairs of channels: what is
    expected of inputs whose channels are independent and alike. At least -200.
    """
    axes = _phase_axes(phases)
    level = (phases.gains.mean(axes) ** 2).mean()
    return decibels(phases.gains.var(axes).mean() / max(level, 1e-300))


def response(phases: Phases, constant: np.ndarray, groups: int = 1) -> np.ndarray:
    """What a layer makes of constant features, by phase.

    Args:
      phases: of the layer.
      constant: (B, C).
      groups: of channels, each with filters of its own.

    Returns:
      (B, s1, ..., sd, F), biases that all phases share not added.
    """
    *stride, count, made = phases.gains.shape
    gains = phases.gains.reshape(*stride, groups, count // groups, made)
    given = constant.reshape(len(constant), groups, count // groups)
    found = np.einsum("bgc,...gcf->b...gf", given, gains)
    found = found.reshape(len(constant), *stride, groups * made)
    return found if phases.bias is None else found + phases.bias


def overlap_db(phases: Phases) -> float:
    """Largest against smallest power of a phase, 10 log10; infinite if one is empty."""
    smallest, largest = phases.power.min(), phases.power.max()
    if smallest > 0:
        return decibels(largest / smallest)
    return float("inf") if largest > 0 else 0.0


def bias_spread(phases: Phases) -> float:
    """RMS over channels of the biases' deviation over phases, in output units."""
    if phases.bias is None:
        return 0.0
    return float(np.sqrt(phases.bias.var(_phase_axes(phases)).mean()))


def bias_spread_db(phases: Phases) -> float:
    """Power of the biases' deviation over phases, relative to the biases' own."""
    if phases.bias is None or not phases.bias.any():
        return FLOOR_DB
    spread = phases.bias.var(_phase_axes(phases)).mean()
    return decibels(spread / (phases.bias**2).mean())


def _phase_axes(phases):
    return tuple(range(phases.power.ndim))


def _moves(phases):
    return equal_moves(
        phases.gains, phases.taps[(..., None, None)], _phase_axes(phases)
    )


def clean_transposed(
    weight: np.ndarray, stride: Sequence[int], dilation: Sequence[int] | None = None
) -> np.ndarray | None:
    """The nearest kernel, by least squares, whose phases have equal gains.

    See `caejax.ops.equal.equal_moves`.

    Args:
      weight: (C, F, k1, ..., kd) of a transposed convolution.
      stride: of each axis.
      dilation: of each axis.

    Returns:
      The kernel, or None where a phase has no taps and so no kernel is clean.
    """
    phases = of_transposed(weight, stride, dilation)
    if not phases.taps.all():
        return None
    dims = len(stride)
    steps = _moves(phases)
    moved = np.array(weight, np.float64)
    dilation = dilation or (1,) * dims
    for phase, found in _taps(weight.shape[2:], stride, dilation, (0,) * dims):
        step = steps[phase]
        moved[(slice(None), slice(None), *found)] += step[(..., *(None,) * dims)]
    return moved.astype(weight.dtype)


def clean_shuffle(
    weight: np.ndarray, order: np.ndarray, bias: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """The nearest kernel and biases of a shuffle whose phases have equal gains.

    All phases have as many taps, so that the common gain is their mean.

    Args:
      weight: (K, C, k1, ..., kd), or (K, C).
      order: (s1, ..., sd, F), the channel that each phase shows.
      bias: (K,), or None.

    Returns:
      Kernel and biases.
    """
    phases = of_shuffle(weight, order, bias)
    step = _moves(phases)
    moved = np.array(weight, np.float64)
    taps = (..., *(None,) * (weight.ndim - 2))
    moved[order] += np.moveaxis(step, -1, -2)[taps]
    if bias is not None:
        common = np.array(bias, np.float64)
        mean = phases.bias.mean(_phase_axes(phases))
        common[order] = np.broadcast_to(mean, order.shape)
        bias = common.astype(bias.dtype)
    return moved.astype(weight.dtype), bias
