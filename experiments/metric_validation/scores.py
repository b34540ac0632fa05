"""Scores of sets of images, and how well they tell two kinds of sets apart."""

import functools
from typing import NamedTuple

import jax
import numpy as np

from caejax.metrics.checkerboard import detail_power, residual, shared_power
from caejax.metrics.lattice import peak_db, spectrum
from caejax.metrics.phases import phase_means, phase_ratio_db, phase_variation
from experiments.metric_validation import literature

OURS = (
    *("lattice_peak_db", "phase_var_db", "phase_var_cv", "lattice_power"),
    "lattice_peak_unpaired_db",
)
LITERATURE = ("azimuthal_db", "azimuthal_minmax", "non_dc_energy", "bef")
METRICS = (*OURS, *LITERATURE)

SET_SIZE = 16
SET_SIZES = (16, 4, 1)

_CHUNK = 128  # images at a time

Scores = dict[tuple[str, int], np.ndarray]


def set_scores(outputs: np.ndarray, targets: np.ndarray, period: int) -> Scores:
    """Every metric of every set of 16, 4 and 1 images that follow each other.

    The same as calling the public metric on each set, but what all sets share, the
    work on single images, is done once. `lattice_power` has no value for sets of 1.

    Args:
      outputs: the outputs, (N, H, W, 1), N a multiple of 16.
      targets: their targets, of the same shape.
      period: S, the lattice's period in pixels.

    Returns:
      The values, (N / set size,), by (metric, set size).
    """
    chunk = _CHUNK if len(outputs) % _CHUNK == 0 else SET_SIZE
    scores = _chunks(
        *(x.reshape(-1, chunk, *x.shape[1:]) for x in (outputs, targets)), period
    )
    # A jitted function returns its dictionary sorted; tuples of keys are fine.
    return {key: np.asarray(value).ravel() for key, value in scores.items()}


@functools.partial(jax.jit, static_argnums=2)
def _chunks(outputs, targets, period):
    return jax.lax.map(lambda pair: _set_scores(*pair, period), (outputs, targets))


def _set_scores(outputs, targets, period):
    difference = residual(outputs, targets)
    spectra = [spectrum(x, period) for x in (difference, outputs, targets)]
    detail = detail_power(outputs, targets, period)
    mu = phase_means(difference, period)
    single = {
        "azimuthal_db": literature.azimuthal_db(outputs),
        "azimuthal_minmax": literature.azimuthal_minmax(outputs),
        "non_dc_energy": literature.non_dc_energy(outputs, period),
        "bef": literature.bef(outputs, period),
    }
    scores = {}
    for size in SET_SIZES:

        def mean(x, size=size):
            return x.reshape(-1, size, *x.shape[1:]).mean(1)

        peaks, out, target = (
            jax.vmap(lambda x: peak_db(x, period))(mean(x)) for x in spectra
        )
        scores["lattice_peak_db", size] = peaks
        scores["lattice_peak_unpaired_db", size] = out - target
        scores["phase_var_db", size] = phase_ratio_db(mean(detail))
        scores["phase_var_cv", size] = phase_variation(mean(detail))
        if size > 1:
            variances = mean(mu.var((1, 2)).mean(-1))
            power = functools.partial(shared_power, count=size)
            scores["lattice_power", size] = jax.vmap(power)(mean(mu), variances)
        for name, values in single.items():
            scores[name, size] = mean(values)
    return scores


# The area under the ROC curve.


def placements(positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """The share of negatives below each positive, ties half: (P,).

    Their mean is the area under the ROC curve.
    """
    ordered = np.sort(negatives)
    below, upto = (np.searchsorted(ordered, positives, s) for s in ("left", "right"))
    return (below + upto) / (2 * len(negatives))


def auc(positives: np.ndarray, negatives: np.ndarray) -> float:
    """The chance that a positive lies above a negative, ties half."""
    return float(placements(positives, negatives).mean())


class Area(NamedTuple):
    """An area under the ROC curve, its 95 % interval, and how many sets it rests on."""

    auc: float
    low: float
    high: float
    sets: int


def crossover_auc(
    negatives: np.ndarray, positives: np.ndarray, *, clusters: int
) -> Area:
    """Area under the ROC curve where each half of the images serves in both roles.

    The positives of the second half are compared with the negatives of the first, the
    positives of the first with the negatives of the second, and the two areas are
    averaged: no image is ever compared with itself, and what one half has more of
    than the other cancels. The interval is that of DeLong, DeLong & Clarke-Pearson
    (1988), 1.96 standard errors, with each set's part in both roles summed before the
    variance is taken, and averaged over its cluster. It has no width where no
    positive lies below a negative.

    Args:
      negatives: the scores of the sets of images as negatives, (2, n), the halves
        first.
      positives: the scores of the same sets as positives, (2, n).
      clusters: the number of clusters of sets that follow each other in each half; sets
        that share a pattern are no independent draws.
    """
    parts = []
    for half in (0, 1):
        as_positive = placements(positives[half], negatives[1 - half])
        as_negative = 1 - placements(negatives[half], positives[1 - half])
        part = (as_positive + as_negative) / 2
        parts.append(part.reshape(clusters, -1).mean(1))
    value = np.mean(parts)
    error = np.sqrt(sum(part.var(ddof=1) / clusters for part in parts))
    low, high = np.clip([value - 1.96 * error, value + 1.96 * error], 0, 1)
    return Area(float(value), float(low), float(high), negatives.size)


def crossover_roc(
    negatives: np.ndarray, positives: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rates: the mean of both halves' ROC curves.

    Args:
      negatives: the scores as negatives, (2, n), as in `crossover_auc`.
      positives: the scores as positives, (2, n).

    Returns:
      The rates k / n of false positives, (n + 1,), and the mean true rate at each.
    """
    curves = []
    for half in (0, 1):
        falling = np.sort(negatives[half])[::-1]
        above = [(positives[1 - half] > bound).mean() for bound in falling]
        curves.append([*above, 1.0])
    return np.linspace(0, 1, negatives.shape[1] + 1), np.mean(curves, axis=0)
