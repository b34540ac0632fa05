"""Images from files, and which of two folders belong together."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from caejax.data.pictures import in_channels, read_picture
from caejax.errors import CaejaxError
from caejax.inference import image_files
from caejax.inference.arrays import as_batch
from caejax.ops.foreign import is_array
from caejax.terminal.numbers import counted

_JPEG = (".jpg", ".jpeg", ".jpe", ".jfif")


class Pair(NamedTuple):
    """An image, and what it should be.

    Attributes:
      name: Its file's name inside of the folder.
      out: (H, W, 1 or 3) in [0, 1].
      ref: The same of the reference, of as many channels; None without one.
      jpeg: Whether the file is a JPEG file.
    """

    name: str
    out: np.ndarray
    ref: np.ndarray | None
    jpeg: bool


def pairs(out: Path, ref: Path | None) -> tuple[list[tuple[Path, Path | None]], str]:
    """The files, each with its reference of the same name, and what is left out.

    Raises:
      CaejaxError: There is no image, or one without its reference.
    """
    images, left_out = image_files.find(out)
    said = f"left out of {out}: {left_out}" if left_out else ""
    if ref is None:
        return [(path, None) for path in images], said
    references, _ = image_files.find(ref)
    if not out.is_dir() and not ref.is_dir():
        return [(out, ref)], said
    named = {_name(path, ref): path for path in references}
    stems = {Path(name).with_suffix("").as_posix(): x for name, x in named.items()}
    matched: list[tuple[Path, Path | None]] = []
    for path in images:
        name = _name(path, out)
        reference = named.get(name) or stems.get(Path(name).with_suffix("").as_posix())
        if reference is None:
            raise CaejaxError(
                f"{name} is in {out}, and REF, {ref}, has no image of this name; add "
                "it, or leave REF out"
            )
        matched.append((path, reference))
    return matched, said


def _name(path, folder):
    return path.relative_to(folder).as_posix() if folder.is_dir() else path.name


def read(path: Path, reference: Path | None, folder: Path) -> Pair:
    """Reads an image and its reference.

    Raises:
      CaejaxError: One cannot be read, or they differ in size.
    """
    out = read_picture(path, name=str(path)).values
    ref = None
    if reference is not None:
        ref = read_picture(reference, name=str(reference)).values
        if ref.shape[:2] != out.shape[:2]:
            sizes = [f"{x.shape[1]}x{x.shape[0]}" for x in (out, ref)]
            raise CaejaxError(
                f"{path} is {sizes[0]}, and {reference}, its reference, {sizes[1]}: "
                "give images of the same size, or leave REF out"
            )
        channels = max(out.shape[-1], ref.shape[-1])
        out, ref = in_channels(out, channels), in_channels(ref, channels)
    return Pair(_name(path, folder), out, ref, path.suffix.lower() in _JPEG)


def from_arrays(out: Any, ref: Any) -> list[Callable[[], Pair]]:
    """Images in memory, as `caejax.inference.arrays` takes them, as calls."""
    outs = _listed(out, "images" if ref is None else "out")
    refs = [None] * len(outs) if ref is None else _listed(ref, "ref")
    if len(outs) != len(refs):
        raise CaejaxError(f"out has {counted(len(outs), 'image')}, and ref {len(refs)}")
    found = []
    for i, (image, reference) in enumerate(zip(outs, refs, strict=True)):
        if reference is not None and image.shape != reference.shape:
            raise CaejaxError(
                f"image {i} is of the shape {image.shape}, and its reference "
                f"{reference.shape}: give images of the same shape"
            )
        found.append(Pair(f"image {i}", image, reference, False))
    return [lambda pair=pair: pair for pair in found]


def _listed(images, what):
    """(H, W, C) each, in [0, 1], of one array or a list of single images."""
    many = isinstance(images, list | tuple)
    if not many:
        return list(_batch(images, what, one=False))
    if not images:
        raise CaejaxError(f"{what} is an empty list; give at least one image")
    return [_batch(x, f"{what}[{i}]", one=True)[0] for i, x in enumerate(images)]


def _batch(images, what, one):
    shape = np.shape(images)
    name = f"{what}: images" if is_array(images) and what != "images" else what
    if len(shape) > 2 and shape[-1] in (2, 4) and min(shape[-3:-1]) > 2:
        raise CaejaxError(
            f"{name} of shape {shape} have {shape[-1]} channels, and images are grey "
            f"or of three: leave the last one out, images[..., :{shape[-1] - 1}]"
        )
    channels = 3 if len(shape) > 2 and shape[-1] == 3 else 1
    takes = "measure takes grey images and colour ones"
    return as_batch(images, channels, one=one, name=name, takes=takes).images
