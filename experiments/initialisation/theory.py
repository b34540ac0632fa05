"""Second moments of signals in a decoder with random weights.

An upsampling layer draws, for each of its weights, a fixed little pattern around
every input pixel. The weights are independent with zero mean, so the second moments
K[a, b, c, d] = E y[a, b] y[c, d] of a channel's pixels follow from those of its input
alone, at any width, and the channels stay uncorrelated. With ReLU the same holds for
wide layers, whose channels are independent and Gaussian before it (Cho & Saul, NIPS
2009), and have a mean behind it.

Every layer's moments are separable in rows and columns, those of a projected kernel as
a sum of three such. Space is periodic: one pixel that repeats for ever is a constant
input.

Resizes whose weights depend on content start with guides close to zero, and are taken
for the fixed ones that they are without.
"""

import numpy as np

from caejax.models.kinds import STRIDE, Kind

NUMERATORS = {"flax_default": 1, "lecun_normal": 1, "he_normal": 2}
"""Variance of a weight times its fan-in, without a kind's correction."""


def untied_ripple_db(stages: int) -> float:
    """Ripple relative to the mean of linear stages with untied phases.

    The phases are then uncorrelated, with powers P_p. Of N = 4^L phases the squared
    mean has the expectation sum P_p / N^2, the variance (1 - 1 / N) sum P_p / N, and
    their ratio is N - 1, however the powers differ.
    """
    return float(10 * np.log10(4**stages - 1))


def odd_overlap_db(kernel_size: int) -> float:
    """`overlap_db` of one transposed convolution of stride 2.

    Along an axis, (k + 1) / 2 taps of an odd kernel meet one phase and (k - 1) / 2
    the other. Those of an even kernel are shared out evenly.
    """
    more, fewer = (kernel_size + 1) // 2, kernel_size // 2
    return float(20 * np.log10(more / fewer))


def patterns(kind: Kind) -> np.ndarray:
    """What each independent weight draws along one axis: (weights, taps)."""
    weights = np.eye(kind.kernel_size)
    if kind.phases > 1:
        own = 1 if kind.tied else STRIDE
        weights = np.repeat(np.eye(own * kind.kernel_size), STRIDE // own, axis=1)
    return np.stack([np.convolve(row, kind.fixed) for row in weights])


def terms(kind: Kind) -> list[tuple[float, np.ndarray]]:
    """Signs and patterns, along either axis alike, whose moments add up to a kind's.

    A projected kernel starts with one gain for all phases. Two of its taps t and u then
    have the covariance [t = u] - [phases equal] / n + 1 / n in units of a weight's
    variance, n the taps of a phase: each is itself less the mean of its phase, plus a
    gain that all share.
    """
    drawn = patterns(kind)
    if not kind.projected:
        return [(1.0, drawn)]
    taps = drawn.shape[1]
    phases = np.float64(np.arange(taps) % STRIDE == np.arange(STRIDE)[:, None])
    n = (taps // STRIDE) ** 2
    return [(1.0, drawn), (-1 / n, phases), (1 / n, np.ones((1, taps)))]


def axis_moments(kind: Kind, drawn: np.ndarray, size: int) -> np.ndarray:
    """Moments of the output from those of the input, along one axis.

    Args:
      kind: the layer's kind.
      drawn: what each independent weight draws, (weights, taps).
      size: n, the period of the input in pixels.

    Returns:
      The map T, (2n, 2n, n, n): K'[a, c] = sum_mo T[a, c, m, o] K[m, o], for weights
      of variance 1.
    """
    maps = np.zeros((len(drawn), STRIDE * size, size))
    for m in range(size):
        for t in range(drawn.shape[1]):
            maps[:, (STRIDE * m + kind.origin + t) % (STRIDE * size), m] += drawn[:, t]
    return np.einsum("jam,jco->acmo", maps, maps, optimize=True)


def constant() -> np.ndarray:
    """Moments of a constant of power 1, (1, 1, 1, 1)."""
    return np.ones((1, 1, 1, 1))


def white(size: int = 6) -> np.ndarray:
    """Moments of white noise of power 1, (n, n, n, n).

    Six pixels are as wide as the widest filter, that of carafe.
    """
    return np.einsum("ac,bd->abcd", np.eye(size), np.eye(size))


def stage(
    moments: np.ndarray, kind: Kind, initializer: str, mean: np.ndarray | None = None
) -> np.ndarray:
    """Moments after one layer, (n, n, n, n) to (2n, 2n, 2n, 2n).

    Channels that are added up in groups add their powers, and their means, (n, n), if
    they have any.
    """
    if mean is not None:
        moments = moments + (kind.group - 1) * np.einsum("ab,cd->abcd", mean, mean)
    corrected = 1 if initializer == "flax_default" else kind.variance
    scale = NUMERATORS[initializer] * corrected * kind.group / kind.kernel_size**2
    total = 0
    for sign, drawn in terms(kind):
        axis = axis_moments(kind, drawn, len(moments))
        rows = np.einsum("acmo,mnop->ancp", axis, moments, optimize=True)
        total += sign * np.einsum("bdnp,ancp->abcd", axis, rows, optimize=True)
    return scale * total


def relu(moments: np.ndarray) -> np.ndarray:
    """Moments after ReLU, of Gaussian signals with these moments and no mean."""
    size = moments.shape[0] ** 2
    flat = moments.reshape(size, size)
    root = np.sqrt(np.diag(flat))
    scale = np.outer(root, root)
    cosine = np.clip(flat / scale, -1, 1)
    angle = np.arccos(cosine)
    result = scale * (np.sin(angle) + (np.pi - angle) * cosine) / (2 * np.pi)
    return result.reshape(moments.shape)


def chain(
    moments: np.ndarray, kind: Kind, stages: int, initializer: str, *, rectify: bool
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Moments after each of so many stages, with a ReLU behind each or none.

    Returns:
      The moments of every layer's output, and those behind its ReLU, if there is one.
    """
    outputs, behind, mean = [], [], None
    for _ in range(stages):
        outputs.append(stage(moments, kind, initializer, mean))
        moments = relu(outputs[-1]) if rectify else outputs[-1]
        mean = np.sqrt(power(outputs[-1]) / (2 * np.pi)) if rectify else None
        behind.append(moments)
    return outputs, behind


def power(moments: np.ndarray) -> np.ndarray:
    """Power of every pixel, (n, n)."""
    return np.einsum("abab->ab", moments)


def ripple_db(moments: np.ndarray) -> float:
    """10 log10(E Var_p / E mean_p^2), -inf for equal phases.

    A convolution with random weights at the end multiplies both alike, and changes
    nothing.
    """
    mean = moments.mean()
    ratio = max(power(moments).mean() / mean - 1, 0)
    # What rounding leaves of equal phases.
    return float(10 * np.log10(ratio)) if ratio > 1e-9 else -np.inf


def overlap_db(moments: np.ndarray) -> float:
    """10 log10(max_p P_p / min_p P_p) of the phases' powers."""
    powers = power(moments)
    return float(10 * np.log10(powers.max() / powers.min()))


def rms(moments: np.ndarray) -> float:
    """Root mean square over all pixels."""
    return float(np.sqrt(power(moments).mean()))
