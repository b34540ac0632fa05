"""Principal components: the best linear autoencoder of a given latent size."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg

from caejax.ops.checks import check_images

_CHUNK = 4096  # images, or numbers of all of them, in float64 at a time
_NOTHING = 1e-10  # of the largest variance, below which there is rounding alone


class Components(NamedTuple):
    """What `fit_components` finds, for `project`.

    Attributes:
      mean: the mean image, (H, W, C).
      basis: the components, (K, H W C): orthonormal rows, most variance first; fewer
        than K where the images are fewer than their numbers and vary in no more.
    """

    mean: np.ndarray
    basis: np.ndarray


def fit_components(train: np.ndarray, count: int) -> Components:
    """The directions in which clean images vary most.

    Eigenvectors of the covariance, in float64; where the images are fewer than their
    numbers, by those of their products (Sirovich and Kirby 1987), which are the same
    directions. Time grows with the cube of the smaller of the two: seconds for 3000.
    Directions in which the images do not vary at all come last, in any order, or not
    at all where the images are fewer than their numbers.

    Args:
      train: the clean training images, (N, H, W, C).
      count: K, how many numbers an image is reduced to: the latent size of an
        autoencoder to compare with, height x width x channels of its code.

    Raises:
      ValueError: no floating-point batch, no images, or a count that is not
        between 1 and the numbers H W C of an image.
    """
    check_images(train, "train")
    size = int(np.prod(train.shape[1:]))
    if not len(train):
        raise ValueError("train holds no images")
    if not 1 <= count <= size:
        raise ValueError(f"count is {count}; an image has 1 to {size} components")
    rows = np.asarray(train).reshape(len(train), size)
    mean = rows.mean(0, dtype=np.float64)
    find = _by_numbers if len(rows) >= size else _by_images
    basis = np.ascontiguousarray(find(rows, mean, count), np.float32)
    return Components(mean.reshape(train.shape[1:]).astype(np.float32), basis)


def _by_numbers(rows, mean, count):
    size = rows.shape[1]
    covariance = np.zeros((size, size))
    for first in range(0, len(rows), _CHUNK):
        centred = rows[first : first + _CHUNK] - mean
        covariance += centred.T @ centred / len(rows)
    return _largest(covariance, count)[1].T


def _by_images(rows, mean, count):
    """As `_by_numbers`: if R R' u = v u, then R' u is an eigenvector of R' R."""
    products = np.zeros((len(rows), len(rows)))
    columns = [slice(i, i + _CHUNK) for i in range(0, rows.shape[1], _CHUNK)]
    for some in columns:
        centred = rows[:, some] - mean[some]
        products += centred @ centred.T
    variances, vectors = _largest(products, min(count, len(rows)))
    kept = variances > _NOTHING * variances[0]
    weights = (vectors[:, kept] / np.sqrt(variances[kept])).T
    return np.hstack([weights @ (rows[:, some] - mean[some]) for some in columns])


def _largest(matrix, count):
    """The largest eigenvalues of a symmetric matrix and their vectors, as columns."""
    places = len(matrix) - count, len(matrix) - 1
    values, vectors = scipy.linalg.eigh(matrix, subset_by_index=places)
    return values[::-1], vectors[:, ::-1]


def project(noisy: jax.Array, components: Components) -> jax.Array:
    """The nearest images that the components can make.

    Args:
      noisy: the noisy images, (B, H, W, C).
      components: the components of clean images of that shape.

    Returns:
      The projected images, (B, H, W, C), not clipped.

    Raises:
      ValueError: images that are no floating-point batch or of another shape.
    """
    check_images(noisy, "noisy")
    if noisy.shape[1:] != components.mean.shape:
        raise ValueError(
            f"the components are of images {components.mean.shape}, "
            f"got {noisy.shape[1:]}"
        )
    return _project(noisy, components)


@jax.jit
def _project(noisy, components):
    matmul = functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)
    centred = (noisy - components.mean[None]).reshape(len(noisy), -1)
    code = matmul(centred, components.basis.T)
    return components.mean[None] + matmul(code, components.basis).reshape(noisy.shape)
