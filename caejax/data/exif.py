"""EXIF data of pictures: obeyed, and handed on as far as they are whole.

Pillow reads values that it cannot write again, and writes letters of ASCII alone.
"""

import contextlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from PIL import Image

_ORIENTATION = 274
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PARTS = 0x8769, 0x8825  # details of the shot, and the place
_OFFSET = 0xA005  # of a part, which moves
# Of a TIFF's first directory, what says whence the picture is, not how it is stored.
_DESCRIPTION = 270
TEXTS = (_DESCRIPTION, 269, 271, 272, 282, 283, 296, 305, 306, 315, 316, 33432)
TEXTS += (18246, 18249, *range(40091, 40096))  # of Windows: stars, title, keywords


def turned(image: Image.Image) -> Image.Image:
    """An image that was just opened, loaded, and turned as its EXIF data say.

    Where these cannot be read, it is as it is stored.
    """
    image.load()
    turn = None
    with contextlib.suppress(Exception):  # Pillow raises many kinds
        turn = _TURNS.get(image.getexif().get(_ORIENTATION))
    return image.copy() if turn is None else image.transpose(turn)


def kept(image: Image.Image) -> bytes | None:
    """The EXIF data of an open image that was `turned`, but for the orientation.

    Damaged values are left out, and of a TIFF those that say how it is stored.

    Returns:
      The data as Pillow has them; None where there are none.
    """
    made = Image.Exif()
    with contextlib.suppress(Exception):  # as above
        exif = image.getexif()
        only = TEXTS if image.format == "TIFF" else ()
        made.update(writable(exif, only))
        if _tells_pages(exif.get(_DESCRIPTION, "")):
            made.pop(_DESCRIPTION, None)
    return made.tobytes() if made else None


def _tells_pages(text):
    """Whether a description is ImageJ's, OME's or tifffile's, of pages and channels.

    Where an image has fewer, programs then miss some, or read none.
    """
    shape = text.startswith("{") and '"shape":' in text
    return shape or text.startswith("ImageJ=") or text.rstrip(" \n\0").endswith("OME>")


def writable(exif: Image.Exif, only: Collection[int] = ()) -> dict[int, Any]:
    """The values of EXIF data that can be written, by tag; those of parts as a dict.

    Args:
      exif: the data.
      only: the tags that are wanted besides the parts; () for all.
    """
    tags = set(exif).intersection(only) if only else set(exif)
    values = _writable(exif, tags - {_ORIENTATION, *_PARTS})
    for part in _PARTS:
        inside = exif.get_ifd(part)
        if found := _writable(inside, set(inside) - {_OFFSET}, part):
            values[part] = found
    return values


def _writable(given: Mapping[int, Any], tags: Iterable[int], part: int = 0):
    values = {}
    for tag in tags:
        with contextlib.suppress(Exception):  # as above
            value = given[tag]
            if isinstance(value, str) and not value.isascii():
                value = value.encode("latin-1")  # the bytes that were read
            alone = Image.Exif()
            alone.update({part: {tag: value}} if part else {tag: value})
            alone.tobytes()
            values[tag] = value
    return values
