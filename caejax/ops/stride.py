"""Convolution of stride 2, which makes half the pixels an axis.

Off the path "stock" it is a convolution of stride 1 behind space-to-depth, the reverse
of what `caejax.ops.polyphase` does for upsampling, and so has the gradient of
`caejax.ops.conv`.
"""

import jax
import jax.numpy as jnp

from caejax.ops import paths
from caejax.ops.conv import conv, lax_conv


def conv_stride2(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Correlates images with a kernel at every other pixel, as `nn.Conv` with SAME.

    Args:
      x: images (B, H, W, C).
      kernel: the kernel, (h, w, C, F).

    Returns:
      Images (B, ceil(H / 2), ceil(W / 2), F).
    """
    if paths.chosen() == "stock":
        return lax_conv(x, kernel, "SAME", stride=2)
    sides = list(zip(x.shape[1:3], kernel.shape[:2], strict=True))
    before = [_missing(n, k) // 2 for n, k in sides]
    # With a zero behind it, a kernel of odd size is one of whole blocks.
    kernel = jnp.pad(kernel, (*((0, k % 2) for _, k in sides), (0, 0), (0, 0)))
    sizes = zip(x.shape[1:3], kernel.shape[:2], before, strict=True)
    padding = tuple((lo, _missing(n, k) - lo) for n, k, lo in sizes)
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    return conv(_image_blocks(x), _kernel_blocks(kernel), ((0, 0), (0, 0)))


def _missing(size, kernel_size):
    """Pixels besides an image's that ceil(size / 2) places of a kernel meet."""
    return max(2 * (-(-size // 2) - 1) + kernel_size - size, 0)


def _image_blocks(x):
    """(B, 2 H, 2 W, C) to (B, H, W, 4 C)."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(
        batch, height // 2, width // 2, 4 * channels
    )


def _kernel_blocks(kernel):
    """(2 h, 2 w, C, F) to (h, w, 4 C, F)."""
    h, w, channels, features = kernel.shape
    kernel = kernel.reshape(h // 2, 2, w // 2, 2, channels, features)
    return kernel.transpose(0, 2, 1, 3, 4, 5).reshape(
        h // 2, w // 2, 4 * channels, features
    )
