"""What a run writes as it goes: JSON lines, TensorBoard scalars, progress."""

import contextlib
import functools
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

Row = dict[str, Any]


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Opens a file that takes its name only when it is whole."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Writes a text file that is never seen half-written."""
    with replacing(path) as file:
        file.write(text.encode())


def write_json(path: Path, value: Any) -> None:
    """Writes indented JSON, atomically."""
    write_atomically(path, json.dumps(value, indent=2) + "\n")


def read_rows(path: Path) -> list[Row]:
    """Reads JSON lines; a last line cut off by a kill is left out."""
    if not path.exists():
        return []
    lines = path.read_text().split("\n")
    # What follows the last newline was never finished.
    return [json.loads(line) for line in lines[:-1]]


class MetricsWriter:
    """Appends rows to metrics.jsonl and to TensorBoard; a context manager.

    Args:
      workdir: the run's folder.
      step: of the restored checkpoint, None for a fresh start. Rows after it were
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
        """Writes one row: step, epoch, split and figures."""
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        for name, value in row.items():
            if name not in ("step", "epoch", "split"):
                self._board.add_scalar(f"{row['split']}/{name}", value, row["step"])


def _kept(row, step):
    # The test row is written after the last checkpoint, so it always comes again.
    return row["step"] <= step and row["split"] != "test"


@contextlib.contextmanager
def progress_bar(total: int, title: str) -> Iterator[Callable[..., None] | None]:
    """Shows progress through the steps of a run, where the output is a terminal.

    Args:
      total: steps of the run.
      title: put before the bar.

    Yields:
      `update(step, loss, psnr, images_per_second)`, or None where the output is
      not a terminal.
    """
    with _bar(total, title, figures="compiling") as update:
        if update is None:
            yield None
            return

        def update_figures(step, loss, psnr, images_per_second):
            speed = f"{images_per_second:,.0f} images/s"
            figures = f"loss {loss:.4g}  psnr {psnr:.2f} dB  {speed}"
            update(completed=step, figures=figures)

        yield update_figures


@contextlib.contextmanager
def counting_bar(total: int, title: str) -> Iterator[Callable[[float], None]]:
    """Shows progress through so many things, where the output is a terminal.

    Yields:
      `advance(count)`, to be called after each few things, or parts of one.
    """
    with _bar(total, title, figures="") as update:
        yield lambda count: update and update(advance=count)


@contextlib.contextmanager
def _bar(total, title, figures):
    """Yields a function that changes the bar, or None without a terminal."""
    if not sys.stdout.isatty():
        yield None
        return
    from rich import progress

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TextColumn("{task.fields[figures]}"),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns) as bar:
        task = bar.add_task(title, total=total, figures=figures)
        yield functools.partial(bar.update, task)
