"""Folders that are made for files, and gone again where none has come into them."""

import contextlib
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path


def missing(folder: Path) -> list[Path]:
    """The folders that are to be made for a folder, the innermost first."""
    folders = (folder, *folder.parents)
    return list(itertools.takewhile(lambda x: not x.exists(), folders))


def remove_empty(folders: Iterable[Path]) -> None:
    """Removes folders, the innermost first, up to one that holds something."""
    with contextlib.suppress(OSError):
        for folder in folders:
            folder.rmdir()


@contextlib.contextmanager
def leaving_none_empty(folder: Path) -> Iterator[None]:
    """Removes what was made for a folder while entered, as far as it is empty."""
    made = missing(folder)
    try:
        yield
    finally:
        remove_empty(made)
