"""Upsampling layers of any stride, of signals, images and volumes.

The kinds of `caejax.models.kinds` as the stock layers are: transposed convolutions,
resizes and convolutions, convolutions and shuffles. What doubles images takes faster
ways, which are in `caejax.models.upsampling`.
"""

import jax
import jax.numpy as jnp

from caejax.models.kinds import CONTENT, RESIZES, Kind, find_kind, valid_growth
from caejax.ops.equal import equal_moves

_LETTERS = "DHW"  # of up to three spatial axes


def adapted(name: str, dims: int, stride: int) -> Kind:
    """A kind with the phases of a stride.

    Args:
      name: of the kind.
      dims: the number of spatial axes.
      stride: of each of them.

    Raises:
      ValueError: the kind has no such form: content-aware resizes are of images and of
        stride 2, the filter of deconv_k3_fir is one of stride 2, a projected kernel
        needs a tap in each phase, and there are one to three axes.
    """
    kind = find_kind(name)
    if not 1 <= dims <= 3 or stride < 2:
        raise ValueError(
            f"{name} enlarges one to three axes by 2 and more, not {dims} by {stride}"
        )
    if kind.run in CONTENT:
        raise ValueError(f"{name} is defined for images and a stride of 2 alone")
    if kind.run == "blur" and stride != 2:
        raise ValueError(
            f"the fixed filter of {name} is one for a stride of 2, not {stride}"
        )
    if kind.projected and kind.transposed and kind.kernel_size < stride:
        raise ValueError(
            f"{name} has {kind.kernel_size} taps an axis, which leaves phases of a "
            f"stride of {stride} without any"
        )
    if kind.transposed:
        return kind._replace(variance=stride**dims)
    return kind._replace(phases=stride**dims) if kind.phases > 1 else kind


def kernel_shape(
    kind: Kind, dims: int, channels: int, features: int
) -> tuple[int, ...]:
    """Shape of the kernel parameter of an adapted kind from C to F channels."""
    sums = -(-channels // kind.group)
    return (*(kind.kernel_size,) * dims, sums, kind.phases * features)


def apply(
    x: jax.Array, kernel: jax.Array, kind: Kind, stride: int, *, valid: bool = False
) -> jax.Array:
    """Enlarges arrays with an adapted kind's kernel.

    Args:
      x: arrays (B, n1, ..., nd, C).
      kernel: float32 kernel parameter, shaped as `kernel_shape` says.
      kind: as `adapted` gives it.
      stride: the stride s of each axis.
      valid: whether padding is VALID instead of SAME.

    Returns:
      Arrays (B, s n1, ..., s nd, F); with VALID as the stock layer.

    Raises:
      ValueError: VALID padding of a kind without such a stock layer.
    """
    if valid and valid_growth(kind) is None:
        raise ValueError("this kind has no form with VALID padding")
    dims = x.ndim - 2
    padding = "VALID" if valid else "SAME"
    if kind.projected:
        kernel = _tied(kernel, kind, dims, stride)
    if kind.run == "blur":
        y = _transposed(x, kernel, stride, "VALID")
        return _blurred(y, kind.fixed, [(1, 1)] * dims)
    if kind.transposed:
        return _transposed(x, kernel, stride, padding)
    if kind.phases > 1:
        y = _to_space(_convolved(x, kernel, padding), stride)
        if kind.run != "average":
            return y
        around = [(stride // 2, stride - 1 - stride // 2)] * dims
        return _blurred(y, (1 / stride,) * stride, around, mode="edge")
    x = _summed(x, kind.group)
    shape = (x.shape[0], *(stride * n for n in x.shape[1:-1]), x.shape[-1])
    method = kind.run if kind.run in RESIZES else "nearest"
    return _convolved(jax.image.resize(x, shape, method), kernel, padding)


def _layout(dims):
    axes = _LETTERS[-dims:]
    return f"N{axes}C", f"{axes}IO", f"N{axes}C"


def _transposed(x, kernel, stride, padding):
    dims = x.ndim - 2
    return jax.lax.conv_transpose(
        x,
        kernel.astype(x.dtype),
        (stride,) * dims,
        padding,
        dimension_numbers=_layout(dims),
    )


def _convolved(x, kernel, padding):
    dims = x.ndim - 2
    return jax.lax.conv_general_dilated(
        x, kernel.astype(x.dtype), (1,) * dims, padding, dimension_numbers=_layout(dims)
    )


def _to_space(x, stride):
    """(B, n1, ..., s^d F) to (B, s n1, ..., F), phases outermost in the channels."""
    batch, *sides, depth = x.shape
    dims = len(sides)
    x = x.reshape(batch, *sides, *(stride,) * dims, depth // stride**dims)
    order = [axis for n in range(dims) for axis in (1 + n, 1 + dims + n)]
    x = x.transpose(0, *order, 2 * dims + 1)
    return x.reshape(batch, *(stride * n for n in sides), -1)


def _summed(x, group):
    """Sums of consecutive channels."""
    if group == 1:
        return x
    x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, -x.shape[-1] % group)])
    return x.reshape(*x.shape[:-1], -1, group).sum(-1)


def _blurred(y, taps, around, mode="constant"):
    """Filters every channel with the taps along each axis where they fit."""
    y = jnp.pad(y, [(0, 0), *around, (0, 0)], mode=mode)
    for axis in range(1, y.ndim - 1):
        size = y.shape[axis] - len(taps) + 1
        y = sum(
            tap * jax.lax.slice_in_dim(y, i, i + size, axis=axis)
            for i, tap in enumerate(taps)
        )
    return y


def _tied(kernel, kind, dims, stride):
    """The nearest kernel whose phases have one gain; see `equal_moves`."""
    gains, counts, axes = _gains(kernel, kind, dims, stride)
    return _moved(kernel, equal_moves(gains, counts, axes), kind, dims, stride)


def one_gain(kernel: jax.Array, kind: Kind, dims: int, stride: int) -> jax.Array:
    """The projected kernel, but with the gain of its first phase instead of the mean.

    As `caejax.models.upsampling.initial_kernel` has it for images and strides of 2.
    """
    gains, counts, axes = _gains(kernel, kind, dims, stride)
    first = jax.lax.slice_in_dim(gains, 0, 1, axis=axes[0])
    for axis in axes[1:]:
        first = jax.lax.slice_in_dim(first, 0, 1, axis=axis)
    return _moved(kernel, (first - gains) / counts, kind, dims, stride)


def _gains(kernel, kind, dims, stride):
    """Sums over the taps of each phase, their numbers, and the axes of phases."""
    if kind.phases > 1:
        parts = _parts(kernel, kind)
        counts = jnp.full((1, 1, kind.phases, 1), float(len(parts)))
        return parts.sum(0, keepdims=True), counts, (2,)
    taps = jnp.ones((*kernel.shape[:dims], 1, 1))
    axes = tuple(range(dims))
    return _phase_sums(kernel, dims, stride), _phase_sums(taps, dims, stride), axes


def _moved(kernel, moves, kind, dims, stride):
    """The kernel with each tap moved as its phase is to be."""
    if kind.phases > 1:
        return (_parts(kernel, kind) + moves).reshape(kernel.shape)
    repeats = -(-kernel.shape[0] // stride)
    moves = jnp.tile(moves, (*(repeats,) * dims, 1, 1))
    return kernel + moves[tuple(slice(n) for n in kernel.shape[:dims])]


def _parts(kernel, kind):
    """A shuffle's kernel as (taps, C, phases, F)."""
    *_, channels, depth = kernel.shape
    return kernel.reshape(-1, channels, kind.phases, depth // kind.phases)


def _phase_sums(kernel, dims, stride):
    """(s, ..., C, F) of (k, ..., C, F)."""
    fill = -kernel.shape[0] % stride
    kernel = jnp.pad(kernel, [(0, fill)] * dims + [(0, 0)] * 2)
    count = kernel.shape[0] // stride
    kernel = kernel.reshape(*(count, stride) * dims, *kernel.shape[-2:])
    return kernel.sum(tuple(range(0, 2 * dims, 2)))
