"""Which files of a folder are pictures, and which of them are for what."""

import collections
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from caejax.data.pictures import suffixes
from caejax.errors import CaejaxError
from caejax.terminal.numbers import counted

# What people call the folders of the three parts, in any case: train, Training Set,
# test_images, val2017, images-test.
_PARTS = {
    "train": "train(?:ing)?",
    "val": "val(?:id(?:ation)?)?",
    "test": "test(?:ing)?",
}
_WHAT = "(?:data)?(?:set|data|split|(?:image|img|picture|photo|file|sample)s?)"
_YEAR = "(?:19|20)[0-9]{2}"
# Written by systems for themselves; hidden ones begin with a dot besides.
_SYSTEM = {"__macosx", "@eadir", "$recycle.bin", "system volume information"}
_SYSTEM_FILES = {"thumbs.db", "desktop.ini", "icon\r"}
_EXAMPLES = 5  # suffixes that are named of what is no picture
# What may be left out, in words, and what one of it is called.
_ONE = {
    "hidden folders": "hidden folder",
    "hidden files": "hidden file",
    "links that lead back": "link that leads back",
    "links to nothing": "link to nothing",
    "special files": "special file",
    "figures of caejax": "figure of caejax",
    "images of no part": "image of no part",
    "images that the run has not had": "image that the run has not had",
}


class Listing(NamedTuple):
    """The pictures under a folder.

    Attributes:
      paths: the pictures' paths, in sorted order.
      left_out: how many of what were left out, by what.
    """

    paths: list[Path]
    left_out: collections.Counter[str]


def list_pictures(
    folder: Path, unread: Callable[[OSError], object] | None = None
) -> Listing:
    """Finds the pictures under a folder, subfolders and links included.

    Hidden files and folders are left out, and links that lead back to a folder that
    they are in.

    Args:
      folder: the folder.
      unread: is told of each subfolder that cannot be read, whose pictures are then
        left out; None to raise that.

    Raises:
      OSError: the folder, or a subfolder, cannot be read.
    """
    paths: list[Path] = []
    left_out: collections.Counter[str] = collections.Counter()

    def walk(folder, above):
        try:
            _walk(folder, above, paths, left_out, walk)
        except OSError as error:
            if unread is None or len(above) == 1:
                raise
            unread(error)

    walk(folder, {os.path.realpath(folder)})
    return Listing(sorted(paths), left_out)


def _walk(folder, above, paths, left_out, walk):
    for path in sorted(folder.iterdir()):
        name = path.name.lower()
        hidden = name.startswith(".") or name in _SYSTEM | _SYSTEM_FILES
        if path.is_dir():
            real = os.path.realpath(path)
            if hidden:
                left_out["hidden folders"] += 1
            elif real in above:
                left_out["links that lead back"] += 1
            else:
                walk(path, above | {real})
        elif hidden:
            left_out["hidden files"] += 1
        elif not path.exists():
            left_out["links to nothing"] += 1
        elif path.suffix.lower() not in suffixes():
            left_out[f"{path.suffix.lower() or 'without suffix'}"] += 1
        elif not path.is_file():
            left_out["special files"] += 1
        else:
            paths.append(path)


def checked(listing: Listing, folder: Path) -> Listing:
    """The listing.

    Raises:
      CaejaxError: there is no picture in it.
    """
    if not listing.paths:
        why = left_out_text(listing.left_out)
        raise CaejaxError(
            f"no image in {folder}{f' (found: {why})' if why else ''}: add files "
            "that end in .png, .jpg or another suffix of pictures"
        )
    return listing


def left_out_text(left_out: collections.Counter[str]) -> str:
    """What was left out in words: "2 hidden folders, 3 .txt"; "" if nothing."""
    kinds = [_so_many(left_out[kind], kind) for kind in left_out if " " in kind]
    others = [kind for kind, _ in left_out.most_common() if " " not in kind]
    kinds += [f"{left_out[kind]:,} {kind}" for kind in others[:_EXAMPLES]]
    if rest := sum(left_out[kind] for kind in others[_EXAMPLES:]):
        kinds.append(counted(rest, "other file"))
    return ", ".join(kinds)


def _so_many(count, kind):
    return f"{count:,} {_ONE.get(kind, kind) if count == 1 else kind}"


def find_parts(folder: Path) -> dict[str, Path]:
    """The folders of the parts by their usual names; {} if all pictures are of one.

    Raises:
      CaejaxError: the folder contradicts itself.
    """
    _check_links(folder)
    below = list(_subfolders(folder))
    found = {part: _named(below, part) for part in _PARTS}
    for part, folders in found.items():
        if len(folders) > 1:
            names = " and ".join(path.name for path in folders)
            raise CaejaxError(
                f"{folder} has {names}, which both mean {part}: keep one of them"
            )
    parts = {part: folders[0] for part, folders in found.items() if folders}
    if parts and "train" not in parts:
        names = " and ".join(path.name for path in parts.values())
        raise CaejaxError(
            f"{folder} has {names} but no train: add the folder train, or call it "
            "otherwise if it is a class"
        )
    if not parts:
        _check_alike(folder, below)
        _check_below(folder, below, {os.path.realpath(folder)})
    if list(parts) == ["train"]:
        _check_beside(folder, parts["train"], below)
    return parts


def _check_links(folder):
    """A part is not missed because its disk is."""
    for path in sorted(folder.iterdir()):
        if path.is_symlink() and not path.exists() and part_named(path.name):
            raise CaejaxError(
                f"{path} is a link to nothing ({os.readlink(path)}): mend or remove it"
            )


def _check_alike(folder, below):
    """Names of parts that are not known are no classes: set_train_x and set_test_x."""
    seen: dict[tuple[str, ...], tuple[str, Path]] = {}
    for path in below:
        words = re.split(r"[\W_]+", path.name.lower())
        for i, word in enumerate(words):
            part = part_named(word)
            rest = (*words[:i], "", *words[i + 1 :])
            other, where = seen.setdefault(rest, (part, path)) if part else (part, path)
            if part != other:
                raise CaejaxError(
                    f"{folder} has {where.name} and {path.name}: call them {other} and "
                    f"{part} if they are parts, else one of them without that word"
                )


def _check_beside(folder, train, below):
    """A class may be called train, like bus and car."""
    others = [x for x in below if x != train and list_pictures(x).paths]
    if others:
        raise CaejaxError(
            f"{folder} has {train.name}, which would be its only part, beside "
            f"{others[0].name}: rename {train.name} if it is a class, else move the "
            "other folders away"
        )


def _check_below(folder, below, seen, *, alone=True):
    """Parts inside of classes, or of folders around them, are not mixed up."""
    alone = alone and len(below) == 1
    for path in below:
        if (real := os.path.realpath(path)) in seen:
            continue
        seen.add(real)
        inside = list(_subfolders(path))
        names = [_named(inside, part) for part in _PARTS]
        if sum(map(bool, names)) > 1:
            found = " and ".join(x.name for folders in names for x in folders)
            mend = (
                f"set data.dir to {path}"
                if alone
                else f"put them above the classes, as train/{path.name}"
            )
            raise CaejaxError(
                f"{path} has {found}, which would be mixed up as parts of {folder}: "
                f"{mend}"
            )
        _check_below(folder, inside, seen, alone=alone)


def _subfolders(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        hidden = path.name.startswith(".") or path.name.lower() in _SYSTEM
        if path.is_dir() and not hidden:
            yield path


def _named(folders: Iterable[Path], part: str) -> list[Path]:
    return [path for path in folders if part_named(path.name) == part]


def part_named(name: str) -> str:
    """The part that a folder of this name holds; "" for none."""
    word = re.sub(r"[\s_.-]+", "", name.lower())
    for part, called in _PARTS.items():
        if re.fullmatch(f"(?:{_WHAT})?{called}(?:{_WHAT})?(?:{_YEAR})?", word):
            return part
    return ""


def class_count(names: Iterable[str]) -> int:
    """The number of subfolders in which all pictures lie; 0 if some lie above.

    Args:
      names: the pictures' paths inside of the folder, or of one of its part.
    """
    folders = [name.split("/")[:-1] for name in names]
    if all(found and part_named(found[0]) == "train" for found in folders):
        folders = [found[1:] for found in folders]
    return len({found[0] for found in folders}) if all(folders) else 0
