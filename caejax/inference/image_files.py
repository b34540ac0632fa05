"""The user's images: found, read as the model needs them, and written."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from caejax.data import deep
from caejax.data.listing import Listing, checked, left_out_text, list_pictures
from caejax.data.pictures import Picture, in_channels, read_picture
from caejax.errors import CaejaxError
from caejax.files.atomic import replacing
from caejax.files.marks import is_figure
from caejax.inference.arrays import unit_interval


def find(
    path: Path, unread: Callable[[OSError], object] | None = None
) -> tuple[list[Path], str]:
    """The image that a path names, or all images under the folder that it names.

    Args:
      path: the path.
      unread: as for `list_pictures`.

    Returns:
      The images, and in words what of the folder was left out; "" if nothing.

    Raises:
      CaejaxError: there is none.
    """
    if path.is_dir():
        listed = list_pictures(path, unread)
        paths = [x for x in listed.paths if not is_figure(x)]
        # As `caejax denoise` leaves one beside what it writes.
        drawn = {"figures of caejax": len(listed.paths) - len(paths)}
        found = checked(Listing(paths, listed.left_out + Counter(drawn)), path)
        return found.paths, left_out_text(found.left_out)
    if not path.exists():
        raise CaejaxError(f"{path} does not exist; name an image or a folder")
    if not path.is_file():
        raise CaejaxError(f"{path} is no ordinary file; name an image or a folder")
    return [path], ""


def read(
    path: Path,
    channels: int,
    *,
    convert: bool,
    noisy: bool = False,
    clip: bool = True,
) -> Picture:
    """Reads an image for a model of so many channels.

    Args:
      path: The image's file.
      channels: The number of channels of the model's images.
      convert: Whether colour is turned into grey and grey into colour. Otherwise a
        colour image passes as grey only if all its pixels are grey.
      noisy: Whether floats may lie beyond [0, 1], as noise takes them.
      clip: Whether they are then clipped, for models that have seen no others.

    Returns:
      The image, (H, W, channels), with its colour profile unless it was converted.

    Raises:
      CaejaxError: it cannot be read, or is not of the model's kind.
    """
    if channels not in (1, 3):
        raise CaejaxError(
            f"the model takes images of {channels} channels, which {path} cannot "
            "have; use the run's own --split"
        )
    picture = _picture(path, noisy, clip)
    values = picture.values
    if convert and values.shape[-1] != channels:
        return _converted(path, channels, noisy, clip)
    if values.shape[-1] > channels and not (values == values[..., :1]).all():
        raise CaejaxError(
            f"{path} is in colour, but the model takes grey images; add --convert to "
            "make it grey"
        )
    if values.shape[-1] < channels:
        raise CaejaxError(
            f"{path} is grey, but the model takes colour images; add --convert to "
            "repeat its grey in each colour"
        )
    if values.shape[-1] == channels:
        return picture
    return _converted(path, channels, noisy, clip)


def _picture(path, noisy, clip, *, keep_profile=True):
    """A picture with all its bits, in range."""
    picture = read_picture(
        path,
        name=str(path),
        keep_profile=keep_profile,
        full_depth=True,
        any_floats=True,
    )
    values = picture.values
    if values.min() >= 0 and values.max() <= 1:
        return picture
    values = unit_interval(values, noisy, clip, f"the pixels of {path}")
    return picture._replace(values=values)


def channels_of(path: Path) -> int:
    """Whether an image is grey, 1, or in colour, 3, by its pixels.

    Raises:
      CaejaxError: it cannot be read.
    """
    values = read_picture(
        path, name=str(path), keep_profile=True, any_floats=True
    ).values
    return 1 if (values == values[..., :1]).all() else 3


def _converted(path, channels, noisy, clip):
    # A profile is of colour or of grey, and does not fit any more.
    picture = _picture(path, noisy, clip, keep_profile=False)
    return picture._replace(values=in_channels(picture.values, channels))


def output_names(paths: Sequence[Path], taken: Sequence[str] = ()) -> list[str]:
    """Names for outputs, without suffix: the images' own, told apart by numbers.

    Args:
      paths: The files of the images.
      taken: Names that cannot be given.
    """
    names = []
    used = {name.lower() for name in taken}  # some file systems ignore case
    for path in paths:
        name, number = path.stem, 1
        while name.lower() in used:
            number += 1
            name = _numbered(path.stem, f"-{number}")
        used.add(name.lower())
        names.append(name)
    return names


def _numbered(stem, end):
    """A stem and its number, with a suffix no longer than file systems take."""
    while len(os.fsencode(f"{stem}{end}.png")) > 255:
        stem = stem[:-1]
    return f"{stem}{end}"


def claim(
    folder: Path, names: Sequence[str], images: Sequence[Path], *, overwrite: bool
) -> None:
    """Makes the output folder; nothing in it may get lost.

    Args:
      folder: The folder to write to, which may exist.
      names: The names of all files to be written.
      images: Files that are read, and never written over.
      overwrite: Whether files of earlier commands may be written over.

    Raises:
      CaejaxError: one of the files exists, or the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise CaejaxError(f"{folder} cannot be written to; choose another --out")
    inputs = {path.resolve() for path in images}
    for path in (folder / name for name in names):
        if path.resolve() in inputs:
            raise CaejaxError(
                f"{path} is an image to be read and would be written over; "
                "choose another --out"
            )
        if path.exists() and not overwrite:
            raise CaejaxError(
                f"{path} exists; choose another --out, or add --overwrite"
            )


def write(path: Path, image: np.ndarray, like: Picture) -> None:
    """Writes (H, W, 1 or 3) in [0, 1] as PNG or TIFF, by the name's end.

    Args:
      path: The file.
      image: The image.
      like: The picture that it was made of, whose profile, EXIF data and bits a value
        it gets.
    """
    most, kind = (65535, np.uint16) if like.depth == 16 else (255, np.uint8)
    pixels = np.rint(image * np.float32(most)).astype(kind)
    encode = deep.tiff if path.suffix == ".tif" else deep.png
    with replacing(path) as file:
        file.write(encode(pixels, like.profile, like.exif))


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes arrays by name."""
    with replacing(path) as file:
        np.savez(file, **arrays)
