"""Photographs: patches cut from the images of a folder."""

import hashlib
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from caejax.data import split_indices
from caejax.data.dataset import Split
from caejax.errors import CaejaxError

EXTENSIONS = (
    *(".bmp", ".gif", ".jpeg", ".jpg", ".pgm"),
    *(".png", ".ppm", ".tif", ".tiff", ".webp"),
)

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as in JPEG


def load(
    *,
    dir: str = "",
    image_size: tuple[int, int],
    channels: int,
    reduce: int = 1,
    patches_per_image: int = 1,
    test_fraction: float = 0.1,
    val_fraction: float = 0.1,
    limit: int = 0,
    seed: int = 0,
) -> tuple[Split, ...]:
    """Cuts patches from every image under a folder.

    With a subfolder `train/` the parts are `train/`, `val/` and `test/`.
    Otherwise all images are train. A part without a folder is taken from
    train by a seeded shuffle of whole images, so that no two parts show the
    same photograph. Subfolders are searched, in sorted order.

    One patch per image is its centre. Several are cut at uniformly random
    places, which may overlap; they depend only on the seed and on the image's
    path inside the folder.

    Args:
      dir: the folder's path.
      image_size: a patch's size (H, W).
      channels: number of channels: 1 for grey, 3 for colour.
      reduce: integer factor by which images are first reduced by area
        averaging; trailing rows and columns that fill no block are dropped.
      patches_per_image: number of patches per image.
      test_fraction: share of the images for test, if there is no `test/`.
      val_fraction: share of the rest for validation, if there is no `val/`.
      limit: number N of a part's first patches for which images are read; 0 means
        all.
      seed: the seed of the shuffle and of the patches' places.

    Returns:
      Train, validation and test parts, without validation if its share is 0:
      images (N, H, W, C) float32 in [0, 1], no labels.

    Raises:
      CaejaxError: for a missing folder, one without images, a broken image,
        and an image smaller than a patch.
    """
    if channels not in (1, 3):
        raise CaejaxError(f"data.channels is {channels}: use 1 (grey) or 3 (colour)")
    if min(reduce, patches_per_image) < 1:
        raise CaejaxError("data.reduce and data.patches_per_image must be at least 1")
    folder = Path(dir).expanduser()
    if not dir or not folder.is_dir():
        raise CaejaxError(f"folder {dir!r} does not exist: set data.dir to your images")
    images_needed = -(-limit // patches_per_image) or None

    def cut(path: Path) -> np.ndarray:
        image = reduce_image(read_image(path, channels, name=str(path)), reduce)
        _check_size(image, path, image_size, reduce)
        name = f"{seed}/{path.relative_to(folder).as_posix()}"
        corners = _corners(image.shape, image_size, patches_per_image, name)
        height, width = image_size
        return np.stack([image[y : y + height, x : x + width] for y, x in corners])

    parts = _list_parts(folder, test_fraction, val_fraction, seed)
    return tuple(
        Split(np.concatenate([cut(path) for path in parts[part][:images_needed]]))
        for part in ("train", "val", "test")
        if part in parts
    )


def read_image(file: Path | BinaryIO, channels: int, *, name: str) -> np.ndarray:
    """Reads an image of any kind as grey or colour.

    The EXIF orientation is applied, transparency is laid over white, colour
    becomes grey by the BT.601 luma (not rounded to 8 bits) and grey becomes
    colour by repetition. Integers of more than 8 bits are divided by 65535;
    floats are taken as they are.

    Args:
      file: the image's path, or the open file.
      channels: number of channels, 1 or 3.
      name: the image's name, for errors.

    Returns:
      The image, (H, W, channels) float32 in [0, 1].

    Raises:
      CaejaxError: if it cannot be read, or has values outside the range.
    """
    values = read_as_stored(file, name=name)
    if channels == values.shape[-1]:
        return values
    if channels == 3:
        return np.repeat(values, 3, axis=-1)
    return (values @ _LUMA)[..., None]


def read_as_stored(file: Path | BinaryIO, *, name: str) -> np.ndarray:
    """Reads an image as `read_image` does, grey or colour as it is stored.

    Of an animation it is the first frame.

    Returns:
      The image, (H, W, 1 or 3) float32 in [0, 1].

    Raises:
      CaejaxError: as `read_image`.
    """
    try:
        with warnings.catch_warnings():
            # Of oddities in files that Pillow reads all the same.
            warnings.simplefilter("ignore")
            with Image.open(file) as opened:
                image = ImageOps.exif_transpose(opened)
    except Image.DecompressionBombError as error:
        raise CaejaxError(
            f"{name} has more pixels than are read at once: cut it into pieces"
        ) from error
    except Exception as error:  # Pillow's decoders raise many kinds
        reason = getattr(error, "strerror", None)
        raise CaejaxError(
            f"{name} cannot be opened: {reason}"
            if reason
            else f"{name} is not a readable image: replace or remove it"
        ) from error
    values = _to_float(image)
    if not (values.min() >= 0 and values.max() <= 1):
        raise CaejaxError(
            f"{name} (mode {image.mode}) has values outside 0..65535, or 0..1 if they "
            "are floats: convert or remove it"
        )
    return values


def _to_float(image: Image.Image) -> np.ndarray:
    """(H, W, 1 or 3) float32."""
    if image.mode == "F":
        return np.asarray(image, np.float32)[..., None]
    if image.mode.startswith("I"):
        return np.asarray(image, np.float32)[..., None] / 65535
    grey = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        rgba = np.asarray(image.convert("RGBA"), np.float32) / 255
        alpha = rgba[..., 3:]
        return rgba[..., : 1 if grey else 3] * alpha + (1 - alpha)
    if grey:
        return np.asarray(image.convert("L"), np.float32)[..., None] / 255
    return np.asarray(image.convert("RGB"), np.float32) / 255


def _list_parts(
    folder: Path, test_fraction: float, val_fraction: float, seed: int
) -> dict[str, list[Path]]:
    names = [part for part in ("train", "val", "test") if (folder / part).is_dir()]
    if names and "train" not in names:
        raise CaejaxError(
            f"{folder} has {' and '.join(names)} but no train: add the folder train"
        )
    parts = {part: list_images(folder / part) for part in names}
    parts = parts or {"train": list_images(folder)}
    for part, fraction in (("test", test_fraction), ("val", val_fraction)):
        if part not in parts and fraction:
            train = parts["train"]
            what = f"training image(s) in {folder}"
            rest, chosen = split_indices(len(train), fraction, seed, what)
            parts["train"] = [train[i] for i in rest]
            parts[part] = [train[i] for i in chosen]
    return parts


def list_images(folder: Path) -> list[Path]:
    """The images under a folder, subfolders included, in sorted order.

    Raises:
      CaejaxError: there is none.
    """
    paths = [
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in EXTENSIONS
        and not path.name.startswith(".")
        and not path.is_dir()
    ]
    if not paths:
        raise CaejaxError(
            f"no image in {folder}: add files that end in {', '.join(EXTENSIONS)}"
        )
    return sorted(paths)


def reduce_image(image: np.ndarray, factor: int) -> np.ndarray:
    """Shrinks (H, W, C) by averaging blocks of factor x factor pixels.

    Trailing rows and columns that fill no block are dropped.
    """
    height, width, channels = image.shape
    height, width = height // factor, width // factor
    blocks = image[: height * factor, : width * factor]
    return blocks.reshape(height, factor, width, factor, channels).mean(axis=(1, 3))


def _check_size(
    image: np.ndarray, path: Path, image_size: tuple[int, int], reduce: int
) -> None:
    (height, width), (h, w) = image.shape[:2], image_size
    if height < h or width < w:
        raise CaejaxError(
            f"{path} is {height}x{width} after data.reduce={reduce}, smaller than "
            f"data.image_size {h}x{w}: remove it, or lower one of the two"
        )


def _corners(
    shape: tuple[int, ...], image_size: tuple[int, int], count: int, name: str
) -> np.ndarray:
    """(count, 2) top left corners of patches: the centre if one, else random."""
    spare = np.subtract(shape[:2], image_size)
    if count == 1:
        return spare[None] // 2
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest())
    return np.random.default_rng(seed).integers(spare + 1, size=(count, 2))
