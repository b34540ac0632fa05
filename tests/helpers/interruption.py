"""Interruptions between any two changes of a folder's files."""

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate")
# Audit hooks stay for good: there is one, and what it does can be taken away.
_watch: list[Callable[[], None]] = []
_folder = [""]


class Interrupted(BaseException):
    """What stands for a kill."""


def _hook(event, args):
    if not _watch or threading.current_thread() is not threading.main_thread():
        return
    if event == "open":
        changes = isinstance(args[2], int) and bool(args[2] & _WRITES)
    else:
        changes = event in _CHANGES
    if changes and str(args[0]).startswith(_folder[0]):
        _watch[0]()


sys.addaudithook(_hook)


def interrupted_at(change: int, folder: Path, do: Callable[[], object]) -> bool:
    """Does something, and raises `Interrupted` before the given change of a file.

    Args:
      change: the number of the change of a file in the folder, from 0 on, in the
        main thread.
      folder: the folder.
      do: what is done.

    Returns:
      Whether there were so many changes.
    """
    count = 0

    def watch():
        nonlocal count
        count += 1
        if count > change:
            raise Interrupted

    _folder[0] = str(folder)
    _watch.append(watch)
    try:
        do()
    except Interrupted:
        return True
    finally:
        _watch.clear()
    return False
