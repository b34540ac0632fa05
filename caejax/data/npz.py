"""A NumPy archive with the arrays `x_train`, `x_test`, `y_train`, `y_test`.

It may have `x_val` and `y_val` besides.
"""

import math
import zipfile
import zlib
from pathlib import Path

import numpy as np

from caejax.data.dataset import PARTS, Part
from caejax.data.origin import hash_of_array
from caejax.errors import CaejaxError
from caejax.files.paths import expand

_ROUNDING = 1e-4  # what values may lie outside of [0, 1]


def load(*, name: str = "", dir: str = "") -> tuple[Part, ...]:
    """Reads `x_train` and `x_test`, and `x_val` and the labels `y_...` if present.

    Images are (N, H, W) or (N, H, W, C), either uint8 or float in [0, 1];
    labels are (N,) integers.

    Args:
      name: the file's name inside `dir`; empty if `dir` is the file itself.
      dir: the .npz file, or its folder.

    Returns:
      Train, validation if the file has `x_val`, and test parts: images (N, H, W, C)
      uint8 or float, labels (N,) int32 or None.

    Raises:
      CaejaxError: if there is no such archive, or for an array that is
        missing, or of another rank, type, length or range.
    """
    path = _file(name, dir)
    if not path.is_file():
        raise CaejaxError(
            f"there is no file {path}: set data.dir to the .npz file, "
            "or to its folder and data.name to the file's name"
        )
    arrays = _read(path)
    return tuple(_split(arrays, part, path) for part in PARTS if f"x_{part}" in arrays)


def _file(name: str, dir: str) -> Path:
    folder = expand(dir, "data.dir") if dir else Path()
    path = expand(name, "data.name", folder) if name else folder
    # Or data.dir is the file where an earlier command has found it by its name.
    return folder if path.name == folder.name and folder.is_file() else path


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
                    f"{', '.join(archive.files) or 'nothing'}: add or rename the "
                    "arrays, by numpy.savez(file, x_train=..., x_test=...)"
                )
            keys = {f"{kind}_{part}" for kind in "xy" for part in PARTS}
            return {key: archive[key] for key in keys & set(archive.files)}
    except (
        *(ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error),
        RuntimeError,  # encrypted, or by a compression that zipfile does not know
    ) as error:
        if "allow_pickle" in str(error):
            raise CaejaxError(
                f"{path} has an array of Python objects: save numbers of one shape, by "
                "numpy.stack(images)"
            ) from error
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
            one_hot = labels.ndim == 2 and len(labels) == len(images)
            raise CaejaxError(
                f"y_{part} in {path} is {labels.dtype} {labels.shape}: "
                f"save it as integers of shape ({len(images)},), one for each image"
                f"{', by labels.argmax(1) if it is one-hot' if one_hot else ''}"
            )
        labels = _as_int32(labels, f"y_{part} in {path}")
    origin = {
        name: hash_of_array(arrays[name])
        for name in (f"x_{part}", f"y_{part}")
        if name in arrays
    }
    return Part(images, labels, origin)


def _as_int32(labels, what):
    kind = np.iinfo(np.int32)
    if labels.size and (labels.min() < kind.min or labels.max() > kind.max):
        raise CaejaxError(
            f"{what} has labels from {labels.min()} to {labels.max()}, more than 32 "
            "bits hold: number the classes anew, by numpy.unique(labels, "
            "return_inverse=True)[1]"
        )
    return labels.astype(np.int32)


def _mend(images):
    low, high = images.min(initial=0), images.max(initial=0)
    if not np.isfinite(images).all():
        return "save them without NaN and infinities, in [0, 1]"
    if low >= 0 and 255 < high <= 65535:
        return "they look like 16 bits; divide them by 65535"
    if low >= 0 and 2 < high <= 255:
        return "they look like bytes; divide them by 255, or save them as uint8"
    if low >= -1 and high <= 1:
        return "they look like [-1, 1]; save (images + 1) / 2"
    return "scale them to [0, 1], or save them as uint8"


def _converted(images):
    if images.dtype.kind == "b":
        return ", by images.astype(numpy.uint8) * 255"
    if images.dtype.kind not in "iu" or images.min(initial=0) < 0:
        return ""
    high = images.max(initial=0)
    if high <= 1:
        return ", by images.astype(numpy.float32)"
    if high <= 255:
        return ", by images.astype(numpy.uint8)"
    return ", by images / 65535" if high <= 65535 else ""


def _reshaped(images):
    if images.ndim != 2:
        return "reshape it to (N, H, W) or (N, H, W, C)"
    for channels in (1, 3):
        side = math.isqrt(images.shape[1] // channels)
        if images.shape[1] == side * side * channels:
            shape = (-1, side, side, channels)
            return f"if its rows are images, save them as images.reshape{shape}"
    return "save it as (N, H, W) or (N, H, W, C), by images.reshape(-1, H, W, C)"


def _checked_images(images: np.ndarray, what: str) -> np.ndarray:
    if images.ndim not in (3, 4):
        raise CaejaxError(f"{what} has shape {images.shape}: {_reshaped(images)}")
    if images.dtype == np.uint8:
        if images.max(initial=0) == 1:
            raise CaejaxError(
                f"{what} is uint8 with values of 0 and 1 alone, and white is 255: "
                "multiply it by 255"
            )
    else:
        if images.dtype.kind != "f":
            raise CaejaxError(
                f"{what} is {images.dtype}: save it as uint8, or as float in [0, 1]"
                f"{_converted(images)}"
            )
        low, high = images.min(initial=0), images.max(initial=0)
        if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):  # also true of NaN
            raise CaejaxError(
                f"{what} has values from {low:g} to {high:g}: {_mend(images)}"
            )
        if low < 0 or high > 1:
            images = images.clip(0, 1)
    return images[..., None] if images.ndim == 3 else images
