"""The rows that a run writes as it goes: JSON lines and TensorBoard scalars."""

import contextlib
import functools
import json
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
        # Imported with the first row, so that training need not wait for it. Events
        # are written here: tensorboardX's own thread would die of a full disk unheard.
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        folder = self._workdir / "tensorboard"
        folder.mkdir(parents=True, exist_ok=True)
        board = EventsWriter(str(folder / "events"))
        if self._step is not None:  # what comes after it is no more
            purged = {"step": self._step + 1, "wall_time": time.time()}
            log = SessionLog(status=SessionLog.START)
            board.write_event(Event(file_version="brain.Event:2", **purged))
            board.write_event(Event(session_log=log, **purged))
        return board

    def write(self, row: Row) -> None:
        """Writes one row: step, epoch, split and values.

        Raises:
          OSError: the disk is full, for instance; it has the file's name.
        """
        with naming(self._workdir / "metrics.jsonl"):
            self._file.write(json.dumps(row) + "\n")
            self._file.flush()
        with naming(self._workdir / "tensorboard"):
            for event in _events(row):
                self._board.write_event(event)
            self._board.flush()


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
