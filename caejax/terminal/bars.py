"""Progress bars, where the output is a terminal."""

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator


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
