"""What a run writes as it goes: rows as JSON lines, and all that TensorBoard shows."""

import contextlib
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from caejax.files.atomic import Row, naming, read_rows, write_atomically
from caejax.training.board import Board


class MetricsWriter:
    """Appends rows to metrics.jsonl and events to TensorBoard; a context manager.

    Nothing is changed before the first row.

    Args:
      workdir: the run's folder.
      step: the step up to which rows have been written, None for a fresh start. Rows
        after it were written by a run that was killed, and are dropped: they come
        again.
      config: the run's config as a nested dict, for TensorBoard; None to go without.
      reached: the restored checkpoint's step, if that is another: parts of the curves
        of TensorBoard up to there do not come again.
    """

    def __init__(
        self,
        workdir: Path,
        step: int | None,
        config: Mapping[str, Any] | None = None,
        reached: int | None = None,
    ):
        self._workdir, self._step = workdir, step
        self._board = Board(workdir, step if reached is None else reached, config)

    def __enter__(self):
        """Returns itself."""
        return self

    def __exit__(self, *exception):
        """Closes both files."""
        opened = [self._board]
        if "_file" in self.__dict__:
            opened.append(self._file)
        for file in opened:
            # What is left in memory after a full disk must not hide that error.
            hide = (
                contextlib.suppress(OSError) if exception[0] else naming(self._workdir)
            )
            with hide:
                file.close()

    @functools.cached_property
    def _file(self):
        path, step = self._workdir / "metrics.jsonl", self._step
        rows = [] if step is None else [r for r in read_rows(path) if _kept(r, step)]
        write_atomically(path, "".join(json.dumps(row) + "\n" for row in rows))
        return path.open("a")

    def write(self, row: Row) -> None:
        """Writes one row: step, epoch, split and values.

        Raises:
          OSError: the disk is full, for instance; it has the file's name.
        """
        with naming(self._workdir / "metrics.jsonl"):
            self._file.write(json.dumps(row) + "\n")
            self._file.flush()
        self._board.row(row)

    def curve(self, step: int, loss: float, psnr: float) -> None:
        """Gives TensorBoard the training's means over the steps since the last ones."""
        self._board.curve(step, loss, psnr)

    def pictures(self, step: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Gives TensorBoard pictures by name; see `Board.pictures`."""
        self._board.pictures(step, arrays)


def _kept(row, step):
    # The test row is written after the last checkpoint, so it always comes again.
    return row["step"] <= step and row["split"] != "test"
