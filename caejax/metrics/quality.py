"""Image quality, one value per image, for images in [0, 1].

`mse` is the loss of that name.
"""

import jax
import jax.numpy as jnp
import numpy as np

from caejax.errors import WrongValue
from caejax.losses.per_image import mse
from caejax.ops.checks import check_pair
from caejax.ops.sums import mean_over_pixels

_MSE_FLOOR = 1e-10  # 100 dB, so that identical images stay finite
WINDOW, _SIGMA = 11, 1.5  # pixels
_C1, _C2 = 0.01**2, 0.03**2


def bce(output: jax.Array, target: jax.Array) -> jax.Array:
    """Binary cross-entropy in nats, mean over pixels and channels.

    Args:
      output: images (B, H, W, C) in [0, 1]; clipped to [1e-7, 1 - 1e-7].
      target: images (B, H, W, C) in [0, 1].

    Returns:
      One value per image, (B,).
    """
    check_pair(output, target)
    p = jnp.clip(output, 1e-7, 1 - 1e-7)
    return -mean_over_pixels(target * jnp.log(p) + (1 - target) * jnp.log1p(-p))


def psnr(output: jax.Array, target: jax.Array) -> jax.Array:
    """Peak signal-to-noise ratio in dB for a data range of 1.

    -10 log10(MSE), with the squared error averaged over each image by itself.
    Identical images give 100 dB.

    Args:
      output, target: images (B, H, W, C) in [0, 1].

    Returns:
      One value per image, (B,).
    """
    return -10 * jnp.log10(jnp.maximum(mse(output, target), _MSE_FLOOR))


def ssim(output: jax.Array, target: jax.Array) -> jax.Array:
    """Structural similarity (Wang et al., IEEE TIP 2004), data range 1.

    Gaussian window of 11 pixels and sigma 1.5, population covariance, constants
    0.01 and 0.03, mean over the windows that lie inside the image and over
    channels.

    Args:
      output, target: images (B, H, W, C) in [0, 1], H and W at least 11.

    Returns:
      One value per image, (B,), in [-1, 1].
    """
    return jnp.clip(unclipped_ssim(output, target), -1, 1)


def unclipped_ssim(output: jax.Array, target: jax.Array) -> jax.Array:
    """As `ssim`, but for equal images a mean of ones that rounds to above 1.

    Evaluation clips what it has averaged: clipped here, programs would round otherwise
    than those of earlier versions.
    """
    check_pair(output, target)
    if min(output.shape[1:3]) < WINDOW:
        raise WrongValue(
            f"ssim needs images of at least {WINDOW}x{WINDOW}, got {output.shape}"
        )
    x, y = output.astype(jnp.float32), target.astype(jnp.float32)
    mean_x, mean_y = _blur(x), _blur(y)
    var_x = _blur(x * x) - mean_x**2
    var_y = _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    similarity = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    similarity /= (mean_x**2 + mean_y**2 + _C1) * (var_x + var_y + _C2)
    return mean_over_pixels(similarity)


def _blur(x):
    """Gaussian window over the pixels where it fits, as two banded products."""
    rows, columns = (_window_matrix(size) for size in x.shape[1:3])
    highest = jax.lax.Precision.HIGHEST
    return jnp.einsum("ih,bhwc,jw->bijc", rows, x, columns, precision=highest)


def _window_matrix(size: int) -> np.ndarray:
    """(size - 10, size): row i holds the window that starts at pixel i."""
    distance = np.arange(WINDOW) - WINDOW // 2
    window = np.exp(-0.5 * (distance / _SIGMA) ** 2)
    window /= window.sum()
    matrix = np.zeros((size - WINDOW + 1, size), np.float32)
    for i in range(len(matrix)):
        matrix[i, i : i + WINDOW] = window
    return matrix
