"""Principal components: the best linear autoencoder of a given latent size."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg

from caejax.ops.checks import check_images

_CHUNK = 4096  # images in float64 at a time


class Components(NamedTuple):
    """What `fit_components` finds, for `project`.

    Attributes:
      mean: the mean image, (H, W, C).
      basis: the components, (K, H W C): orthonormal rows, most variance first.
    """

    mean: np.ndarray
    basis: np.ndarray


def fit_components(train: np.ndarray, count: int) -> Components:
    """The directions in which clean images vary most.

    Eigenvectors of the covariance, in float64. Directions in which the images do
    not vary at all come last, in any order. Takes seconds for 3000 numbers an image,
    and time grows with their cube.

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
    covariance = np.zeros((size, size))
    for first in range(0, len(rows), _CHUNK):
        centred = rows[first : first + _CHUNK] - mean
        covariance += centred.T @ centred / len(rows)
    largest = (size - count, size - 1)
    _, vectors = scipy.linalg.eigh(covariance, subset_by_index=largest)
    basis = np.ascontiguousarray(vectors.T[::-1], np.float32)
    return Components(mean.reshape(train.shape[1:]).astype(np.float32), basis)


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
