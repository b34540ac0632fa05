"""Images from any source, as one in-memory dataset."""

import collections
import inspect
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from caejax.data.dataset import PARTS, Dataset, Found, Part, Split
from caejax.data.origin import check_origin
from caejax.errors import CaejaxError
from caejax.parameters import Parameter, choose, resolve
from caejax.terminal.numbers import counted

__all__ = [
    "PARTS",
    "SOURCES",
    "Dataset",
    "Source",
    "Split",
    "find",
    "load",
    "split_indices",
    "split_size",
]


class Source(NamedTuple):
    """Where images come from.

    Attributes:
      function: function that takes those options of `find` that it names, and its
        parameters, and returns train, perhaps validation, and test as a `Part` or a
        `Split` each; or its place as "module:function".
      drawn: whether its images are generated, as many as the config says.
      file: whether data.name is the path of a file.
      cut: whether its images are patches, data.patches_per_image of each photograph.
      params: the parameters that it takes besides the options of `load`, by name.
      what: what its images are, for reports; "" where that is the user's to know.
    """

    function: str | Callable[..., Any]
    drawn: bool = False
    file: bool = False
    cut: bool = False
    params: Mapping[str, Parameter] = MappingProxyType({})
    what: str = ""


# Imported on use: nobody pays for the packages that only another source needs.
SOURCES: dict[str, Source] = {
    "glyphs": Source(
        "caejax.data.glyphs:load",
        drawn=True,
        what="drawn digits that look like handwriting",
    ),
    "dead_leaves": Source(
        "caejax.data.dead_leaves:load",
        drawn=True,
        what="discs of random colours that cover each other, as in photographs",
    ),
    "idx": Source("caejax.data.idx:load"),
    "folder": Source("caejax.data.folder:load", cut=True),
    "bsds500": Source(
        "caejax.data.bsds500:load", what="patches of the photographs of BSDS500"
    ),
    "npz": Source("caejax.data.npz:load", file=True),
    "tfds": Source("caejax.data.tfds:load"),
}


def find(
    source: str,
    *,
    name: str = "",
    dir: str = "",
    image_size: tuple[int, int] = (28, 28),
    channels: int = 1,
    limit: int = 0,
    val_fraction: float = 0.1,
    seed: int = 0,
    train_size: int = 5000,
    test_size: int = 1000,
    reduce: int = 1,
    patches_per_image: int = 1,
    download: bool = False,
    keep_bytes: bool = False,
    params: Mapping[str, float] | Sequence[tuple[str, float]] = (),
    recorded: Mapping[str, Mapping[str, str]] | None = None,
) -> Found:
    """Loads a dataset and says what it was read from.

    Each source is given only the options that it takes.

    Args:
      source: a key of `SOURCES`.
      name: the dataset's name (idx, tfds) or file (npz).
      dir: the folder to read (idx, folder, npz, tfds).
      image_size: the size (H, W) that the images must have; folder cuts patches of it.
      channels: number of channels that the images must have.
      limit: number N of each part's first examples that are used, N train examples
        being counted before the validation part is split off; 0 means all.
      val_fraction: share of train that becomes validation, in [0, 1), where the
        source has no validation part; 0 takes the test part for it.
      seed: the seed of generated images, patch positions and the splits.
      train_size: number of generated train images (glyphs, dead_leaves).
      test_size: number of generated test images (glyphs, dead_leaves).
      reduce: integer factor of area averaging (folder).
      patches_per_image: number of patches cut from each photograph (folder).
      download: whether to fetch (idx) or prepare (tfds) what is missing.
      keep_bytes: whether images that the source has as uint8 in 0..255 stay as they
        are, which takes a quarter of the memory.
      params: values of the source's own parameters, by name; others have their
        defaults.
      recorded: the origins of the parts at an earlier time, by part, which the images
        must have again; {} for none. A folder's images are split as they were then.

    Returns:
      Train, validation and test parts, C-contiguous: images (N, H, W, C)
      float32 in [0, 1], labels (N,) int32 or None; and their origins.

    Raises:
      CaejaxError: for an unknown source or parameter, for missing or damaged
        data, for images of another size or channel count, and for others than the
        recorded.
    """
    if source not in SOURCES:
        raise CaejaxError(
            f"unknown data.source {source!r}: choose one of {', '.join(SOURCES)}"
        )
    if not 0 <= val_fraction < 1:
        raise CaejaxError(
            f"data.val_fraction is {val_fraction}: it must be at least 0 and below 1"
        )
    if limit < 0:
        raise CaejaxError(f"data.limit is {limit}: use 0 for all, or a positive number")
    options = {
        "name": name,
        "dir": dir,
        "image_size": tuple(image_size),
        "channels": channels,
        "limit": limit,
        "val_fraction": val_fraction,
        "seed": seed,
        "train_size": train_size,
        "test_size": test_size,
        "reduce": reduce,
        "patches_per_image": patches_per_image,
        "download": download,
        "recorded": recorded,
        "tell": (lines := []).append,
    }
    own = choose(SOURCES, source, dict(params), ("data.source", "data.params")).params
    read = resolve(SOURCES[source].function)
    taken = options.keys() & inspect.signature(read).parameters
    train, *val, test = read(
        **{option: options[option] for option in taken}, **dict(own)
    )
    for split in (train, *val, test):
        _check_images(split.images, source, (*image_size, channels), train.images.shape)
    if recorded and "recorded" not in taken:
        if val and not val[0].origin.keys() & recorded["val"].keys():
            val = []  # the run began when it came from another part
        now = [dict(part.origin) for part in (train, *val, test)]
        check_origin(collections.ChainMap(*now), recorded, dir)
    first = slice(limit or None)
    if not val and not val_fraction:
        val = [test]
    if val:
        wanted = [(split, first) for split in (train, *val, test)]
    else:
        count = len(train.images[first])
        rest, chosen = split_indices(count, val_fraction, seed, "training examples")
        wanted = [(train, rest), (train, chosen), (test, first)]
    splits = [_take(part, index, keep_bytes) for part, index in wanted]
    origins = [getattr(part, "origin", {}) for part, _ in wanted]
    if not lines and not SOURCES[source].drawn:
        lines = [_line(source, dir or name, splits)]
    return Found(
        Dataset(*splits), dict(zip(PARTS, origins, strict=True)), " ".join(lines)
    )


def load(source: str, **options: Any) -> Dataset:
    """Loads a dataset.

    Args:
      source: a key of `SOURCES`.
      **options: as for `find`.

    Returns:
      Train, validation and test parts, C-contiguous: images (N, H, W, C)
      float32 in [0, 1], labels (N,) int32 or None.

    Raises:
      CaejaxError: as `find`.
    """
    return find(source, **options).dataset


def _line(source, where, splits):
    counts = (
        f"{len(split.images)} {name}" for name, split in zip(PARTS, splits, strict=True)
    )
    line = f"{source} data in {where} have {', '.join(counts)} images"
    labels = splits[0].labels
    return line if labels is None else f"{line} in {len(np.unique(labels))} classes"


def split_indices(
    count: int, fraction: float, seed: int, what: str
) -> tuple[np.ndarray, np.ndarray]:
    """Splits range(count) in two by a seeded shuffle.

    Args:
      count: number of things to split, at least 2.
      fraction: the second part's share; either part has at least one.
      seed: the shuffle's seed.
      what: the things' name, for the error message.

    Returns:
      The indices of the rest and of the chosen part, each in rising order.

    Raises:
      CaejaxError: if there are fewer than two things.
    """
    if count < 2:
        raise CaejaxError(
            f"{count} {what} cannot be split in two: add some, or take away data.limit "
            "if there is one"
        )
    size = split_size(count, fraction)
    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[size:]), np.sort(order[:size])


def split_size(count: int, fraction: float) -> int:
    """How many of so many things `split_indices` chooses; at least one is left."""
    return min(max(round(fraction * count), 1), count - 1)


def _check_images(
    images: np.ndarray,
    source: str,
    wanted: tuple[int, int, int],
    train: tuple[int, ...],
) -> None:
    if images.shape[1:] != wanted:
        (height, width, channels), (h, w, c) = images.shape[1:], wanted
        if train[1:] == wanted:
            raise CaejaxError(
                f"{source} images are {h}x{w}x{c} (height x width x channels) in "
                f"train, but {height}x{width}x{channels} in another part: make them "
                "equal"
            )
        if mend := _other_order(images.shape, wanted):
            raise CaejaxError(f"{source} images have shape {images.shape}, {mend}")
        raise CaejaxError(
            f"{source} images are {height}x{width} with "
            f"{counted(channels, 'channel')}, but data.image_size is {h}x{w} and "
            f"data.channels is {c}: "
            f"set data.image_size=({height}, {width}) and data.channels={channels}"
        )
    if not len(images):
        raise CaejaxError(f"{source} has a part without images: add some")


def _other_order(shape, wanted):
    """What an array of images may be instead of (N, H, W, C), and the mend; or ""."""
    (height, width, channels), (h, w, c) = shape[1:], wanted
    if (height, width, channels) == (c, h, w) or height <= 4 < min(width, channels):
        order, mend = "(N, C, H, W)", ", by numpy.moveaxis(images, 1, -1)"
    elif shape[:3] == wanted and channels > 1:
        order, mend = "(H, W, C, N)", ", by numpy.moveaxis(images, -1, 0)"
    elif channels == c and shape[:2] == (h, w):
        order, mend = "(H, W, N)", ", by numpy.moveaxis(images, 2, 0)"
    elif channels == 1 and shape[:3] in (wanted, (c, h, w)):
        order, mend = "a single image", ", many of them"
    else:
        return ""
    return f"which looks like {order}; save them as (N, H, W, C){mend}"


def _take(part: Part, index: slice | np.ndarray, keep_bytes: bool) -> Split:
    images = part.images[index]
    if images.dtype != np.uint8:
        images = images.astype(np.float32, copy=False)
    elif not keep_bytes:
        images = images.astype(np.float32) / 255
    labels = None
    if part.labels is not None:
        labels = np.ascontiguousarray(part.labels[index], np.int32)
    return Split(np.ascontiguousarray(images), labels)
