"""Locks on files, which the operating system frees when their holder ends, however.

On shared file systems they are as good as those: NFSv4 makes record locks of them,
some answer that they have none, and some lock among the processes of one machine only
(`caejax.files.reach` finds these).
"""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from caejax.errors import CaejaxError
from caejax.files.folders import missing, remove_empty

# Held while tables, figures or a sweep's own files are written into a folder.
FILES_LOCK = ".files.lock"
# Shared by all commands that work on a sweep.
COMMANDS_LOCK = ".commands.lock"

# Set by --nolocks, and inherited by worker processes: nothing is locked.
VARIABLE = "CAEJAX_NOLOCKS"

# What file systems answer that do not lock: Lustre's `noflock`, some FUSE and NFS.
_CANNOT = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOLCK)
# Taken by another: as flock says it, and as a record lock may.
_TAKEN = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)


@contextlib.contextmanager
def holding(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Holds a lock that no other process holds.

    Its file, and folders that are made for it, are gone again if nothing else has come
    into the folder.

    Args:
      path: the path of the lock's file, which is made where it is missing.
      wait: whether to wait for another process that holds the lock.

    Yields:
      Whether the lock is held; always, if waited for or without locks.

    Raises:
      CaejaxError: the file system cannot lock.
    """
    fresh, made = not path.exists(), missing(path.parent)
    file, held = _locked(path, fcntl.LOCK_EX, wait=wait)
    with file:
        try:
            yield held
        finally:
            if held and fresh:
                _leave_nothing(path, made)


@contextlib.contextmanager
def sharing(path: Path) -> Iterator[bool]:
    """Holds a lock together with others that share it.

    Two processes must not enter at the same moment: enter while holding another lock.

    Yields:
      Whether nobody held it before.

    Raises:
      CaejaxError: the file system cannot lock.
    """
    file, alone = _locked(path, fcntl.LOCK_EX, wait=False)
    with file:
        yield _lock(file, fcntl.LOCK_SH, wait=True) and alone


def in_use() -> bool:
    """Whether locks are taken at all."""
    return not os.environ.get(VARIABLE)


def _leave_nothing(path, made):
    """Removes a lock's file, and folders made for it, if that is all that they hold."""
    with contextlib.suppress(OSError):
        if set(os.listdir(path.parent)) <= {path.name}:
            path.unlink(missing_ok=True)
            remove_empty(made)


_TRIES = 100  # beyond that, a file system numbers its files anew each time


def _locked(path, kind, *, wait):
    """The lock's file, open, and whether it is locked.

    Whoever held it may have removed it meanwhile: then nobody else would find the lock,
    and it is made anew.
    """
    for attempt in range(_TRIES):
        try:
            file = _opened(path)
        except (FileExistsError, FileNotFoundError):
            if attempt == _TRIES - 1:
                raise
            continue  # the folder has been removed while it was made
        try:
            held = _lock(file, kind, wait=wait)
        except BaseException:
            file.close()
            raise
        if _is_at(file, path) or attempt == _TRIES - 1:
            return file, held
        file.close()


def _is_at(file, path):
    """Whether an open file is what lies there now."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _opened(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    # NFSv4 gives an exclusive lock for what is open for writing alone, and a shared
    # one for what is open for reading.
    return path.open("a+")


def _lock(file, kind, wait):
    if not in_use():
        return True
    try:
        fcntl.flock(file, kind if wait else kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _TAKEN and not wait:
            return False
        if error.errno in _CANNOT:
            raise CaejaxError(
                f"the file system of {Path(file.name).parent} cannot lock files "
                f"({error.strerror}): choose a --workdir on another, have this one "
                "mounted with locks (Lustre: -o flock), or add --nolocks if no other "
                "command uses the folder"
            ) from error
        raise
    return True
