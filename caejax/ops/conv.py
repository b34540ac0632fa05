"""Stride-1 convolution with a gradient that stays fast on a CPU.

XLA:CPU runs forward convolutions well, but the gradient with respect to the
kernel is itself a convolution with batch and channels exchanged, for which it
has only a naive loop once the step is the body of a `lax.scan`. On CPU that
gradient is therefore written as matrix products of shifted images, as is a
convolution to few outputs; elsewhere JAX's own stay.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax

Padding = tuple[tuple[int, int], tuple[int, int]]

_LAYOUT = ("NHWC", "HWIO", "NHWC")

_FEW = 4  # outputs, as the last layer of a decoder has


def same_padding(kernel_shape: tuple[int, ...]) -> Padding:
    """Zeros that keep height and width; an even kernel takes one more at the end."""
    return tuple(((k - 1) // 2, k // 2) for k in kernel_shape[:2])


def conv(x: jax.Array, kernel: jax.Array, padding: Padding) -> jax.Array:
    """Correlates images with a kernel, stride 1 (what deep learning calls conv).

    Args:
      x: (B, H, W, C) images.
      kernel: (h, w, C, F).
      padding: zeros put ((above, below), (left, right)), not negative.

    Returns:
      (B, H', W', F) with H' = H + above + below - h + 1, likewise W'.
    """
    if jax.default_backend() != "cpu":
        return _conv(x, kernel, padding)
    sides = zip(kernel.shape[:2], padding, strict=True)
    if any(max(side) >= k for k, side in sides):
        # Outputs that see no image at all; the fast gradient leaves them out.
        x, padding = jnp.pad(x, ((0, 0), *padding, (0, 0))), ((0, 0), (0, 0))
    return _conv_cpu(x, kernel, padding)


def _conv(x, kernel, padding):
    return lax.conv_general_dilated(
        x, kernel, (1, 1), padding, dimension_numbers=_LAYOUT
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _conv_cpu(x, kernel, padding):
    if kernel.shape[:2] == (1, 1):
        return x @ kernel[0, 0]
    if kernel.shape[3] <= _FEW < kernel.shape[2]:
        return _conv_to_few(x, kernel, padding)
    return _conv(x, kernel, padding)


def _conv_to_few(x, kernel, padding):
    """Convolves to few outputs: a matrix product to all taps at once, then sums.

    A convolution's inner loop over outputs would stay short.
    """
    h, w = kernel.shape[:2]
    # Taps outermost, so that each is an image by itself.
    taps = jnp.einsum(
        "ijcf,bhwc->ijfbhw", kernel, x, preferred_element_type=jnp.float32
    )
    sides = zip(x.shape[1:3], padding, (h, w), strict=True)
    size = [n + sum(pad) - k + 1 for n, pad, k in sides]
    taps = jnp.pad(taps, ((0, 0),) * 4 + padding)
    y = sum(
        taps[i, j, :, :, i : i + size[0], j : j + size[1]]
        for i in range(h)
        for j in range(w)
    )
    return y.transpose(1, 2, 3, 0).astype(x.dtype)


def _forward(x, kernel, padding):
    return _conv_cpu(x, kernel, padding), (x, kernel)


def _backward(padding, residuals, grad):
    x, kernel = residuals
    return (
        _input_gradient(grad, kernel, padding),
        _kernel_gradient(x, grad, kernel.shape, padding),
    )


_conv_cpu.defvjp(_forward, _backward)


def _input_gradient(grad, kernel, padding):
    """A forward convolution of the output's gradient with the turned kernel."""
    turned = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
    return _conv_cpu(grad, turned, _full_padding(kernel.shape, padding))


def _full_padding(shape, padding):
    """Padding of a gradient that a kernel's turned copy slides over."""
    sides = zip(shape[:2], padding, strict=True)
    return tuple((k - 1 - lo, k - 1 - hi) for k, (lo, hi) in sides)


def _kernel_gradient(x, grad, shape, padding):
    """One matrix product a row of taps, over shifts of the thinner operand."""
    h, w, channels, features = shape
    if channels <= features:
        rows = _shifted_rows(x, padding, grad.shape[1:3], (h, w))
        # (B, H', W', w*C) against (B, H', W', F), summed over B, H', W'.
        return jnp.stack([_matmul_over_pixels(row, grad) for row in rows]).reshape(
            shape
        )
    full = _full_padding(shape, padding)
    if features <= _FEW:
        return _kernel_gradient_of_few(x, grad, shape, full)
    rows = _shifted_rows(grad, full, x.shape[1:3], (h, w))
    taps = jnp.stack([_matmul_over_pixels(x, row) for row in rows])
    # Shifting the gradient one way is shifting the image the other way.
    return jnp.flip(
        taps.reshape(h, channels, w, features).transpose(0, 2, 1, 3), (0, 1)
    )


def _kernel_gradient_of_few(x, grad, shape, padding):
    """One matrix product in all, of the image with all shifts of a thin gradient."""
    h, w, channels, features = shape
    height, width = x.shape[1:3]
    grad = jnp.pad(grad.transpose(3, 0, 1, 2), ((0, 0), (0, 0), *padding))
    shifts = jnp.stack(
        [
            grad[:, :, i : i + height, j : j + width]
            for i in reversed(range(h))
            for j in reversed(range(w))
        ]
    )
    taps = shifts.reshape(h * w * features, -1) @ x.reshape(-1, channels)
    return taps.reshape(h, w, features, channels).swapaxes(2, 3)


def _shifted_rows(images, padding, size, taps):
    """For every vertical shift, the horizontal shifts side by side in channels."""
    height, width = size
    padded = jnp.pad(images, ((0, 0), *padding, (0, 0)))
    columns = jnp.concatenate(
        [padded[:, :, j : j + width] for j in range(taps[1])], axis=-1
    )
    return [columns[:, i : i + height] for i in range(taps[0])]


def _matmul_over_pixels(a, b):
    """(B, H, W, C) and (B, H, W, F) to (C, F), summed over images and pixels."""
    a, b = a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1])
    if a.shape[1] <= b.shape[1]:
        return a.T @ b
    # Fastest with the longer side last; the barrier keeps XLA from turning it back.
    return jax.lax.optimization_barrier(b.T @ a).T
