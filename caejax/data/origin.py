"""Contents, by hashes that tell them apart."""

import hashlib
from collections.abc import Mapping

import numpy as np

from caejax.errors import CaejaxError

_DIGITS = 16


def hash_of(data: bytes | memoryview) -> str:
    """The hash of a file's contents: 16 hexadecimal digits of BLAKE2b."""
    return hashlib.blake2b(data, digest_size=_DIGITS // 2).hexdigest()


def hash_of_array(array: np.ndarray) -> str:
    """The hash of an array's type, shape and values, however it is stored."""
    about = f"{array.dtype.str} {array.shape} ".encode()
    found = hashlib.blake2b(about, digest_size=_DIGITS // 2)
    found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
    return found.hexdigest()


def check_origin(
    now: Mapping[str, str], recorded: Mapping[str, Mapping[str, str]], place: str
) -> None:
    """Checks that what was read is what it was.

    Args:
      now: hashes of contents by name.
      recorded: the same of an earlier time, by part of the data.
      place: where it was read, for the error.

    Raises:
      CaejaxError: something is not there or has changed.
    """
    for part, origin in recorded.items():
        for name, hash in origin.items():
            if now.get(name) != hash:
                what = "has changed since" if name in now else "is not there, but"
                raise CaejaxError(
                    f"{name} in {place} {what} the run has it for its {part} part; put "
                    "it back as it was, or train anew in another --workdir"
                )
