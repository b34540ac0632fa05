"""The rows that a run writes as it goes: JSON lines and TensorBoard scalars."""

import functools
import json
from pathlib import Path

from caejax.files.atomic import Row, read_rows, write_atomically
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
                getattr(self, name).close()

    @functools.cached_property
    def _file(self):
        path, step = self._workdir / "metrics.jsonl", self._step
        rows = [] if step is None else [r for r in read_rows(path) if _kept(r, step)]
        write_atomically(path, "".join(json.dumps(row) + "\n" for row in rows))
        return path.open("a")

    @functools.cached_property
    def _board(self):
        # Imported with the first row, so that training need not wait for it.
        from tensorboardX import SummaryWriter

        purge = None if self._step is None else self._step + 1
        return SummaryWriter(str(self._workdir / "tensorboard"), purge_step=purge)

    def write(self, row: Row) -> None:
        """Writes one row: step, epoch, split and values."""
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        split, step = row["split"], row["step"]
        for name, value in row.items():
            if name not in ("step", "epoch", "split"):
                tag = f"{split}/{name}"
                self._board.add_scalar(tag, value, step, None, *_about(name, split))


def _about(name, split):
    """What TensorBoard shows of a value: its title and a sentence."""
    found = find(name)
    return (f"{title(name)}, {split}", found.metric.text) if found else ()


def _kept(row, step):
    # The test row is written after the last checkpoint, so it always comes again.
    return row["step"] <= step and row["split"] != "test"
