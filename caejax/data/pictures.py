"""One picture from a file: its values as grey or colour, and what to say of it."""

import functools
import io
import warnings
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageCms

from caejax.data import deep
from caejax.data import exif as exif_data
from caejax.errors import CaejaxError, lacks_memory

# Formats that Pillow knows by name but does not decode by itself, and films.
_NOT_DECODED = {"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "WMF"}

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as in JPEG
_BYTE = 255
_CUT = "8 of {} bits are read"

# By which it is told whether a profile changes anything.
_COLOURS = np.stack(np.meshgrid(*[np.arange(0, 256, 51, np.uint8)] * 3), -1)
_COLOURS = _COLOURS.reshape(1, -1, 3)


class Picture(NamedTuple):
    """A picture as it is stored.

    Attributes:
      values: the values, (H, W, 1 or 3) float32 in [0, 1].
      profile: the ICC profile that says which colours they are; None where there is
        none, and where the values have been converted to sRGB.
      notes: what of the file is not in the values, in a few words each.
      exif: the EXIF data, but for the orientation, which has been applied, and for
        damaged ones; None where there are none.
      depth: the bits of a value as it is stored, 8 or 16.
    """

    values: np.ndarray
    profile: bytes | None = None
    notes: tuple[str, ...] = ()
    exif: bytes | None = None
    depth: int = 8


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


def told_channels(values: np.ndarray, channels: int) -> tuple[str, ...]:
    """What `in_channels` makes of (H, W, 1 or 3) that cannot be undone, in words."""
    if values.shape[-1] < channels:
        return ("the grey is repeated in each colour",)
    if values.shape[-1] > channels and not (values == values[..., :1]).all():
        return ("the colours are made grey",)
    return ()


def in_channels(values: np.ndarray, channels: int) -> np.ndarray:
    """Makes (H, W, 1 or 3) grey or colour, as `read_image` says."""
    if channels == values.shape[-1]:
        return values
    if channels == 3:
        return np.repeat(values, 3, axis=-1)
    return (values @ _LUMA)[..., None]


def read_picture(
    file: Path | BinaryIO,
    *,
    name: str,
    keep_profile: bool = False,
    full_depth: bool = False,
    any_floats: bool = False,
) -> Picture:
    """Reads an image as `read_image` does, grey or colour as it is stored.

    Of several pages or frames it is the first.

    Args:
      file: the image's path, or the open file.
      name: the image's name, for errors.
      keep_profile: whether colours stay as they are stored, with all their bits, and
        the profile with them.
      full_depth: whether values keep all their bits where the profile is not kept.
      any_floats: whether floats may lie beyond [0, 1].

    Raises:
      CaejaxError: as `read_image`.
    """
    try:
        with warnings.catch_warnings():
            # Of oddities in files that Pillow reads all the same.
            warnings.simplefilter("ignore")
            with Image.open(file) as opened:
                deep.mend_planes(opened)
                clear = deep.mend_clear(opened)
                full_depth = full_depth or keep_profile or clear is not None
                notes = _pages(opened) + _bits(opened, full_depth)
                profile = opened.info.get("icc_profile")
                is_deep = full_depth and deep.is_deep(opened)
                negative = deep.white_is_zero(opened)
                # Else Pillow maps a turned TIFF with its sides exchanged.
                opened.filename = ""
                image = exif_data.turned(opened)
                exif = exif_data.kept(opened)
            stored = _stored(file, image, clear) if is_deep else None
    except Image.DecompressionBombError as error:
        raise CaejaxError(
            f"{name} has more pixels than are read at once: cut it into pieces"
        ) from error
    except Exception as error:  # Pillow's decoders raise many kinds
        if lacks_memory(error):
            raise
        raise CaejaxError(f"{name} {_unreadable(file, error)}") from error
    values, alpha = _to_float(image)
    if stored is not None:
        values, alpha = _parted(stored, alpha)
    values = 1 - values if negative else values
    free = any_floats and image.mode == "F"
    if not free and not (values.min() >= 0 and values.max() <= 1):
        raise CaejaxError(
            f"{name} (mode {image.mode}) has values outside 0..65535, or 0..1 if they "
            "are floats: convert or remove it"
        )
    wide = stored is not None or image.mode[0] in "IF"
    if wide and image.mode != "F":
        notes += _few_bits(values)
    if profile and not (keep_profile and _fits(profile, values.shape[-1])):
        converted, told = _in_srgb(image, values, profile)
        if stored is not None and converted.shape[-1] == 3 and converted is not values:
            wide, told = False, (*told, _CUT.format(16))  # as Pillow converts 8
        values, notes, profile = converted, notes + told, None
    about = {"exif": exif, "depth": 16 if wide else 8}
    if alpha is not None:
        values = values * alpha + (1 - alpha)
    return Picture(values, profile, notes, **about)


def _unreadable(file, error):
    """What is wrong with a file that could not be read, and what mends it."""
    if reason := getattr(error, "strerror", None):
        return f"cannot be opened: {reason}"
    if deep.is_unknown_tiff(file):
        return (
            "is a TIFF file of a kind that is not read: save it as PNG with 8 or 16 "
            "bits a channel, or as a TIFF file of grey floats of 32 bits"
        )
    return "is not a readable image: replace it, or leave it out"


def _stored(file, image, clear):
    """All bits of an image's channels, in [0, 1], turned like it; alpha last."""
    with Image.open(file) as opened:
        values = deep.both_bytes(opened, image)
    if clear is not None:
        opaque = (values != clear).any(axis=-1, keepdims=True)
        values = np.append(values, np.where(opaque, 65535, 0), axis=-1)
    return values.astype(np.float32) / 65535


def _parted(stored, alpha):
    """(H, W, 1 or 3) and how opaque they are, if that is not among the channels."""
    colours = 3 if stored.shape[-1] > 2 else 1
    clear = stored[..., colours:]
    return stored[..., :colours], clear if clear.size else alpha


def _pages(image):
    # What else a camera puts into a JPEG file are previews of the same picture.
    if image.format == "MPO" or getattr(image, "n_frames", 1) < 2:
        return ()
    return ("the first page or frame alone is read",)


def _bits(image, full_depth):
    if deep.upper_bytes_alone(image):
        return (f"{_CUT.format(16)}, as its channels are compressed apart",)
    bits = deep.cut_bits(image) if full_depth else 0
    return (_CUT.format(bits),) if bits else ()


def _few_bits(values):
    """That 16 bits may hold values of 12 or fewer, which come out nearly black."""
    if not 0 < values.max() < 4096 / 65535:
        return ()
    return (
        "no value is above 4095 of 65535, which is nearly black; values of 12 bits "
        "must be scaled to 16 first",
    )


def _fits(profile, channels):
    """Whether a profile is of as many channels as an image, by its header."""
    return profile[16:20] == (b"GRAY" if channels == 1 else b"RGB ")


def _in_srgb(image, values, profile):
    """Values in sRGB, and what is to be said if the profile cannot be applied."""
    grey = values.shape[-1] == 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if grey:
                levels = np.linspace(0, 1, _BYTE + 1)
                done = np.interp(values, levels, _grey_curve(profile))
                return done.astype(np.float32), ()
            mode = "CMYK" if image.mode == "CMYK" else "RGB"
            transform = _transform(profile, mode)
            if mode == "RGB":
                done = _applied(transform, Image.fromarray(_COLOURS))
                if _alike(_COLOURS, done):
                    return values, ()
            return np.float32(_applied(transform, image.convert(mode))) / _BYTE, ()
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return values, ("a colour profile cannot be applied and is taken for sRGB",)


@functools.lru_cache(maxsize=8)
def _transform(profile, mode):
    return ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )


@functools.lru_cache(maxsize=8)
def _grey_curve(profile):
    """What 256 levels of grey are in sRGB, in [0, 1]."""
    mode = "RGB" if _fits(profile, 3) else "L"
    stored = np.arange(_BYTE + 1, dtype=np.uint8)[None]
    image = Image.fromarray(stored).convert(mode)
    done = _applied(_transform(profile, mode), image)[..., 0]
    return (stored if _alike(stored, done) else done)[0] / _BYTE


def _applied(transform, image):
    return np.asarray(ImageCms.applyTransform(image, transform))


def _alike(stored, done):
    """Whether a profile is that of sRGB, whatever its name is, but for rounding."""
    return np.abs(stored.astype(int) - done).max() <= 2


def _to_float(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """(H, W, 1 or 3) float32, and (H, W, 1) how opaque they are or None."""
    if image.mode == "F":
        return np.asarray(image, np.float32)[..., None], None
    if image.mode.startswith("I"):
        stored = np.asarray(image)[..., None]
        clear = image.info.get("transparency")  # this value is transparent
        alpha = np.float32(stored != clear) if isinstance(clear, int) else None
        return stored.astype(np.float32) / 65535, alpha
    grey = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        rgba = np.asarray(image.convert("RGBA"), np.float32) / _BYTE
        return rgba[..., : 1 if grey else 3], rgba[..., 3:]
    if grey:
        return np.asarray(image.convert("L"), np.float32)[..., None] / _BYTE, None
    return np.asarray(image.convert("RGB"), np.float32) / _BYTE, None


def reduce_image(image: np.ndarray, factor: int) -> np.ndarray:
    """Shrinks (H, W, C) by averaging blocks of factor x factor pixels.

    Trailing rows and columns that fill no block are dropped.
    """
    height, width, channels = image.shape
    height, width = height // factor, width // factor
    blocks = image[: height * factor, : width * factor]
    return blocks.reshape(height, factor, width, factor, channels).mean(axis=(1, 3))
