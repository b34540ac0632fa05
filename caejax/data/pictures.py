"""One picture from a file: its values as grey or colour, and what to say of it."""

import functools
import io
import warnings
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageCms, ImageOps

from caejax.errors import CaejaxError

# Formats that Pillow knows by name but does not decode by itself, and films.
_NOT_DECODED = {"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "WMF"}

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as in JPEG


class Picture(NamedTuple):
    """A picture as it is stored.

    Attributes:
      values: the values, (H, W, 1 or 3) float32 in [0, 1].
      profile: the ICC profile that says which colours they are; None where there is
        none, and where the values have been converted to sRGB.
      notes: what of the file is not in the values, in a few words each.
    """

    values: np.ndarray
    profile: bytes | None = None
    notes: tuple[str, ...] = ()


@functools.cache
def suffixes() -> frozenset[str]:
    """The suffixes, in lower case, of the files that Pillow reads here."""
    names = Image.registered_extensions()
    usable = set(Image.OPEN) - _NOT_DECODED
    return frozenset(suffix for suffix, kind in names.items() if kind in usable)


def read_image(file: Path | BinaryIO, channels: int, *, name: str) -> np.ndarray:
    """Reads an image of any kind as grey or colour.

    The EXIF orientation is applied, colours are converted to sRGB by the file's ICC
    profile, transparency is laid over white, colour becomes grey by the BT.601 luma
    (not rounded to 8 bits) and grey becomes colour by repetition. Integers of more
    than 8 bits are divided by 65535; floats are taken as they are.

    Args:
      file: the image's path, or the open file.
      channels: number of channels, 1 or 3.
      name: the image's name, for errors.

    Returns:
      The image, (H, W, channels) float32 in [0, 1].

    Raises:
      CaejaxError: if it cannot be read, or has values outside the range.
    """
    return in_channels(read_picture(file, name=name).values, channels)


def in_channels(values: np.ndarray, channels: int) -> np.ndarray:
    """Makes (H, W, 1 or 3) grey or colour, as `read_image` says."""
    if channels == values.shape[-1]:
        return values
    if channels == 3:
        return np.repeat(values, 3, axis=-1)
    return (values @ _LUMA)[..., None]


def read_picture(
    file: Path | BinaryIO, *, name: str, keep_profile: bool = False
) -> Picture:
    """Reads an image as `read_image` does, grey or colour as it is stored.

    Of several pages or frames it is the first.

    Args:
      file: the image's path, or the open file.
      name: the image's name, for errors.
      keep_profile: whether colours stay as they are stored, and the profile with them.

    Raises:
      CaejaxError: as `read_image`.
    """
    try:
        with warnings.catch_warnings():
            # Of oddities in files that Pillow reads all the same.
            warnings.simplefilter("ignore")
            with Image.open(file) as opened:
                notes = _pages(opened)
                profile = opened.info.get("icc_profile")
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
    if profile and not keep_profile:
        image, told = _to_srgb(image, profile)
        notes, profile = notes + told, None
    values = _to_float(image)
    if not (values.min() >= 0 and values.max() <= 1):
        raise CaejaxError(
            f"{name} (mode {image.mode}) has values outside 0..65535, or 0..1 if they "
            "are floats: convert or remove it"
        )
    return Picture(values, profile, notes)


def _pages(image):
    # What else a camera puts into a JPEG file are previews of the same picture.
    if image.format == "MPO" or getattr(image, "n_frames", 1) < 2:
        return ()
    return ("the first page or frame alone is read",)


def _to_srgb(image, profile):
    """The image in sRGB, and what is to be said if its profile cannot be applied."""
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(own).lower():
            return image, ()
        alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
        plain = (
            image.convert({"LA": "L", "RGBA": "RGB", "P": "RGB"}[image.mode])
            if (image.mode in ("LA", "RGBA", "P"))
            else image
        )
        grey = plain.mode in ("1", "L")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            done = ImageCms.profileToProfile(
                plain,
                own,
                ImageCms.createProfile("sRGB"),
                renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
                outputMode="RGB",
                flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image, ("a colour profile cannot be applied and is taken for sRGB",)
    if grey:
        done = done.getchannel(0)
    if alpha is not None:
        done.putalpha(alpha)
    return done, ()


def _to_float(image: Image.Image) -> np.ndarray:
    """(H, W, 1 or 3) float32."""
    if image.mode == "F":
        return np.asarray(image, np.float32)[..., None]
    if image.mode.startswith("I"):
        stored = np.asarray(image)
        values = stored.astype(np.float32)[..., None] / 65535
        clear = image.info.get("transparency")
        if isinstance(clear, int):  # this value is transparent
            values[stored == clear] = 1
        return values
    grey = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        rgba = np.asarray(image.convert("RGBA"), np.float32) / 255
        alpha = rgba[..., 3:]
        return rgba[..., : 1 if grey else 3] * alpha + (1 - alpha)
    if grey:
        return np.asarray(image.convert("L"), np.float32)[..., None] / 255
    return np.asarray(image.convert("RGB"), np.float32) / 255


def reduce_image(image: np.ndarray, factor: int) -> np.ndarray:
    """Shrinks (H, W, C) by averaging blocks of factor x factor pixels.

    Trailing rows and columns that fill no block are dropped.
    """
    height, width, channels = image.shape
    height, width = height // factor, width // factor
    blocks = image[: height * factor, : width * factor]
    return blocks.reshape(height, factor, width, factor, channels).mean(axis=(1, 3))
