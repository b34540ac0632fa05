"""Losses of images, one value per image."""

import jax
import jax.numpy as jnp
import optax

from caejax.ops.checks import check_pair
from caejax.ops.sums import mean_over_pixels


def bce(logits: jax.Array, target: jax.Array) -> jax.Array:
    """Binary cross-entropy in nats, from logits.

    Args:
      logits: the linear output before the sigmoid, (B, H, W, C).
      target: the target images, (B, H, W, C) in [0, 1].

    Returns:
      One value per image, (B,).
    """
    check_pair(logits, target)
    return mean_over_pixels(optax.sigmoid_binary_cross_entropy(logits, target))


def mse(output: jax.Array, target: jax.Array) -> jax.Array:
    """Mean squared error of two (B, H, W, C) arrays, (B,)."""
    check_pair(output, target)
    return mean_over_pixels((output - target) ** 2)


def l1(output: jax.Array, target: jax.Array) -> jax.Array:
    """Mean absolute error of two (B, H, W, C) arrays, (B,)."""
    check_pair(output, target)
    return mean_over_pixels(jnp.abs(output - target))


def charbonnier(
    output: jax.Array, target: jax.Array, *, epsilon: float = 1e-3
) -> jax.Array:
    """Mean of sqrt(error^2 + epsilon^2), an absolute error that is smooth at 0.

    Charbonnier et al., "Two deterministic half-quadratic regularization algorithms for
    computed imaging", 1994, as in Lai et al., arXiv 1704.03915.

    Args:
      output, target: images, (B, H, W, C).
      epsilon: about the error below which it is quadratic; above 0.

    Returns:
      One value per image, (B,).
    """
    check_pair(output, target)
    return mean_over_pixels(jnp.sqrt((output - target) ** 2 + epsilon**2))


def log_mse(
    output: jax.Array, target: jax.Array, *, epsilon: float = 1e-4
) -> jax.Array:
    """log(1 + MSE / epsilon): each image counts by how its error changes in relation.

    Its mean falls as the mean PSNR rises, so images with little noise count as much as
    those with much. That is the loss of Chen et al., arXiv 2105.06337 (HINet), but for
    the 1, which keeps images that are almost right from counting without bound.

    Args:
      output, target: images, (B, H, W, C).
      epsilon: the mean squared error, above 0, below which it is almost linear.

    Returns:
      One value per image, (B,).
    """
    return jnp.log1p(mse(output, target) / epsilon)


def sse(output: jax.Array, target: jax.Array) -> jax.Array:
    """Summed squared error of two (B, H, W, C) arrays, (B,)."""
    check_pair(output, target)
    return mse(output, target) * output[0].size
