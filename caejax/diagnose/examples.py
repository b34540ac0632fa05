"""Images, or arrays, of the user's as inputs of a model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from caejax.data.listing import list_pictures
from caejax.data.pictures import read_image
from caejax.errors import CaejaxError

LIMIT = 64  # images are read of a folder
_WHOLE = 32  # sizes that are left open are cut to multiples of this where they can be


def find(folder: Path, what: str = "--images") -> list[Path]:
    """The images and .npy files of a folder, or the one file, at most `LIMIT`.

    Raises:
      CaejaxError: there is none.
    """
    if not folder.exists():
        raise CaejaxError(f"{what} is {folder}, and there is no such file or folder")
    if folder.is_file():
        return [folder]
    paths = [*list_pictures(folder).paths, *sorted(folder.rglob("*.npy"))]
    if not paths:
        raise CaejaxError(f"{what} is {folder}, which holds neither images nor .npy")
    return paths[:LIMIT]


def read(
    path: Path, shape: Sequence[int | None], kind: DTypeLike = np.float32
) -> np.ndarray:
    """An image as an input, its middle where it is larger.

    Args:
      path: of an image, or of a .npy file of (C, n1, ..., nd), as features that are no
        images.
      shape: (C, n1, ..., nd), None for an axis that takes any size.
      kind: of the numbers that the model takes.

    Returns:
      (1, C, n1, ..., nd) of that kind, of images in [0, 1], or 0 to 255 in whole
      numbers.

    Raises:
      CaejaxError: it cannot be read, has other axes, or is too small.
    """
    channels, *sides = shape
    if path.suffix == ".npy":
        values = _array(path, len(shape), channels)
    elif len(sides) != 2 or channels not in (1, 3, None):
        raise CaejaxError(
            f"the model takes {channels} channels and {len(sides)} axes, which no "
            "image has; name a folder of .npy files of (C, n1, ..., nd)"
        )
    else:
        image = read_image(path, channels or 3, name=str(path))
        values = np.moveaxis(image, -1, 0)
        if np.issubdtype(kind, np.integer):
            values = np.rint(255 * values)
    cut = [slice(None)]
    for count, side in zip(values.shape[1:], sides, strict=True):
        wanted = side or max(count // _WHOLE * _WHOLE, min(count, _WHOLE))
        if count < wanted:
            raise CaejaxError(
                f"{path} is {'x'.join(map(str, values.shape[1:]))}, and the model "
                f"takes {'x'.join(str(x or 'any') for x in sides)}; give larger images"
            )
        start = (count - wanted) // 2
        cut.append(slice(start, start + wanted))
    return np.ascontiguousarray(values[tuple(cut)][None], kind)


def _array(path, axes, channels):
    try:
        values = np.load(path, allow_pickle=False)
    except Exception as error:
        raise CaejaxError(f"{path} cannot be read as an array of NumPy") from error
    if values.ndim != axes or (channels and values.shape[0] != channels):
        raise CaejaxError(
            f"{path} has shape {values.shape}, and the model takes {channels} channels "
            f"and {axes - 1} axes behind them"
        )
    return values


def of_one_size(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Arrays (1, C, n1, ..., nd), each cut to the size of the smallest."""
    sides = np.min([x.shape for x in arrays], 0)
    return [x[tuple(map(slice, sides))] for x in arrays]
