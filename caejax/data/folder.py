"""Photographs: patches cut from the images of a folder."""

import collections
import functools
import hashlib
import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from caejax.data import split_indices
from caejax.data.dataset import PARTS, Part
from caejax.data.listing import (
    Listing,
    checked,
    class_count,
    find_parts,
    left_out_text,
    list_pictures,
)
from caejax.data.origin import hash_of
from caejax.data.pictures import (
    in_channels,
    read_picture,
    reduce_image,
    told_channels,
)
from caejax.errors import CaejaxError
from caejax.files.paths import expand
from caejax.terminal.numbers import counted


class _File(NamedTuple):
    """A picture's file.

    Attributes:
      name: its path inside the folder, which says where patches are cut; of a recorded
        one as it was then.
      path: where it is now.
      hash: the hash of what it must hold; "" for anything.
    """

    name: str
    path: Path
    hash: str = ""


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
    recorded: Mapping[str, Mapping[str, str]] | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> tuple[Part, ...]:
    """Cuts patches from every image under a folder.

    With a subfolder `train/` the parts are `train/`, `val/` and `test/`, which may have
    their other usual names, like `Training/`, `test_set/` or `val2017/`. Otherwise all
    images are train. A part without a folder is taken from train by a seeded shuffle of
    whole images, so that no two parts show the same photograph. Subfolders are
    searched, in sorted order.

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
      recorded: the origins of the parts at an earlier time, by part: the same images
        are read, wherever in the folder they lie, and no others.
      tell: is told in a line what was found and what was left out.

    Returns:
      Train, validation and test parts, without validation if its share is 0:
      images (N, H, W, C) float32 in [0, 1], no labels.

    Raises:
      CaejaxError: for a missing folder, one without images or that contradicts
        itself, a broken image, an image smaller than a patch, and recorded images
        that are not there.
    """
    if channels not in (1, 3):
        raise CaejaxError(f"data.channels is {channels}: use 1 (grey) or 3 (colour)")
    if min(reduce, patches_per_image) < 1:
        raise CaejaxError("data.reduce and data.patches_per_image must be at least 1")
    folder = expand(dir, "data.dir") if dir else Path()
    if not dir or not folder.is_dir():
        what = "is a file" if dir and folder.exists() else "does not exist"
        raise CaejaxError(
            f"folder {dir!r} {what}: set data.dir to the folder of your images"
        )
    needed = -(-limit // patches_per_image) or None
    notes: collections.Counter[str] = collections.Counter()
    listing = list_pictures(folder)
    if recorded:
        parts = _recorded_parts(folder, listing, recorded)
    else:
        parts = _parts_now(folder, listing, test_fraction, val_fraction, seed)

    def cut(file: _File, data: bytes) -> np.ndarray:
        picture = read_picture(io.BytesIO(data), name=str(file.path))
        notes.update(picture.notes + told_channels(picture.values, channels))
        image = reduce_image(in_channels(picture.values, channels), reduce)
        _check_size(image, file.path, image_size, reduce)
        corners = _corners(
            image.shape, image_size, patches_per_image, f"{seed}/{file.name}"
        )
        height, width = image_size
        return np.stack([image[y : y + height, x : x + width] for y, x in corners])

    splits = {}
    for part in PARTS:
        patches, origin = [], {}
        for file in parts.get(part, ())[:needed]:
            data = file.path.read_bytes()
            patches.append(cut(file, data))
            origin[file.name] = file.hash or hash_of(data)
        if patches:
            splits[part] = Part(np.concatenate(patches), origin=origin)
    tell(_line(folder, parts, listing, notes, splits, recorded))
    return tuple(splits.values())


def _parts_now(folder, listing, test_fraction, val_fraction, seed):
    """The files of each part, from what is in the folder."""
    folders = find_parts(folder)
    if not folders:
        parts = {"train": checked(listing, folder).paths}
    else:
        parts = {}
        for part, below in folders.items():
            parts[part] = [path for path in listing.paths if below in path.parents]
            checked(Listing(parts[part], listing.left_out), below)
    fractions = {"test": test_fraction, "val": val_fraction}
    cut = [part for part in fractions if part not in parts and fractions[part]]
    _check_enough(folder, parts["train"], cut)
    for part in cut:
        train, what = parts["train"], "images"
        rest, chosen = split_indices(len(train), fractions[part], seed, what)
        parts["train"] = [train[i] for i in rest]
        parts[part] = [train[i] for i in chosen]
    return {
        part: [_File(_name(path, folder), path) for path in paths]
        for part, paths in parts.items()
    }


def _check_enough(folder, train, cut):
    """Refuses fewer images than parts; a file that is no image is told first."""
    if len(train) > len(cut):
        return
    for path in train:
        read_picture(path, name=str(path))
    count = f"{len(train)} image{'s' * (len(train) != 1)}"
    raise CaejaxError(
        f"{count} in the folder {str(folder)!r}, and {', '.join(['train', *cut])} need "
        "one each at least: add some"
    )


def _recorded_parts(folder, listing, recorded):
    """The files of each part, as they were then; they may have other names by now."""
    now = {_name(path, folder): path for path in listing.paths}

    @functools.cache
    def by_hash():
        return {hash_of(path.read_bytes()): path for path in listing.paths}

    def found(part, name, hash):
        path = now.get(name)
        if path is None or hash_of(path.read_bytes()) != hash:
            path = by_hash().get(hash)
        if path is None:
            what = "has changed since" if name in now else "is not there any more, but"
            raise CaejaxError(
                f"{folder / name} {what} the run has it as a {part} image: put it back "
                "as it was, or train anew in another --workdir"
            )
        return _File(name, path, hash)

    return {
        part: [found(part, name, hash) for name, hash in names.items()]
        for part, names in recorded.items()
    }


def _name(path, folder):
    return path.relative_to(folder).as_posix()


def _line(folder, parts, listing, notes, splits, recorded):
    """What was found and what was left out, in a line."""
    counts = ", ".join(
        f"{len(parts[part]):,} {part}" for part in PARTS if part in parts
    )
    classes = class_count(file.name for file in parts["train"])
    line = f"{folder} has {counts} images"
    if classes > 1:
        line += f" in {classes:,} subfolders"
    used = {file.path for files in parts.values() for file in files}
    what = "images that the run has not had" if recorded else "images of no part"
    left_out = listing.left_out + collections.Counter(
        {what: len(set(listing.paths) - used)}
    )
    if text := left_out_text(left_out):
        line += f"; left out: {text}"
    for note, count in notes.items():
        line += f"; of {count:,} {note}"
    seen = {part: set(split.origin.values()) for part, split in splits.items()}
    for part in ("val", "test"):
        if same := seen.get(part, set()) & seen["train"]:
            line += f"; {counted(len(same), f'{part} image')} also in train"
    return line


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
    # A name may hold bytes that are no text.
    seed = int.from_bytes(hashlib.sha256(os.fsencode(name)).digest())
    return np.random.default_rng(seed).integers(spare + 1, size=(count, 2))
