"""Mixtures of Gaussians: fitted by expectation-maximisation, and drawn from.

As in Dempster, Laird & Rubin, "Maximum likelihood from incomplete data via the EM
algorithm", 1977. Two steps of a few lines each; a machine-learning library would be
a large dependency for them.
"""

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.cluster.vq import kmeans2
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

STEPS = 100
_TOLERANCE = 1e-3  # nats a code, between steps
_FLOOR = 1e-6  # of the mean variance; added to all, for codes with dead units


class Mixture(NamedTuple):
    """A mixture of k Gaussians in D dimensions.

    Attributes:
      weights: (k,), whose sum is 1.
      means: (k, D).
      covariances: (k, D, D), or (k, D) where they are diagonal.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray


def fit(
    codes: np.ndarray,
    components: int,
    *,
    diagonal: bool,
    rng: np.random.Generator,
    advance: Callable[[int], None] = lambda steps: None,
) -> tuple[Mixture, float]:
    """Fits a mixture; it starts from the clusters of k-means.

    Args:
      codes: (N, D), where N is at least the number of components.
      components: The number k of Gaussians; one is a plain Gaussian.
      diagonal: Whether the dimensions of a component are independent.
      rng: Chooses the codes that k-means starts from.
      advance: Is told of every step done, up to `STEPS`.

    Returns:
      The mixture and its mean log-likelihood, in nats a code.
    """
    x = np.asarray(codes, np.float64)
    floor = _FLOOR * x.var(0).mean() + np.finfo(float).tiny
    shares = np.eye(components)[_clusters(x, components, rng)]
    before = -np.inf
    for _ in range(STEPS):
        mixture = _maximise(x, shares, floor, diagonal)
        joint = log_densities(mixture, x)
        each = logsumexp(joint, axis=1)
        shares = np.exp(joint - each[:, None])
        advance(1)
        mean = float(each.mean())
        if mean - before < _TOLERANCE:
            break
        before = mean
    return mixture, mean


def _clusters(x, components, rng):
    start = x[rng.choice(len(x), components, replace=False)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of empty clusters: they get weight 0
        return kmeans2(x, start, minit="matrix")[1]


def _maximise(x, shares, floor, diagonal):
    """The likeliest mixture for codes that belong to components by shares (N, k)."""
    counts = shares.sum(0) + 10 * np.finfo(float).eps
    means = shares.T @ x / counts[:, None]
    covariances = []
    for share, count, mean in zip(shares.T, counts, means, strict=True):
        centred = x - mean
        if diagonal:
            covariances.append(share @ centred**2 / count + floor)
        else:
            covariance = (share[:, None] * centred).T @ centred / count
            covariances.append(covariance + floor * np.eye(len(mean)))
    return Mixture(counts / counts.sum(), means, np.stack(covariances))


def log_densities(mixture: Mixture, x: np.ndarray) -> np.ndarray:
    """Log of each component's weight times its density: (N, D) to (N, k)."""
    columns = []
    for weight, mean, covariance in zip(*mixture, strict=True):
        centred = x - mean
        if covariance.ndim == 1:
            scaled = centred / np.sqrt(covariance)
            half_log_det = 0.5 * np.log(covariance).sum()
        else:
            root = np.linalg.cholesky(covariance)
            scaled = solve_triangular(root, centred.T, lower=True).T
            half_log_det = np.log(np.diag(root)).sum()
        constant = np.log(weight) - half_log_det - x.shape[1] / 2 * np.log(2 * np.pi)
        columns.append(constant - 0.5 * (scaled**2).sum(1))
    return np.stack(columns, axis=1)


def draw(mixture: Mixture, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draws (count, D)."""
    chosen = rng.choice(len(mixture.weights), count, p=mixture.weights)
    noise = rng.standard_normal((count, mixture.means.shape[1]))
    if mixture.covariances.ndim == 2:
        return mixture.means[chosen] + np.sqrt(mixture.covariances[chosen]) * noise
    roots = np.linalg.cholesky(mixture.covariances)
    draws = np.empty_like(noise)
    for i, (mean, root) in enumerate(zip(mixture.means, roots, strict=True)):
        draws[chosen == i] = mean + noise[chosen == i] @ root.T
    return draws
