"""Progress bars, where the output is a terminal."""

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

_PIECES = 20  # of an epoch, after which a bar moves


class RunView(NamedTuple):
    """What is shown of a run while it trains.

    Attributes:
      pieces: the number of parts of an epoch after each of which it wants to be told.
      update: called as update(step, loss, psnr, images_per_second) after each part.
      say: called as say(line) at the start and after every epoch.
    """

    pieces: int
    update: Callable[[int, float, float, float], None]
    say: Callable[[str], None]


def _ignore(*news):
    """Shows nothing."""


@contextlib.contextmanager
def run_view(total: int, title: str, *, verbose: bool) -> Iterator[RunView]:
    """Shows a run: by a bar on a terminal, elsewhere by lines, or not at all.

    Args:
      total: the run's number of steps.
      title: the text before the bar.
      verbose: whether to show anything.
    """
    if not verbose:
        yield RunView(1, _ignore, _ignore)
        return
    if not sys.stdout.isatty():
        yield RunView(1, _ignore, functools.partial(print, flush=True))
        return
    with _bar(total, title, values="compiling") as change:

        def update(step, loss, psnr, images_per_second):
            speed = f"{images_per_second:,.0f} images/s"
            values = f"loss {loss:.4g}  psnr {psnr:.2f} dB  {speed}"
            change(completed=step, values=values)

        yield RunView(_PIECES, update, _ignore)


@contextlib.contextmanager
def counting_bar(total: int, title: str) -> Iterator[Callable[[float], None]]:
    """Shows progress through so many things, where the output is a terminal.

    Yields:
      `advance(count)`, to be called after each few things, or parts of one.
    """
    if not sys.stdout.isatty():
        yield _ignore
        return
    with _bar(total, title, values="") as change:
        yield lambda count: change(advance=count)


@contextlib.contextmanager
def _bar(total, title, values):
    """Yields a function that changes the bar."""
    from rich import progress

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TextColumn("{task.fields[values]}"),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns) as bar:
        task = bar.add_task(title, total=total, values=values)
        yield functools.partial(bar.update, task)
