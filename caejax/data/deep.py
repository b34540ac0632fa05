"""Channels of 16 bits, of which Pillow reads and writes 8, and TIFFs it misreads."""

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, TiffImagePlugin

from caejax.data import exif as exif_data

# Of two bytes that Pillow takes for one number, it keeps the higher.
_OTHER_ORDER = {
    f"{mode};16{order}": f"{mode};16{other}"
    for mode in ("RGB", "RGBX", "RGBA", *"RGBA")
    for order, other in ("BL", "LB", "NB")
}
# Of PNG, a pixel of four bytes: as colours of 8 bits, none of them is lost.
_GREY_AND_ALPHA = "LA;16B"
# Tags of TIFF: bits of each channel, whether channels lie in planes apart, and whether
# zero is white.
_BITS, _PLANAR, _APART, _KIND, _WHITE_IS_ZERO = 258, 284, 2, 262, 0
_STRIP = 64  # rows
# What one of 3 or 15 levels of grey becomes of 255.
_STEPS = {"L;2": 85, "L;4": 17}


def is_deep(image: Image.Image) -> bool:
    """Whether an image that was just opened has 16 bits a channel that can be had.

    Those of grey alone Pillow has by itself.
    """
    known = {*_OTHER_ORDER, _GREY_AND_ALPHA}
    deep = any(_raw_mode(tile[3]) in known for tile in image.tile)
    return deep and not upper_bytes_alone(image)


def mend_clear(image: Image.Image) -> tuple[int, ...] | None:
    """Makes the transparent colour of a PNG that was just opened be found in it.

    Pillow scales pixels of 2 and of 4 bits, and not that colour, and compares the lower
    bytes of one of 16 bits with the higher bytes of pixels.

    Returns:
      The colour of an image that `is_deep`, which is to be found in `both_bytes`; None
      where there is none.
    """
    for mode in _STEPS.keys() & {_raw_mode(tile[3]) for tile in image.tile}:
        if (level := image.info.get("transparency")) is not None:
            image.info["transparency"] = level * _STEPS[mode]
    return image.info.pop("transparency", None) if is_deep(image) else None


def cut_bits(image: Image.Image) -> int:
    """The bits a channel of an image that was just opened, of which 8 can be had.

    0 where all can be had.
    """
    if upper_bytes_alone(image):
        return 16
    if image.mode[0] in "IF" or is_deep(image):
        return 0
    if coded := _CODED_BITS.get(image.format):
        bits = coded(_stored(image))
        return bits if bits > 8 else 0
    return 16 * any(_has_two_bytes(tile[0], tile[3]) for tile in image.tile)


def _stored(image):
    """The bytes of the file of an image that was just opened."""
    place = image.fp.tell()
    image.fp.seek(0)
    stored = image.fp.read()
    image.fp.seek(place)
    return stored


def _bits_of_jpeg2000(stored):
    # After two markers, the second one's length and 34 bytes of sizes (ITU-T T.800).
    count = stored.index(b"\xff\x4f\xff\x51") + 40
    (channels,) = struct.unpack_from(">H", stored, count)
    return 1 + max(x & 0x7F for x in stored[count + 2 : count + 2 + 3 * channels : 3])


def _bits_of_avif(stored):
    # Two flags in the third byte: more than 8, and 12 (AV1-ISOBMFF).
    flags = stored[stored.index(b"av1C") + 6]
    return 12 if flags & 0x20 else 10 if flags & 0x40 else 8


# Pillow tells nothing of them, and reads colours with 8 bits.
_CODED_BITS = {"JPEG2000": _bits_of_jpeg2000, "AVIF": _bits_of_avif}


def _has_two_bytes(codec, args):
    """Whether what a decoder reads has more than 8 bits a channel."""
    if codec.startswith("ppm") and not isinstance(args, str):
        return args[1] > 255
    mode = str(_raw_mode(args))
    # Not a pixel of 16 bits, 5 or 6 a channel.
    return codec == "SGI16" or (";16" in mode and mode != "BGR;16")


def upper_bytes_alone(image: Image.Image) -> bool:
    """Whether Pillow gives the higher bytes only: of compressed planes of a TIFF."""
    packed = any(tile[0] == "libtiff" for tile in image.tile)
    return packed and _has_deep_planes(image)


def mend_planes(image: Image.Image) -> None:
    """Makes planes of 16 bits of a TIFF that was just opened be read as such.

    Pillow takes the bytes of planes that are not compressed for pixels of 8 bits.
    """
    if _has_deep_planes(image) and not upper_bytes_alone(image):
        order = "B" if image.tag_v2.prefix == b"MM" else "L"
        image.tile = [
            tile._replace(args=(f"{_raw_mode(tile.args)};16{order}", *tile.args[1:]))
            for tile in image.tile
        ]


def _has_deep_planes(image):
    tags = getattr(image, "tag_v2", {})
    return tags.get(_PLANAR) == _APART and set(tags.get(_BITS, ())) == {16}


def white_is_zero(image: Image.Image) -> bool:
    """Whether Pillow gives a TIFF that was just opened as its negative."""
    kind = getattr(image, "tag_v2", {}).get(_KIND)
    return kind == _WHITE_IS_ZERO and image.mode.startswith("I;16")


def is_unknown_tiff(file: Path | BinaryIO) -> bool:
    """Whether a file is a whole TIFF, of values that Pillow does not read."""
    if not isinstance(file, Path):
        file.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            TiffImagePlugin.TiffImageFile(file).close()
    except Exception as error:  # Pillow's decoders raise many kinds
        return "unknown pixel mode" in str(error)
    return False


def both_bytes(file: Image.Image, high: Image.Image) -> np.ndarray:
    """The whole values (H, W, C) of an image that was just opened, `is_deep`.

    Args:
      file: the image.
      high: the image as Pillow loads it, turned as its EXIF data say.

    Returns:
      uint16, alpha last; of grey with alpha C is 2.
    """
    mend_planes(file)
    alike = any(_raw_mode(tile.args) == _GREY_AND_ALPHA for tile in file.tile)
    file.tile = [tile._replace(args=_with_raw_mode(tile.args)) for tile in file.tile]
    low = np.ascontiguousarray(exif_data.turned(file))
    if alike:
        return low.view(">u2").astype(np.uint16)
    return 256 * np.asarray(high).astype(np.uint16) + low


def _raw_mode(args):
    return args if isinstance(args, str) else args[0] if args else None


def _with_raw_mode(args):
    mode = {**_OTHER_ORDER, _GREY_AND_ALPHA: "RGBA"}[_raw_mode(args)]
    return mode if isinstance(args, str) else (mode, *args[1:])


def png(
    pixels: np.ndarray, profile: bytes | None = None, exif: bytes | None = None
) -> bytes:
    """A PNG file of (H, W, 1 or 3) uint8 or uint16.

    Args:
      pixels: the pixels.
      profile: the ICC profile of its colours.
      exif: EXIF data as Pillow has them.
    """
    height, width, channels = pixels.shape
    rows = pixels.astype(">u2" if pixels.itemsize == 2 else "u1").reshape(height, -1)
    rows = rows.view(np.uint8)
    above = np.zeros_like(rows)
    above[1:] = rows[:-1]
    filtered = np.empty((height, 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = 2  # each byte less the one above
    np.subtract(rows, above, out=filtered[:, 1:])
    kind = 0 if channels == 1 else 2
    head = struct.pack(">IIBBBBB", width, height, 8 * pixels.itemsize, kind, 0, 0, 0)
    chunks = [(b"IHDR", head)]
    if profile:
        chunks.append((b"iCCP", b"ICC Profile\0\0" + zlib.compress(profile)))
    if exif:
        chunks.append((b"eXIf", exif.removeprefix(b"Exif\0\0")))
    chunks += [(b"IDAT", zlib.compress(filtered, 4)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(name, body):
    check = struct.pack(">I", zlib.crc32(body, zlib.crc32(name)))
    return struct.pack(">I", len(body)) + name + body + check


def tiff(
    pixels: np.ndarray, profile: bytes | None = None, exif: bytes | None = None
) -> bytes:
    """A TIFF file of (H, W, 1 or 3) uint8 or uint16, its strips deflated."""
    height, width, channels = pixels.shape
    bits = 8 * pixels.itemsize
    strips = [
        zlib.compress(
            np.ascontiguousarray(pixels[top : top + 64]).astype(f"<u{bits // 8}"), 4
        )
        for top in range(0, height, 64)
    ]
    sizes = [len(strip) for strip in strips]
    ifd = TiffImagePlugin.ImageFileDirectory_v2(b"II*\0\0\0\0\0")
    if exif:
        given = Image.Exif()
        given.load(exif)
        for tag, value in exif_data.writable(given, exif_data.TEXTS).items():
            ifd[tag] = value
    ifd[256], ifd[257], ifd[258] = width, height, (bits,) * channels
    ifd[259], ifd[262], ifd[277] = 8, 1 if channels == 1 else 2, channels
    ifd[278], ifd[284] = _STRIP, 1
    ifd[273] = tuple(np.cumsum([0, *sizes[:-1]]).tolist())
    ifd[279] = tuple(sizes)
    if profile:
        ifd.tagtype[34675] = 7
        ifd[34675] = profile
    file = io.BytesIO()
    ifd.save(file)
    return file.getvalue() + b"".join(strips)
