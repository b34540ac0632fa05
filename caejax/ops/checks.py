"""What losses and metrics refuse, before a wrong number comes of it."""

import jax
import jax.numpy as jnp

from caejax.errors import WrongValue


def check_images(images: jax.Array, name: str) -> None:
    """Refuses anything but a floating-point batch (B, H, W, C).

    Integers have another range, and wrap around when subtracted.

    Args:
      images: the array that is checked.
      name: the array's name in the error message.

    Raises:
      ValueError: it is another one; says what to do.
    """
    shape, dtype = jnp.shape(images), jnp.result_type(images)
    if len(shape) != 4:
        raise WrongValue(
            f"{name} must be (B, H, W, C), got shape {shape}{_axes_mend(shape, name)}"
        )
    if not jnp.issubdtype(dtype, jnp.floating):
        most = {"uint8": ": divide by 255", "uint16": ": divide by 65535"}
        raise WrongValue(
            f"{name} has dtype {dtype}; convert it to floating point in [0, 1]"
            f"{most.get(str(dtype), '')}"
        )


def _axes_mend(shape, name):
    """Which axes to add to a shape, if that is clear."""
    if len(shape) == 2:
        return f"; add axes, as in {name}[None, :, :, None]"
    if len(shape) == 3 and shape[-1] in (1, 3):
        return f"; add an axis, as in {name}[None]"
    if len(shape) == 3:
        return f"; add an axis, as in {name}[..., None]"
    return ""


def check_pair(output: jax.Array, target: jax.Array) -> None:
    """Refuses anything but two floating-point batches of one shape.

    Broadcasting would make a wrong number of it, silently.

    Raises:
      ValueError: they are others; says what to do.
    """
    if jnp.shape(output) != jnp.shape(target):
        raise WrongValue(
            "output and target must have one shape (B, H, W, C), "
            f"got {jnp.shape(output)} and {jnp.shape(target)}"
        )
    shape = jnp.shape(output)
    if len(shape) != 4:
        raise WrongValue(
            "output and target have one shape, and it must be (B, H, W, C), not "
            f"{shape}{_axes_mend(shape, 'output')}"
        )
    check_images(output, "output")
    check_images(target, "target")
