"""Reads what a run has written for TensorBoard."""

import struct
from pathlib import Path
from typing import Any

from tensorboardX.proto.event_pb2 import Event, SessionLog


def events_of(folder: Path) -> list[Event]:
    """The events that TensorBoard finds in a run's folder, in their order."""
    found = []
    for path in sorted((folder / "tensorboard").iterdir()):
        data = path.read_bytes()
        while data:
            (size,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + size])
            if event.session_log.status == SessionLog.START:  # later ones are void
                found = [x for x in found if x.step < event.step]
            found.append(event)
            data = data[16 + size :]
    return found


def values_of(folder: Path) -> dict[str, list[tuple[int, Any]]]:
    """Steps and values by tag."""
    found = {}
    for event in events_of(folder):
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value))
    return found
