"""The rows that a run writes as it goes: JSON lines and TensorBoard scalars."""

import functools
import json
from pathlib import Path

from caejax.files.atomic import Row, read_rows, write_atomically
from caejax.metrics.table import find, title


class MetricsWriter:
    """Appends rows to metrics.jsonl and to TensorBoard; a context manager.

    Args:
      workdir: the run's folder.
      step: the restored checkpoint's step, None for a fresh start. Rows after it were
        written by a run that was killed, and are dropped: they come again.
    """

    def __init__(self, workdir: Path, step: int | None):
        path = workdir / "metrics.jsonl"
        rows = [] if step is None else [r for r in read_rows(path) if _kept(r, step)]
        write_atomically(path, "".join(json.dumps(row) + "\n" for row in rows))
        self._file = path.open("a")
        self._folder, self._step = workdir / "tensorboard", step

    def __enter__(self):
        """Returns itself."""
        return self

    def __exit__(self, *exception):
        """Closes both files."""
        self._file.close()
        if "_board" in self.__dict__:
            self._board.close()

    @functools.cached_property
    def _board(self):
        # Imported with the first row, so that training need not wait for it.
        from tensorboardX import SummaryWriter

        purge = None if self._step is None else self._step + 1
        return SummaryWriter(str(self._folder), purge_step=purge)

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
