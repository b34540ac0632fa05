"""Object stores: what is read from there is kept here, and nothing is written there."""

import contextlib
import functools
import hashlib
import json
import os
import re
import shutil
import tempfile
from pathlib import Path

import pooch

from caejax.errors import CaejaxError
from caejax.files.locks import holding

# s3://bucket/x, also as `Path` writes it; a drive has one letter.
_URL = re.compile(r"[A-Za-z][\w+.-]+:/+.")
# What tells one version of a file from another, as the stores name it.
_VERSION = (
    *("size", "ETag", "etag", "md5Hash", "crc32c", "content_md5", "generation"),
    *("mtime", "LastModified", "last_modified", "updated", "created"),
)


def is_remote(path: object) -> bool:
    """Whether a path, as it is written, is the address of something elsewhere."""
    return bool(_URL.match(str(path)))


def refusal(path: object, what: str) -> CaejaxError:
    """The error that such an address cannot be used in place of a path.

    Args:
      path: the address.
      what: the flag or field that holds it.
    """
    return CaejaxError(
        f"{what} is {str(path)!r:.200}, and no object store keeps files as runs need "
        "them (locks, names that change at once): name a folder of a file system that "
        "all machines share, or one where `rclone mount` shows the store"
    )


@functools.cache
def fetched(address: str, what: str) -> Path:
    """A copy of a remote file or folder in the user's cache, made where it is missing.

    It is known by its files' names, sizes and versions, which are looked up once a
    process: what has changed there is another copy.

    Args:
      address: the address, as fsspec takes it.
      what: the flag or field that holds it.

    Raises:
      CaejaxError: fsspec or its part for this store is missing, or nothing is there.
    """
    try:
        from fsspec.core import url_to_fs
    except ModuleNotFoundError as error:
        raise CaejaxError(
            f'{what} is {address!r}, which needs fsspec: pip install "caejax[remote]"; '
            "or name a folder where `rclone mount` shows the store"
        ) from error
    address = re.sub(":/+", "://", address, count=1)
    # Every store has errors of its own.
    try:
        store, root = url_to_fs(address)
        files = store.find(root, detail=True)
        if not files:
            raise FileNotFoundError("nothing is there")
        return _copied(store, root.rstrip("/"), files)
    except CaejaxError:
        raise
    except Exception as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise CaejaxError(
            f"{what} is {address!r}, which cannot be read ({why}); correct it, or name "
            "a folder where `rclone mount` shows the store"
        ) from error


def _copied(store, root, files):
    about = {
        name: [str(info.get(key)) for key in _VERSION] for name, info in files.items()
    }
    text = json.dumps([str(store.protocol), root, about], sort_keys=True)
    place = pooch.os_cache("caejax") / "data"
    folder = place / hashlib.sha256(text.encode()).hexdigest()[:16]
    copy = folder / (os.path.basename(root) or "data")
    place.mkdir(parents=True, exist_ok=True)
    with holding(folder.with_suffix(".lock")):
        if not folder.exists():
            part = Path(tempfile.mkdtemp(prefix=".part-", dir=place))
            try:
                for name in files:
                    inside = os.path.relpath(name, root) if name != root else ""
                    target = part / copy.name / inside
                    target.parent.mkdir(parents=True, exist_ok=True)
                    store.get_file(name, str(target))
                part.rename(folder)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    shutil.rmtree(part)
    return copy
