"""What losses and metrics refuse, before a wrong number comes of it."""

import jax
import jax.numpy as jnp


def check_images(images: jax.Array, name: str) -> None:
    """Refuses anything but a floating-point batch (B, H, W, C).

    Integers have another range, and wrap around when subtracted.

    Args:
      images: the array that is checked.
      name: the array's name in the error message.
    """
    if jnp.ndim(images) != 4:
        raise ValueError(f"{name} must be (B, H, W, C), got shape {jnp.shape(images)}")
    dtype = jnp.result_type(images)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(
            f"{name} has dtype {dtype}; convert it to floating point in [0, 1]"
        )


def check_pair(output: jax.Array, target: jax.Array) -> None:
    """Refuses anything but two floating-point batches of one shape.

    Broadcasting would make a wrong number of it, silently.
    """
    if jnp.shape(output) != jnp.shape(target) or jnp.ndim(output) != 4:
        raise ValueError(
            "output and target must have one shape (B, H, W, C), "
            f"got {jnp.shape(output)} and {jnp.shape(target)}"
        )
    check_images(output, "output")
    check_images(target, "target")
