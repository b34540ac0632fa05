"""Locks on files, which the operating system frees when their holder ends, however."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

# Held while tables, figures or a sweep's own files are written into a folder.
FILES_LOCK = ".files.lock"


@contextlib.contextmanager
def holding(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Holds a lock that no other process holds.

    Args:
      path: the path of the lock's file, which is made where it is missing.
      wait: whether to wait for another process that holds the lock.

    Yields:
      Whether the lock is held; always, if waited for.
    """
    with _opened(path) as file:
        yield _lock(file, fcntl.LOCK_EX, wait=wait)


@contextlib.contextmanager
def sharing(path: Path) -> Iterator[bool]:
    """Holds a lock together with others that share it.

    Two processes must not enter at the same moment: enter while holding another lock.

    Yields:
      Whether nobody held it before.
    """
    with _opened(path) as file:
        alone = _lock(file, fcntl.LOCK_EX, wait=False)
        yield _lock(file, fcntl.LOCK_SH, wait=True) and alone


def _opened(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("a")


def _lock(file, kind, wait):
    try:
        fcntl.flock(file, kind if wait else kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
