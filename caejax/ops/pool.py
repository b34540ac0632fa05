"""Max-pooling as reshape and maximum: its gradient needs no scatter."""

import jax
import jax.numpy as jnp


def max_pool(x: jax.Array, *, valid: bool = False) -> jax.Array:
    """Takes the largest of each 2 x 2 block, like SAME pooling of stride 2.

    Args:
      x: (B, H, W, C); an odd last row or column makes a smaller block.
      valid: leave such a row or column out, as VALID pooling does.

    Returns:
      (B, ceil(H / 2), ceil(W / 2), C); VALID, rounded down.
    """
    if valid:
        height, width = (side // 2 * 2 for side in x.shape[1:3])
        x = x[:, :height, :width]
    batch, height, width, channels = x.shape
    odd = ((0, 0), (0, height % 2), (0, width % 2), (0, 0))
    if height % 2 or width % 2:
        x = jnp.pad(x, odd, mode="edge")
    x = x.reshape(batch, -(-height // 2), 2, -(-width // 2), 2, channels)
    return x.max((2, 4))
