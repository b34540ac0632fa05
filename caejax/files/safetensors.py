"""The safetensors format: named arrays and a header of texts, read without code.

Eight bytes with the header's length, the header as JSON, the arrays' bytes one after
the other; see https://github.com/huggingface/safetensors.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from caejax.errors import CaejaxError
from caejax.files.atomic import replacing

SUFFIX = ".safetensors"
CHECKSUM = "sha256"

_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "U8": "|u1",
}
_NAMES = {np.dtype(text): name for name, text in _TYPES.items()}
_ALIGNED = 8
_LONGEST = 100_000_000  # bytes of a header, as the format has it


def write(
    path: Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> None:
    """Writes arrays and texts, with a checksum over all of them.

    Args:
      path: the file.
      arrays: the arrays by name, of 64, 32 or 16 bits, or uint8.
      metadata: texts by name; "sha256" is added.
    """
    header, parts, end = {}, [], 0
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        kind = np.dtype(array.dtype).newbyteorder("<")
        part = array.astype(kind).tobytes()
        places = [end, end := end + len(part)]
        shape = list(array.shape)
        header[name] = {"dtype": _NAMES[kind], "shape": shape, "data_offsets": places}
        parts.append(part)
    body = b"".join(parts)
    texts = {**metadata, CHECKSUM: _digest(header, metadata, body)}
    head = json.dumps({"__metadata__": texts, **header}).encode()
    head += b" " * (-len(head) % _ALIGNED)
    with replacing(path) as file:
        file.write(len(head).to_bytes(8, "little") + head + body)


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Reads the arrays and the texts of a file.

    Files without a checksum, which other programs write, are read without it.

    Raises:
      CaejaxError: the file is not there, cut, changed or another one.
    """
    try:
        stored = path.read_bytes()
    except OSError as error:
        raise CaejaxError(f"{path} cannot be read: {error.strerror}") from error
    try:
        length = int.from_bytes(stored[:8], "little")
        if len(stored) < 8 or length > min(_LONGEST, len(stored) - 8):
            raise ValueError("the header is cut")
        header = json.loads(stored[8 : 8 + length])
        metadata = dict(header.pop("__metadata__", {}))
        body = memoryview(stored)[8 + length :]
        arrays = {name: _array(entry, body) for name, entry in header.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CaejaxError(
            f"{path} is no safetensors file, or is damaged ({error}); put a whole "
            "copy of it there"
        ) from error
    told = metadata.pop(CHECKSUM, None)
    if told is not None and told != _digest(header, metadata, body):
        raise CaejaxError(
            f"{path} is damaged or was changed: its checksum is not the one in its "
            "header; put a whole copy of it there"
        )
    return arrays, metadata


def _array(entry, body):
    if entry["dtype"] not in _TYPES:
        raise ValueError(f"arrays of type {entry['dtype']} are not read")
    begin, end = entry["data_offsets"]
    if not 0 <= begin <= end <= len(body):
        raise ValueError("an array is cut")
    flat = np.frombuffer(body[begin:end], _TYPES[entry["dtype"]])
    return flat.reshape(entry["shape"])


def _digest(header, metadata, body):
    about = json.dumps([header, dict(metadata)], sort_keys=True).encode()
    return hashlib.sha256(about + bytes(body)).hexdigest()
