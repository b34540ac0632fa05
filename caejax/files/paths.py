"""Paths as people write them."""

import atexit
import contextlib
import functools
import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path

from caejax.errors import CaejaxError
from caejax.files import remote

# What `os.path.expandvars` leaves where there is no such variable.
_VARIABLE = re.compile(r"\$(\w+|\{[^}]*\})")
Written = str | bytes | os.PathLike[str] | os.PathLike[bytes]
"""A path as functions of Python take it."""


def expand(path: Written, what: str, within: Path = Path()) -> Path:
    """Replaces `~`, `~user` and environment variables at the places where shells do.

    The first folders of a path that exist as they are written are taken so, whatever
    is in their names.

    Args:
      path: the path as the user has written it.
      what: the flag or field that holds it, for the error.
      within: the folder to which a relative path is relative; by default it stays
        relative to the working directory of the command.

    Raises:
      CaejaxError: an empty path, one with a character that no path may have, a
        variable or a home that there is not, the address of an object store.
    """
    text = os.fsdecode(path)
    if not text:
        raise CaejaxError(f"{what} is empty; name a file or a folder")
    if "\0" in text:
        raise CaejaxError(f"{what} is {text!r:.200}, and no path may hold \\x00")
    there, rest = _split(text, within)
    if not rest:
        return within / text
    if not there and remote.is_remote(text):
        raise remote.refusal(text, what)
    full = os.path.expandvars(rest)
    if unset := _VARIABLE.search(full):
        raise CaejaxError(
            f"{what} is {text!r}, but the environment has no variable "
            f"{unset[1].strip('{}')}; set it, or write the path out"
        )
    if not there:
        full = os.path.expanduser(full)
        if full.startswith("~"):
            raise CaejaxError(
                f"{what} is {text!r}, but there is no such home folder; write the path "
                "out"
            )
    return within / (there + full)


def expand_folder(path: Written, what: str) -> Path:
    """As `expand`, for a folder that may still have to be made.

    Raises:
      CaejaxError: as `expand`, or a file is there, or a link to nothing.
    """
    folder = expand(path, what)
    if os.path.lexists(folder) and not os.path.isdir(folder):
        kind = "file" if os.path.exists(folder) else "link to nothing"
        raise CaejaxError(f"{what} {folder} is a {kind}; name a folder")
    return folder


def expand_there(path: Written, what: str, within: Path) -> Path:
    """As `expand`, but where nothing is there, relative to the working directory.

    So what has been moved along with all else is found by its relative path.
    """
    found = expand(path, what, within)
    if os.path.lexists(found):
        return found
    here = expand(path, what)
    return here if os.path.lexists(here) else found


def as_text(path: Path) -> Path:
    """The real path to a place, for libraries that take UTF-8 alone and no `..`.

    Where bytes of a name are no text, it leads by a link in the folder for temporary
    files, which is there until the process ends.
    """
    path = Path(os.path.realpath(path))
    parts = path.parts
    strange = [i for i, part in enumerate(parts, start=1) if not _is_text(part)]
    if not strange:
        return path
    return _link_to(Path(*parts[: strange[-1]])).joinpath(*parts[strange[-1] :])


def _is_text(part):
    try:
        part.encode()
    except UnicodeEncodeError:
        return False
    return True


def _link_to(folder):
    link = _links() / hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    with contextlib.suppress(FileExistsError):
        link.symlink_to(folder)
    return link


@functools.cache
def _links():
    folder = tempfile.mkdtemp(prefix="caejax-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _split(text, within):
    """The longest beginning of a path that exists as it is written, and the rest."""
    ends = [i for i, c in enumerate(text) if c == os.sep and i]
    for end in (len(text), *reversed(ends)):
        if os.path.lexists(within / text[:end]):
            return text[:end], text[end:]
    return "", text
