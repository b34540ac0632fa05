"""Stride-1 convolution with a gradient that stays fast on a CPU.

XLA:CPU runs forward convolutions well, but the gradient with respect to the
kernel is itself a convolution with batch and channels exchanged, for which it
has only a naive loop once the step is the body of a `lax.scan`. On the path
"matmul" that gradient is therefore a matrix product of shifted images, as is a
convolution of few channels, and wide 3 x 3 layers take Winograd's form; on other paths
JAX's own stay. See `caejax.ops.paths`.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from caejax.ops import paths
from caejax.ops.winograd import winograd_conv

Padding = tuple[tuple[int, int], tuple[int, int]]

_LAYOUT = ("NHWC", "HWIO", "NHWC")

# A convolution's inner loops stay short up to so many outputs, or channels on
# either side.
_FEW, THIN = 4, 16

# Products outweigh the sums of `caejax.ops.winograd` from so many channels on both
# sides; measured, with 64 they are even.
_WIDE = 128


def same_padding(kernel_shape: tuple[int, ...]) -> Padding:
    """Zeros that keep height and width; an even kernel takes one more at the end."""
    return tuple(((k - 1) // 2, k // 2) for k in kernel_shape[:2])


def conv(x: jax.Array, kernel: jax.Array, padding: Padding) -> jax.Array:
    """Correlates images with a kernel, stride 1 (what deep learning calls conv).

    Args:
      x: images (B, H, W, C).
      kernel: the kernel, (h, w, C, F).
      padding: numbers of zeros ((above, below), (left, right)), not negative.

    Returns:
      Images (B, H', W', F) with H' = H + above + below - h + 1, likewise W'.
    """
    if paths.chosen() != "matmul":
        return lax_conv(*_within(x, kernel, padding))
    if x.dtype == jnp.float32 and _takes_winograd(kernel.shape):
        return winograd_conv(x, kernel, padding)
    sides = zip(kernel.shape[:2], padding, strict=True)
    if any(max(side) >= k for k, side in sides):
        # Outputs that see no image at all; the fast gradient leaves them out.
        x, padding = jnp.pad(x, ((0, 0), *padding, (0, 0))), ((0, 0), (0, 0))
    return _conv_matmul(x, kernel, padding)


def _takes_winograd(shape):
    return shape[:2] == (3, 3) and min(shape[2:]) >= _WIDE


def _within(x, kernel, padding):
    """The same convolution with an output that is not larger than what it reads.

    Else XLA exchanges the operands of the kernel's gradient, and no longer knows it for
    one: on an H200 two of them, done as convolutions with kernels of 7 and 14 pixels,
    took 84 of 715 microseconds of a step (experiments/speed/gpu/kernels.csv).
    """
    if all(sum(side) < k for k, side in zip(kernel.shape[:2], padding, strict=True)):
        return x, kernel, padding
    padded = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    return lax.optimization_barrier(padded), kernel, ((0, 0), (0, 0))


def lax_conv(
    x: jax.Array, kernel: jax.Array, padding: Padding | str, stride: int = 1
) -> jax.Array:
    """As `conv`, by JAX's own convolution, at every stride-th pixel.

    Padding may be a name that JAX knows, too.
    """
    return lax.conv_general_dilated(
        x, kernel, (stride, stride), padding, dimension_numbers=_LAYOUT
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _conv_matmul(x, kernel, padding):
    h, w, channels, features = kernel.shape
    if (h, w) == (1, 1):
        return x @ kernel[0, 0]
    if features <= _FEW or max(channels, features) <= THIN:
        return _conv_by_matmul(x, kernel, padding)
    return lax_conv(x, kernel, padding)


def _conv_by_matmul(x, kernel, padding):
    """One matrix product, shifts on that side of it where they move the least."""
    h, w, channels, features = kernel.shape
    height, width = _output_size(x, kernel.shape, padding)
    # Numbers moved per pixel: what is read into the product plus what it writes.
    traffic = {
        _shifts_before: h * w * channels + features,
        _shifts_around: w * channels + h * features,
        _shifts_after: channels + h * w * features,
    }
    y = min(traffic, key=traffic.get)(x, kernel, padding, height, width)
    return y.astype(x.dtype)


def _output_size(x, shape, padding):
    sides = zip(x.shape[1:3], padding, shape[:2], strict=True)
    return [n + sum(pad) - k + 1 for n, pad, k in sides]


def _shifts_before(x, kernel, padding, height, width):
    columns = _columns(x, padding, kernel.shape[:2], height, width)
    y = _product(columns.T, kernel.reshape(-1, kernel.shape[3]))
    return y.reshape(len(x), height, width, -1)


def _shifts_around(x, kernel, padding, height, width):
    """Horizontal shifts before the product, vertical ones after it."""
    h, w, channels, features = kernel.shape
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    x = jnp.concatenate([x[:, :, j : j + width] for j in range(w)], axis=-1)
    kernel = kernel.transpose(1, 2, 0, 3).reshape(w * channels, h * features)
    y = _product(x, kernel).reshape(*x.shape[:3], h, features)
    return sum(y[:, i : i + height, :, i] for i in range(h))


def _shifts_after(x, kernel, padding, height, width):
    h, w, channels, features = kernel.shape
    kernel = kernel.transpose(2, 0, 1, 3).reshape(channels, -1)
    y = _product(x, kernel).reshape(*x.shape[:3], h, w, features)
    y = jnp.pad(y, ((0, 0), *padding, (0, 0), (0, 0), (0, 0)))
    return sum(
        y[:, i : i + height, j : j + width, i, j] for i in range(h) for j in range(w)
    )


def _product(a, b):
    return jnp.matmul(a, b, preferred_element_type=jnp.float32)


def _forward(x, kernel, padding):
    return _conv_matmul(x, kernel, padding), (x, kernel)


def _backward(padding, residuals, grad):
    x, kernel = residuals
    return (
        _input_gradient(grad, kernel, padding),
        _kernel_gradient(x, grad, kernel.shape, padding),
    )


_conv_matmul.defvjp(_forward, _backward)


def _input_gradient(grad, kernel, padding):
    """A forward convolution of the output's gradient with the turned kernel."""
    turned = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
    return _conv_matmul(grad, turned, _full_padding(kernel.shape, padding))


def _full_padding(shape, padding):
    """Padding of a gradient that a kernel's turned copy slides over."""
    sides = zip(shape[:2], padding, strict=True)
    return tuple((k - 1 - lo, k - 1 - hi) for k, (lo, hi) in sides)


def _kernel_gradient(x, grad, shape, padding):
    """One matrix product, with all shifts of the thinner operand."""
    h, w, channels, features = shape
    if channels <= features:
        columns = _columns(x, padding, (h, w), *grad.shape[1:3])
        return (columns @ grad.reshape(-1, features)).reshape(shape)
    full = _full_padding(shape, padding)
    columns = _columns(grad, full, (h, w), *x.shape[1:3])
    taps = (columns @ x.reshape(-1, channels)).reshape(h, w, features, channels)
    # Shifting the gradient one way is shifting the image the other way.
    return jnp.flip(taps, (0, 1)).swapaxes(2, 3)


def _columns(images, padding, taps, height, width):
    """(B, H, W, C) to (h*w*C, B*H'*W'): the pixels that each tap of a kernel meets."""
    padded = jnp.pad(images.transpose(3, 0, 1, 2), ((0, 0), (0, 0), *padding))
    shifts = [
        padded[:, :, i : i + height, j : j + width]
        for i in range(taps[0])
        for j in range(taps[1])
    ]
    return jnp.stack(shifts).reshape(len(shifts) * images.shape[3], -1)
