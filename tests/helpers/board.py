"""Reads what a run has written for TensorBoard."""

import struct
from pathlib import Path
from typing import Any

from tensorboardX.proto.event_pb2 import Event


def events_of(folder: Path) -> list[Event]:
    """The events of the one file of TensorBoard in a run's folder, in their order."""
    (path,) = (folder / "tensorboard").iterdir()
    data, found = path.read_bytes(), []
    while data:
        (size,) = struct.unpack("<Q", data[:8])
        found.append(Event.FromString(data[12 : 12 + size]))
        data = data[16 + size :]
    return found


def values_of(folder: Path) -> dict[str, list[tuple[int, Any]]]:
    """Steps and values by tag."""
    found = {}
    for event in events_of(folder):
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value))
    return found
