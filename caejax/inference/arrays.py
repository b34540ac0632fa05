"""Images and codes as users hold them, made into what a model takes."""

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from caejax.errors import CaejaxError
from caejax.ops import foreign

# A noisy image in [0, 1] leaves that by the noise; what leaves this is something else.
_NOISY = (-4.0, 5.0)
_ROUNDING = 1e-6
_FULL_SCALE = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}
_PIL_MODES = ("1", "L", "RGB", "I;16")
# How so many channels become grey; the last of 2 and of 4 is transparency.
_GREY = {
    2: "leave the transparency out, images[..., 0]",
    3: "take their mean, images.mean(-1)",
    4: "take the mean of the colours, images[..., :3].mean(-1)",
}


class Array(Protocol):
    """An array of NumPy, JAX or PyTorch, or whatever turns itself into NumPy's."""

    def __array__(self) -> NDArray[Any]:
        """The array as NumPy's."""


class Batch(NamedTuple):
    """Images as a model takes them.

    Attributes:
      images: (N, H, W, C) float32 in [0, 1].
      shape: The shape that they were given in, for what is made of them.
      alone: Whether they were given as one image, without an axis of images.
    """

    images: NDArray[np.float32]
    shape: tuple[int, ...]
    alone: bool


def as_batch(
    array: Array,
    channels: int,
    *,
    noisy: bool = False,
    clip: bool = True,
    one: bool = False,
    name: str = "images",
    takes: str = "",
) -> Batch:
    """Reads an array of images, or refuses it.

    Of three axes the last one is taken for channels if it is as long as the model
    has channels; otherwise, for a grey model, the first one counts images.

    Args:
      array: (H, W), (H, W, C), (N, H, W) or (N, H, W, C), without C for one channel
        only. uint8 in 0..255, uint16 in 0..65535, bool, or floats in [0, 1].
      channels: Of the model's images, C.
      noisy: Floats may lie beyond [0, 1], as noise takes them.
      clip: Whether they are then clipped, for models that have seen no others.
      one: It must be a single image.
      name: What the array is called in errors.
      takes: Who takes which images, in errors, if that is not a model of so many
        channels.

    Raises:
      CaejaxError: An array of another kind, shape, data type or range.
    """
    values = as_numpy(array, name)
    if channels == 1 and not one and foreign.is_tensor(array):
        _check_order(values.shape, name)
    shape, alone = _layout(values.shape, channels, one, name, takes)
    if not values.size:
        raise CaejaxError(f"{name} of shape {values.shape} are empty; leave them out")
    images = unit_interval(values, noisy, clip, name).reshape(shape)
    return Batch(images, values.shape, alone)


def as_numpy(array: Array, name: str) -> NDArray[Any]:
    """Any library's array as NumPy's; as `caejax.ops.foreign.as_numpy`, and of images.

    Args:
      array: PyTorch's may need gradients and lie on any device.
      name: What the array is called in errors.

    Raises:
      CaejaxError: It is no array, or a picture with a palette.
    """
    mode = getattr(array, "mode", "")
    if "PIL" in foreign.libraries(array) and mode not in _PIL_MODES:
        raise CaejaxError(
            f"{name}: a PIL image of mode {mode!r} is not taken; use its convert('L') "
            "or convert('RGB')"
        )
    if isinstance(array, str) or hasattr(array, "__fspath__"):
        raise CaejaxError(
            f"{name}: {type(array).__name__} is no array; read the file first, by "
            "PIL.Image.open for instance, or use the command caejax with it"
        )
    return foreign.as_numpy(array, name)


def _layout(shape, channels, one, name, takes):
    """Images of a shape as (N, H, W, C), and whether they are a single one."""
    last = shape[-1] if shape else 0
    if len(shape) == 2 and channels == 1:
        return (1, *shape, 1), True
    if len(shape) == 3 and last == channels:
        return (1, *shape), True
    # As wide as that are channels, not images.
    if len(shape) == 3 and channels == 1 and last > 4 and not one:
        return (*shape, 1), False
    if len(shape) == 4 and last == channels and not one:
        return shape, False
    mend = _shape_mend(shape, channels, one, takes)
    raise CaejaxError(f"{name} of shape {shape}: {mend}")


def _check_order(shape, name):
    """Refuses a tensor of PyTorch that is one colour image, or else three grey ones."""
    if len(shape) == 3 and shape[0] == 3 and shape[-1] > 4:
        raise CaejaxError(
            f"{name} of shape {shape} may be one image in colour or three grey ones: "
            "use images.permute(1, 2, 0) for the one, images[..., None] for the others"
        )


def _shape_mend(shape, channels, one, takes):
    """What is wrong with a shape, and what to do about it."""
    kind = {1: "grey images", 3: "colour images"}.get(channels)
    wanted = "C" if takes else channels
    takes = takes or f"the model takes {kind or f'images of {channels} channels'}"
    if one and len(shape) not in (2, 3):
        return f"give a single image, (H, W) or (H, W, {channels})"
    if len(shape) not in (2, 3, 4):
        return "give (H, W), (H, W, C), (N, H, W) or (N, H, W, C)"
    if len(shape) == 2:
        return f"{takes}; give (H, W, {channels})"
    first, last = shape[-3], shape[-1]
    if first in (1, 3, 4, channels) and last > 4:
        new, axis = ("1, 2, 0", 0) if len(shape) == 3 else ("0, 2, 3, 1", 1)
        other = f"; {takes}" if wanted not in ("C", first) else ""
        return (
            "channels come first, as PyTorch has them, and must come last; use "
            f"images.permute({new}) or np.moveaxis(images, {axis}, -1){other}"
        )
    if channels == 1 and last <= 4:
        return (
            f"{takes}, not {last} channels; {_GREY.get(last, _GREY[3])}, or, if they "
            "are pixels, add an axis, images[..., None]"
        )
    if last == 1:
        return f"{takes}; repeat the grey, np.repeat(images, {channels}, axis=-1)"
    if last == channels + 1:
        return f"{takes}; leave the transparency out, images[..., :{channels}]"
    many = "" if one else f" or (N, H, W, {wanted})"
    return f"{takes}; give (H, W, {wanted}){many}, channels last"


def _is_float(dtype):
    # bfloat16 is none of NumPy's own.
    return np.issubdtype(dtype, np.floating) or dtype.name.startswith("bfloat")


def unit_interval(
    values: NDArray[Any], noisy: bool, clip: bool, name: str
) -> NDArray[np.float32]:
    """Values as float32 in [0, 1], or around it where noise is not clipped.

    Args:
      values: An array of NumPy.
      noisy: As for `as_batch`.
      clip: As there.
      name: What they are called in errors.

    Raises:
      CaejaxError: Values of another kind or range.
    """
    if values.dtype == bool:
        return values.astype(np.float32)
    scale = _FULL_SCALE.get(values.dtype.newbyteorder("="))
    if scale:
        return values.astype(np.float32) / scale
    if not _is_float(values.dtype):
        raise CaejaxError(
            f"{name} are of type {values.dtype}; give uint8 in 0..255 (as by "
            "images.astype('uint8')), uint16 in 0..65535, or floats in [0, 1]"
        )
    floats = values if values.dtype == np.float64 else values.astype(np.float32)
    check_finite(floats, name)
    low, high = float(floats.min()), float(floats.max())
    least, most = _NOISY if noisy else (-_ROUNDING, 1 + _ROUNDING)
    if low < least or high > most or (noisy and floats.mean() < -0.2):
        raise CaejaxError(
            f"{name} have values from {low:.6g} to {high:.6g}, and floats must lie in "
            f"[0, 1]{' but for noise' * noisy}; {_range_mend(low, high)}"
        )
    if clip or not noisy:
        floats = floats.clip(0, 1)
    return floats.astype(np.float32)


def _range_mend(low, high):
    if high > 5:
        return f"divide by {255 if high < 1024 else 65535}"
    if low >= -1.01 and low < -0.1 and high <= 1.01:
        return "if theirs is [-1, 1], take (images + 1) / 2"
    return "undo their normalisation, or clip them"


def check_finite(values: NDArray[Any], name: str) -> None:
    """Refuses what is not a number, and infinities.

    Args:
      values: Floats of any shape.
      name: What they are called in the error.

    Raises:
      CaejaxError: There are such values.
    """
    bad = values.size - int(np.isfinite(values).sum())
    if bad:
        raise CaejaxError(
            f"{name} hold {bad} values that are NaN or infinite; replace them first"
        )


def as_codes(
    array: Array, code_shape: tuple[int, ...], name: str = "codes"
) -> NDArray[np.float32]:
    """Reads an array of codes, or refuses it.

    Args:
      array: (..., *code_shape), numbers.
      code_shape: The shape of the model's codes.
      name: What the array is called in errors.

    Returns:
      The same as float32.

    Raises:
      CaejaxError: An array of another kind or shape, or values that are not finite.
    """
    values = as_numpy(array, name)
    if values.shape[values.ndim - len(code_shape) :] != code_shape or not values.size:
        wanted = ", ".join(map(str, code_shape))
        raise CaejaxError(
            f"{name} of shape {values.shape}: the model's are ({wanted}), or many of "
            f"these, (N, {wanted})"
        )
    if not (_is_float(values.dtype) or values.dtype.kind in "biu"):
        raise CaejaxError(f"{name} are of type {values.dtype}; give floats")
    codes = values.astype(np.float32)
    check_finite(codes, name)
    return codes
