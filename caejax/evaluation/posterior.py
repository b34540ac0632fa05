"""The best that can be done if the training images were all there are."""

import functools

import jax
import jax.numpy as jnp

from caejax.ops.checks import check_images

_CHUNK = 1024  # training images at a time
_HIGHEST = jax.lax.Precision.HIGHEST


def posterior_mean(noisy: jax.Array, train: jax.Array, sigma: float) -> jax.Array:
    """Mean of the training images, weighted by how likely each made the noisy one.

    E[x | y] = sum_i w_i x_i, w_i proportional to exp(-|y - x_i|^2 / (2 sigma^2)):
    the estimate of least squared error for Gaussian noise on one of the training
    images, all equally likely. Noise that is clipped, as that of
    `caejax.corruptions.gaussian` is, is not quite Gaussian.

    Training images are taken in chunks, so that memory holds little besides both
    arguments and the result: a weight for 1024 of them and each noisy image.

    Args:
      noisy: the noisy images, (B, H, W, C).
      train: the training images, (N, H, W, C), N at least 1.
      sigma: the standard deviation of the noise, positive.

    Returns:
      The posterior means, (B, H, W, C).

    Raises:
      ValueError: images that are no floating-point batches or of two shapes, no
        training images, or a sigma that is not positive.
    """
    check_images(noisy, "noisy")
    check_images(train, "train")
    if noisy.shape[1:] != train.shape[1:] or not len(train):
        raise ValueError(
            f"train must hold images of noisy's shape {noisy.shape[1:]}, "
            f"got {train.shape}"
        )
    if not sigma > 0:
        raise ValueError(f"sigma is {sigma!r}; it must be positive")
    return _posterior_mean(noisy, train, sigma, min(_CHUNK, len(train)))


@functools.partial(jax.jit, static_argnames="chunk")
def _posterior_mean(noisy, train, sigma, chunk):
    # Distances do not change with the origin; near the mean they round least.
    origin = train.mean(0, dtype=jnp.float32).reshape(-1)
    y = noisy.reshape(len(noisy), -1) - origin[None]
    rows = train.reshape(len(train), -1)

    def add(i, carry):
        top, total, mean = carry
        # The last chunk goes back to what it needs to be full.
        start = jnp.minimum(i * chunk, len(rows) - chunk)
        x = jax.lax.dynamic_slice_in_dim(rows, start, chunk) - origin[None]
        # Less |y|^2, which all weights of an image share.
        closeness = jnp.matmul(y, x.T, precision=_HIGHEST)
        score = (closeness - (x**2).sum(1)[None] / 2) / sigma**2
        fresh = start + jnp.arange(chunk) >= i * chunk
        score = jnp.where(fresh[None], score, -jnp.inf)
        new_top = jnp.maximum(top, score.max(1))
        weights = jnp.exp(score - new_top[:, None])
        kept = jnp.exp(top - new_top)
        sums = jnp.matmul(weights, x, precision=_HIGHEST)
        total = kept * total + weights.sum(1)
        return new_top, total, kept[:, None] * mean + sums

    start = jnp.full(len(y), -jnp.inf), jnp.zeros(len(y)), jnp.zeros_like(y)
    chunks = -(-len(rows) // chunk)
    _, total, mean = jax.lax.fori_loop(0, chunks, add, start)
    return (origin[None] + mean / total[:, None]).reshape(noisy.shape)
