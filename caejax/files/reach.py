"""Whether locks reach from one machine to another, by commands that can be seen.

A command that works in a folder leaves a file there, holds its lock and writes a new
number into it every few seconds. Whoever comes from another machine and gets that lock,
though the number goes on, knows that locks do not reach so far: both would do the same
runs. A file whose number stands still is of a machine that was lost. Of two commands
the one that is at work already stays, and of two that begin at once the one whose
file's name comes first.
"""

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from caejax.errors import CaejaxError
from caejax.files import locks
from caejax.files.atomic import read_json, write_atomically

BEAT = 2.0  # seconds between two numbers
# Seconds without a new number after which a command is taken for lost.
PATIENCE = 10.0
_PREFIX = ".command-"
_ABOUT = {"machine", "host", "pid", "beat", "settled"}


@contextlib.contextmanager
def present(
    folder: Path, complain: Callable[[CaejaxError], None] | None = None
) -> Iterator[None]:
    """Shows that a command is at work in a folder, and looks for others elsewhere.

    Args:
      folder: the folder, made where it is missing.
      complain: called from a thread with what is raised where it is found later, as
        two commands may begin at the same moment.

    Raises:
      CaejaxError: a command on another machine is at work there, and locks do not
        reach it; or, without locks, any command is.
    """
    own = folder / f"{_PREFIX}{uuid.uuid4().hex[:12]}"
    watch = _Watch(own, threading.Event(), threading.Event(), [])
    with locks.holding(own.with_suffix(".lock")):
        _beat(watch, 0)
        thread = threading.Thread(target=_live, args=(watch, complain), daemon=True)
        thread.start()
        try:
            watch.settled.wait()
            if watch.found:
                raise watch.found[0]
            yield
        finally:
            watch.ended.set()
            thread.join()
            _remove(own)


def machine() -> str:
    """The same for two processes if locks of a local file system reach both."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return socket.gethostname()


class _Watch(NamedTuple):
    own: Path
    settled: threading.Event  # whether all others have been looked at
    ended: threading.Event
    found: list[CaejaxError]


class _Doubt(NamedTuple):
    """A command whose lock could be taken."""

    beat: int
    since: float


def _live(watch, complain):
    try:
        _watch_others(watch, complain)
    finally:
        watch.settled.set()


def _watch_others(watch, complain):
    beat, doubts = 0, {}
    while True:
        try:
            # Where the file system fails for once, it does not the next time.
            with contextlib.suppress(OSError):
                if not _look(watch, doubts):
                    watch.settled.set()
        except CaejaxError as error:
            watch.found.append(error)
            if watch.settled.is_set() and complain is not None:
                complain(error)
            return
        if watch.ended.wait(BEAT):
            return
        beat += 1
        with contextlib.suppress(OSError):
            _beat(watch, beat)


def _beat(watch, beat):
    about = {"machine": machine(), "host": socket.gethostname(), "pid": os.getpid()}
    about |= {"beat": beat, "settled": watch.settled.is_set()}
    write_atomically(watch.own, json.dumps(about) + "\n")


def _look(watch, doubts):
    """Looks at all other commands once; returns whether any is in doubt."""
    own = watch.own
    for path in own.parent.glob(f"{_PREFIX}*"):
        if path == own or path.suffix or not (seen := _read(path)):
            continue
        near = seen["machine"] == machine() and locks.in_use()
        with locks.holding(path.with_suffix(".lock"), wait=False) as free:
            if not free:
                doubts.pop(path, None)  # it is held, and we know
                continue
        if not path.exists():
            _remove(path)  # it has ended just now
            doubts.pop(path, None)
            continue
        doubt = doubts.setdefault(path, _Doubt(seen["beat"], time.monotonic()))
        if seen["beat"] != doubt.beat:
            mine = not watch.settled.is_set(), own.name
            if (not seen["settled"], path.name) < mine:
                raise _unseen(own.parent, seen)
            doubts[path] = _Doubt(seen["beat"], time.monotonic())
        elif near or time.monotonic() - doubt.since > PATIENCE:
            _remove(path)  # it has ended without a word
            doubts.pop(path, None)
    for path in [path for path in doubts if not path.exists()]:
        del doubts[path]
    return bool(doubts)


def _read(path):
    with contextlib.suppress(CaejaxError, OSError):
        seen = read_json(path)
        if seen.keys() >= _ABOUT:
            return seen
    return None


def _remove(path):
    for file in (path, path.with_suffix(".lock")):
        with contextlib.suppress(OSError):
            file.unlink()


def _unseen(folder, seen):
    who = f"a command on {seen['host']} (process {seen['pid']}) is at work in {folder}"
    if not locks.in_use():
        return CaejaxError(f"{who}; leave out --nolocks, or wait for it")
    return CaejaxError(
        f"{who}, and locks of this file system do not reach from there to here, so "
        "that both would do the same runs: wait for it, or have the file system "
        "mounted with locks that do (Lustre: -o flock instead of localflock)"
    )
