"""A NumPy archive with the arrays `x_train`, `x_test`, `y_train`, `y_test`."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from caejax.data.dataset import Part
from caejax.data.origin import hash_of_array
from caejax.errors import CaejaxError
from caejax.files.paths import expand

_ROUNDING = 1e-4  # what values may lie outside of [0, 1]


def load(*, name: str = "", dir: str = "") -> tuple[Part, Part]:
    """Reads `x_train` and `x_test`, and `y_train` and `y_test` if present.

    Images are (N, H, W) or (N, H, W, C), either uint8 or float in [0, 1];
    labels are (N,) integers.

    Args:
      name: the file's name inside `dir`; empty if `dir` is the file itself.
      dir: the .npz file, or its folder.

    Returns:
      Train and test parts: images (N, H, W, C) uint8 or float, labels (N,)
      int32 or None.

    Raises:
      CaejaxError: if there is no such archive, or for an array that is
        missing, or of another rank, type, length or range.
    """
    path = expand(Path(dir, name), "data.dir")
    if not path.is_file():
        raise CaejaxError(
            f"there is no file {path}: set data.dir to the .npz file, "
            "or to its folder and data.name to the file's name"
        )
    arrays = _read(path)
    return _split(arrays, "train", path), _split(arrays, "test", path)


def _read(path: Path) -> dict[str, np.ndarray]:
    if not zipfile.is_zipfile(path):
        raise CaejaxError(
            f"{path} is not an npz archive, or is truncated: write it with numpy.savez"
        )
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = {"x_train", "x_test"} - set(archive.files)
            if missing:
                raise CaejaxError(
                    f"{path} lacks {' and '.join(sorted(missing))}; it holds "
                    f"{', '.join(archive.files)}: add or rename the arrays"
                )
            keys = {"x_train", "y_train", "x_test", "y_test"} & set(archive.files)
            return {key: archive[key] for key in keys}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise CaejaxError(
            f"cannot read {path} ({error}): write it anew with numpy.savez"
        ) from error


def _split(arrays: dict[str, np.ndarray], part: str, path: Path) -> Part:
    images = _checked_images(arrays[f"x_{part}"], f"x_{part} in {path}")
    labels = arrays.get(f"y_{part}")
    if labels is not None:
        if labels.shape == (len(images), 1):
            labels = labels[:, 0]
        if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
            raise CaejaxError(
                f"y_{part} in {path} is {labels.dtype} {labels.shape}: "
                f"save it as integers of shape ({len(images)},), one for each image"
            )
        labels = labels.astype(np.int32)
    origin = {
        name: hash_of_array(arrays[name])
        for name in (f"x_{part}", f"y_{part}")
        if name in arrays
    }
    return Part(images, labels, origin)


def _mend(images):
    low, high = images.min(initial=0), images.max(initial=0)
    if not np.isfinite(images).all():
        return "save them without NaN and infinities, in [0, 1]"
    if low >= 0 and high <= 255:
        return "they look like bytes; divide them by 255, or save them as uint8"
    if low >= -1 and high <= 1:
        return "they look like [-1, 1]; save (images + 1) / 2"
    return "scale them to [0, 1], or save them as uint8"


def _checked_images(images: np.ndarray, what: str) -> np.ndarray:
    if images.ndim not in (3, 4):
        raise CaejaxError(
            f"{what} has shape {images.shape}: reshape it to (N, H, W) or (N, H, W, C)"
        )
    if images.dtype != np.uint8:
        if images.dtype.kind != "f":
            raise CaejaxError(
                f"{what} is {images.dtype}: save it as uint8, or as float in [0, 1]"
            )
        low, high = images.min(initial=0), images.max(initial=0)
        if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):  # also true of NaN
            raise CaejaxError(
                f"{what} has values from {low:g} to {high:g}: {_mend(images)}"
            )
        if low < 0 or high > 1:
            images = images.clip(0, 1)
    return images[..., None] if images.ndim == 3 else images
