"""The rows that a run writes as it goes: JSON lines and TensorBoard scalars."""

import contextlib
import functools
import importlib
import json
import socket
import struct
import time
from pathlib import Path

from caejax.files.atomic import Row, naming, read_rows, write_atomically
from caejax.metrics.table import find, title


class MetricsWriter:
    """Appends rows to metrics.jsonl and to TensorBoard; a context manager.

    Nothing is changed before the first row.

    Args:
      workdir: the run's folder.
      step: the restored checkpoint's step, None for a fresh start. Rows after it were
        written by a run that was killed, and are dropped: they come again.
    """

    def __init__(self, workdir: Path, step: int | None):
        self._workdir, self._step = workdir, step

    def __enter__(self):
        """Returns itself."""
        return self

    def __exit__(self, *exception):
        """Closes both files."""
        for name in ("_file", "_board"):
            if name in self.__dict__:
                # What is left in memory after a full disk must not hide that error.
                hide = (
                    contextlib.suppress(OSError)
                    if exception[0]
                    else naming(self._workdir)
                )
                with hide:
                    getattr(self, name).close()

    @functools.cached_property
    def _file(self):
        path, step = self._workdir / "metrics.jsonl", self._step
        rows = [] if step is None else [r for r in read_rows(path) if _kept(r, step)]
        write_atomically(path, "".join(json.dumps(row) + "\n" for row in rows))
        return path.open("a")

    @functools.cached_property
    def _board(self):
        folder = self._workdir / "tensorboard"
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time():.0f}.{socket.gethostname()}"
        return (folder / name).open("wb")

    def write(self, row: Row) -> None:
        """Writes one row: step, epoch, split and values.

        Raises:
          OSError: the disk is full, for instance; it has the file's name.
        """
        with naming(self._workdir / "metrics.jsonl"):
            self._file.write(json.dumps(row) + "\n")
            self._file.flush()
        with naming(self._workdir / "tensorboard"):
            if not self._board.tell():
                self._board.write(b"".join(map(_record, _head(self._step))))
            self._board.write(b"".join(map(_record, _events(row))))
            self._board.flush()


# Files of TensorBoard are written here, because the thread in which tensorboardX does
# it would die of a full disk unheard. It is imported with the first row, if it has not
# been before, so that training need not wait for it.


def load_tensorboard() -> None:
    """Imports what the first row would have to wait for."""
    for part in ("proto.event_pb2", "record_writer", "summary"):
        importlib.import_module(f"tensorboardX.{part}")


def _record(event):
    from tensorboardX.record_writer import masked_crc32c

    data = event.SerializeToString()
    size = struct.pack("<Q", len(data))
    sums = (struct.pack("<I", masked_crc32c(part)) for part in (size, data))
    return size + next(sums) + data + next(sums)


def _head(step):
    """Says what the file is, and that what an earlier one has after a step is void."""
    from tensorboardX.proto.event_pb2 import Event, SessionLog

    about = {"file_version": "brain.Event:2", "wall_time": time.time()}
    yield Event(**about)
    if step is not None:
        yield Event(step=step + 1, **about)
        log = SessionLog(status=SessionLog.START)
        yield Event(step=step + 1, session_log=log, wall_time=time.time())


def _events(row):
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.summary import scalar

    split, step = row["split"], row["step"]
    for name, value in row.items():
        if name not in ("step", "epoch", "split"):
            summary = scalar(f"{split}/{name}", value, *_about(name, split))
            yield Event(summary=summary, step=step, wall_time=time.time())


def _about(name, split):
    """What TensorBoard shows of a value: its title and a sentence."""
    found = find(name)
    return (f"{title(name)}, {split}", found.metric.text) if found else ()


def _kept(row, step):
    # The test row is written after the last checkpoint, so it always comes again.
    return row["step"] <= step and row["split"] != "test"
