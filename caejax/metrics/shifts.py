"""Whether a model treats an image that is shifted as it treats the image."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from caejax.metrics.checkerboard import to_db
from caejax.metrics.phases import drop_border
from caejax.ops.checks import check_images

Restore = Callable[[jax.Array], jax.Array]


def shift_error_db(restore: Restore, images: jax.Array) -> jax.Array:
    """The output for an image shifted by one pixel against its shifted output, in dB.

    10 log10(E |f(T x) - T f(x)|^2), E over images, pixels, channels and two shifts T:
    by one pixel down, and by one to the right, where the first row or column is copied.
    A border of four pixels is left out. It is minus the PSNR between both outputs (the
    shift PSNR of AF-LDM, arXiv 2503.09419, for one pixel); -200 dBFS is a model that
    convolves, one of strides is not equivariant to shifts smaller than its stride
    (Zhang, Making Convolutional Networks Shift-Invariant Again, ICML 2019,
    arXiv 1904.11486).

    Invariances: to whatever a model does to all places alike, blur for instance.
    Failure modes: a model that makes every image constant has no error; where zero
    padding reaches further than the border that is left out, it is in the error.

    Args:
      restore: function from images (B, H, W, C) to images of that shape.
      images: what it is given, (B, H, W, C).

    Returns:
      The error in dB of full scale 1, a scalar, at least -200.
    """
    return to_db(shift_power(restore, images).mean())


def shift_power(restore: Restore, images: jax.Array) -> jax.Array:
    """The squared error of `shift_error_db`, a value an image: (B,)."""
    check_images(images, "images")
    shifted = [shift(images, axis) for axis in (1, 2)]
    output, *outputs = jnp.split(restore(jnp.concatenate([images, *shifted])), 3)
    errors = [
        drop_border((found - shift(output, axis)) ** 2).mean((1, 2, 3))
        for found, axis in zip(outputs, (1, 2), strict=True)
    ]
    return sum(errors) / len(errors)


def shift(images: jax.Array, axis: int) -> jax.Array:
    """Images (B, H, W, C) one pixel further on along an axis; the first is copied."""
    first = jax.lax.slice_in_dim(images, 0, 1, axis=axis)
    rest = jax.lax.slice_in_dim(images, 0, images.shape[axis] - 1, axis=axis)
    return jnp.concatenate([first, rest], axis)
