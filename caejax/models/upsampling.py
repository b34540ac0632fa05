"""Upsampling layers by name: how they are run and initialised.

What the kinds are, `caejax.models.kinds` says.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from caejax.models import any_stride, content
from caejax.models.kinds import (
    BOX,
    CONTENT,
    RESIZES,
    STRIDE,
    UPSAMPLING,
    Kind,
    find_kind,
    guide_shapes,
    kernel_shape,
    layer_filter,
    painted_filter,
    used_kernel,
    valid_growth,
)
from caejax.models.layers import (
    INITIALIZERS,
    LIBRARY_DEFAULTS,
    add_bias,
    initial_bias,
)
from caejax.ops import paths
from caejax.ops.conv import THIN, conv, same_padding
from caejax.ops.polyphase import depth_to_space, smooth, upsample
from caejax.ops.smooth import enlarge_and_convolve, enlarging_matrix

__all__ = ["STRIDE", "UPSAMPLING", "Kind", "Upsample", "apply_kind", "layer_filter"]

_AROUND = ((0, 0), (1, 1), (1, 1), (0, 0))


class Upsample(nn.Module):
    """Enlarges images, by default twice: (B, H, W, C) to (B, 2H, 2W, features).

    Parameters have the names and shapes of the stock layer: kernel
    (k, k, C, features) as in `nn.ConvTranspose` (SAME, stride 2) or `nn.Conv`
    (SAME, after `jax.image.resize`), (3, 3, C, 4 features) before a shuffle, phase
    outermost; bias (features,), one for all phases. With equal parameters the
    output is that of the stock layers, borders included; projected kernels' is that of
    stock layers with the projected kernel. Kinds of `CONTENT` have a kernel and a bias
    more for each of `guide_shapes`.

    Signals (B, n, C) and volumes (B, n1, n2, n3, C), and strides other than 2, are
    enlarged by `caejax.models.any_stride`: kernels are (k, ..., C, features), and of
    shuffles have stride ** d phases. Not all kinds have such a form.

    Attributes:
      features: number of output channels.
      kind: a name of `UPSAMPLING`.
      initializer: a name of `caejax.models.layers.INITIALIZERS`, with the kind's
        `variance`, so that every kind keeps the signal's variance alike; the
        defaults of libraries go without.
      dtype: the computation's type; parameters stay float32.
      valid: whether padding is VALID instead of SAME, for kinds with a `valid_growth`.
      stride: by how much each axis is enlarged.
    """

    features: int
    kind: str
    initializer: str = "he_normal"
    dtype: jnp.dtype = jnp.float32
    valid: bool = False
    stride: int = STRIDE

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, C) to (B, 2H, 2W, features), VALID to `valid_growth` more.

        Raises:
          ValueError: a kind that has no form of that stride or dimension.
        """
        kind, dims = find_kind(self.kind), x.ndim - 2
        general = (dims, self.stride) != (2, STRIDE)
        if general:
            kind = any_stride.adapted(self.kind, dims, self.stride)
            shape = any_stride.kernel_shape(kind, dims, x.shape[-1], self.features)
        else:
            shape = kernel_shape(kind, x.shape[-1], self.features)
        kernel = self.param(
            "kernel", initial_kernel, shape, kind, self.initializer, self.stride
        )
        fan_in = _torch_fan_in(shape, kind)
        bias = self.param(
            "bias", initial_bias, (self.features,), self.initializer, fan_in
        )
        if general:
            x = x.astype(self.dtype)
            y = any_stride.apply(x, kernel, kind, self.stride, valid=self.valid)
            return add_bias(y, bias)
        guides = {
            name: self.param(name, content.initial_guide, name, guide)
            for name, guide in guide_shapes(kind, x.shape[-1]).items()
        }
        x = x.astype(self.dtype)
        y = apply_kind(x, kernel, kind, guides=guides, valid=self.valid)
        return add_bias(y, bias)


def initial_kernel(
    key: jax.Array,
    shape: tuple[int, ...],
    kind: Kind,
    initializer: str,
    stride: int = STRIDE,
) -> jax.Array:
    """Draws a kernel parameter.

    Args:
      key: the random key.
      shape: the kernel's shape, as `kernel_shape` gives it.
      kind: the layer's kind.
      initializer: a name of `caejax.models.layers.INITIALIZERS`.
      stride: of the layer.

    Returns:
      The kernel, float32, of that shape.
    """
    copies = kind.phases if kind.tied else 1
    one = (*shape[:-1], shape[-1] // copies)
    kernel = jnp.tile(INITIALIZERS[initializer](key, one), copies)
    if kind.projected:
        images_twice = (len(shape), stride) == (4, STRIDE)
        kernel = (
            _one_gain(kernel, kind)
            if images_twice
            else any_stride.one_gain(kernel, kind, len(shape) - 2, stride)
        )
    if initializer == "torch_default":
        fan_in = math.prod(shape[:-1])
        return kernel * (fan_in / _torch_fan_in(shape, kind)) ** 0.5
    if initializer in LIBRARY_DEFAULTS:
        return kernel
    return kernel * kind.variance**0.5


def _one_gain(kernel, kind):
    """The projected kernel, but with the gain of its first phase instead of the mean.

    The mean of four gains has half their standard deviation. With one of them, the
    variances behind constants and behind white noise are those without projection.
    """
    tied = used_kernel(kernel, kind)
    first = painted_filter(kernel, kind)[::STRIDE, ::STRIDE]
    first = jnp.tile(first.mean((0, 1), keepdims=True), kind.phases)
    return tied + first - tied.mean((0, 1), keepdims=True)


def _torch_fan_in(shape, kind):
    """PyTorch takes the outputs of a transposed convolution for its inputs."""
    *taps, channels, features = shape
    return math.prod(taps) * (features if kind.transposed else channels)


def apply_kind(
    x: jax.Array,
    kernel: jax.Array,
    kind: Kind,
    *,
    guides: dict[str, content.Guide] | None = None,
    valid: bool = False,
) -> jax.Array:
    """Upsamples images with a kind's kernel.

    Args:
      x: images (B, H, W, C).
      kernel: float32 kernel parameter, shaped as `kernel_shape` says.
      kind: the layer's kind.
      guides: what a kind of `CONTENT` makes its weights with, by the names of
        `guide_shapes`.
      valid: whether padding is VALID instead of SAME; the kind must then have a
        `valid_growth`.

    Returns:
      Images (B, 2H, 2W, F); with VALID, `valid_growth` pixels more a side.
    """
    kernel = used_kernel(kernel, kind)
    if kind.run in CONTENT:
        x = content.resize(x, kind, guides)
    if not valid:
        return _apply_same(x, kernel, kind)
    growth = valid_growth(kind)
    if growth < 0:
        # SAME and VALID differ in the pixels that see the border, and only there.
        border = -growth // 2
        return _apply_same(x, kernel, kind)[:, border:-border, border:-border]
    return _transposed_valid(x, kernel, kind)


def _apply_same(x, kernel, kind):
    if kind.run in CONTENT:
        return _convolve(x, kernel)
    x = _sum_groups(x, kind.group)
    if paths.chosen() == "matmul" and _half_pays(kind, *kernel.shape):
        return _smoothly(x, kernel.astype(x.dtype), kind)
    stock = paths.chosen() == "stock"
    if kind.run in RESIZES or (stock and kind.fixed == BOX):
        # As one filter, smooth resizes would need a border of their own, and the
        # cubic thrice the multiplications.
        return _resize_and_convolve(x, kernel, kind)
    if kind.run == "blur":
        y = jnp.pad(_transposed_valid(x, kernel, kind), _AROUND)
        return _filter(y, kind.fixed)
    if stock:
        y = _paint_stock(x, kernel, kind, "SAME")
    else:
        # An average comes behind; a resize is part of the filter, which is rounded
        # only once made, so that all phases keep nearly the same gain.
        h = painted_filter(kernel, kind)
        h = smooth(h, kind.fixed) if kind.run == "filter" else h
        y = upsample(x, h.astype(x.dtype), origin=kind.origin)
    if kind.run == "filter":
        return y
    y = jnp.pad(y, ((0, 0), (1, 0), (1, 0), (0, 0)), mode="edge")
    return _filter(y, kind.fixed)


def _half_pays(kind, height, width, channels, features):
    """Whether `caejax.ops.smooth`, for kernels of 3x3, saves more than it adds."""
    if (height, width) != (3, 3):
        return False
    least = {"linear": 32, "cubic": 64, "blur": THIN + 1}.get(kind.run)
    return least is not None and min(channels, features) >= least


def _smoothly(x, kernel, kind):
    resize = kind.run in RESIZES
    matrices = (
        enlarging_matrix(size, kind.fixed, resize=resize) for size in x.shape[1:3]
    )
    return enlarge_and_convolve(x, kernel, *matrices)


def _resize_and_convolve(x, kernel, kind):
    batch, height, width, channels = x.shape
    shape = (batch, STRIDE * height, STRIDE * width, channels)
    method = kind.run if kind.run in RESIZES else "nearest"
    return _convolve(jax.image.resize(x, shape, method), kernel)


def _convolve(x, kernel):
    return conv(x, kernel.astype(x.dtype), same_padding(kernel.shape))


def _transposed_valid(x, kernel, kind):
    """All that a transposed convolution paints: 2H + k - 2 pixels a side."""
    if paths.chosen() == "stock":
        return _paint_stock(x, kernel, kind, "VALID")
    growth = kind.kernel_size - STRIDE
    height, width = (STRIDE * side + growth for side in x.shape[1:3])
    extra = -(-growth // STRIDE)
    x = jnp.pad(x, ((0, 0), (0, extra), (0, extra), (0, 0)))
    h = painted_filter(kernel, kind).astype(x.dtype)
    return upsample(x, h, origin=0)[:, :height, :width]


def _paint_stock(x, kernel, kind, padding):
    """Flax's transposed convolution, or convolution and depth-to-space."""
    if kind.transposed:
        kernel = kernel.astype(x.dtype)
        strides = (STRIDE, STRIDE)
        layout = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_transpose(
            x, kernel, strides, padding, dimension_numbers=layout
        )
    return depth_to_space(_convolve(x, kernel), STRIDE)


def _sum_groups(x: jax.Array, group: int) -> jax.Array:
    """(B, H, W, C) to (B, H, W, ceil(C / group)): sums of consecutive channels."""
    if group == 1:
        return x
    x = jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, -x.shape[-1] % group)))
    return x.reshape(*x.shape[:-1], -1, group).sum(-1)


def _filter(y, taps):
    """Filters every channel with symmetric taps along both axes where they fit."""
    for axis in (1, 2):
        size = y.shape[axis] - len(taps) + 1
        y = sum(
            tap * jax.lax.slice_in_dim(y, i, i + size, axis=axis)
            for i, tap in enumerate(taps)
        )
    return y
