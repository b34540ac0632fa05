"""A NumPy archive with the arrays `x_train`, `x_test`, `y_train`, `y_test`."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from caejax.data.dataset import Split
from caejax.errors import CaejaxError


def load(*, name: str = "", dir: str = "") -> tuple[Split, Split]:
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
    path = Path(dir, name).expanduser()
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


def _split(arrays: dict[str, np.ndarray], part: str, path: Path) -> Split:
    images = _checked_images(arrays[f"x_{part}"], f"x_{part} in {path}")
    labels = arrays.get(f"y_{part}")
    if labels is not None:
        if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
            raise CaejaxError(
                f"y_{part} in {path} is {labels.dtype} {labels.shape}: "
                f"save it as integers of shape ({len(images)},), one for each image"
            )
        labels = labels.astype(np.int32)
    return Split(images, labels)


def _checked_images(images: np.ndarray, what: str) -> np.ndarray:
    if images.ndim not in (3, 4):
        raise CaejaxError(
            f"{what} has shape {images.shape}: save it as (N, H, W) or (N, H, W, C)"
        )
    if images.dtype != np.uint8:
        if images.dtype.kind != "f":
            raise CaejaxError(
                f"{what} is {images.dtype}: save it as uint8, or as float in [0, 1]"
            )
        low, high = images.min(initial=0), images.max(initial=0)
        if not (low >= 0 and high <= 1):  # also true of NaN
            raise CaejaxError(
                f"{what} has values from {low:g} to {high:g}: "
                "scale them to [0, 1], without NaN, or save them as uint8"
            )
    return images[..., None] if images.ndim == 3 else images
