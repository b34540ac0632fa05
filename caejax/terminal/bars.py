"""What stays below all lines while a command works, where the output is a terminal.

It is never wider than the terminal, and neither are the lines above.
"""

import contextlib
import functools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from caejax.terminal.lines import duration, fitted, printable

if TYPE_CHECKING:  # it takes a while, and is for terminals alone
    from rich.console import RenderableType

_PIECES = 20  # of an epoch, after which a bar moves
_WIDEST = 30  # columns of a bar


class RunView(NamedTuple):
    """What is shown of a run while it trains.

    Attributes:
      pieces: the number of parts of an epoch after each of which it wants to be told.
      update: called as update(step, loss, psnr, images_per_second) after each part.
      say: called as say(part, ...) at the start and after every epoch, for a line; on a
        terminal, of those parts for which it has room, the first ones kept.
    """

    pieces: int
    update: Callable[[int, float, float, float], None]
    say: Callable[..., None]


def _ignore(*news):
    """Shows nothing."""


@contextlib.contextmanager
def run_view(total: int, epochs: int, *, verbose: bool) -> Iterator[RunView]:
    """Shows a run by lines, above a bar on a terminal; or not at all.

    Args:
      total: the run's number of steps.
      epochs: its number of epochs.
      verbose: whether to show anything.
    """
    if not verbose:
        yield RunView(1, _ignore, _ignore)
        return
    if not sys.stdout.isatty():
        yield RunView(1, _ignore, lambda *parts: print("  ".join(parts), flush=True))
        return
    now = [0.0, "compiling"]  # how much is done, and what is shown of it
    began = None  # all is compiled

    def update(step, loss, psnr, images_per_second):
        nonlocal began
        first, start = began = began or (step, time.monotonic())
        done = (step - first) / (total - first) if total > first else 1.0
        now[:] = (
            step / total,
            f"epoch {-(-step * epochs // total)}/{epochs}",
            f"loss {loss:.4f}",
            f"psnr {psnr:.2f} dB",
            *time_left(done, time.monotonic() - start),
            f"{images_per_second:,.0f} images/s",
        )

    with below(lambda width: meter(now[0], now[1:], width)) as say:
        yield RunView(_PIECES, update, say)


@contextlib.contextmanager
def counting_bar(total: int, title: str) -> Iterator[Callable[[float], None]]:
    """Shows progress through so many things, where the output is a terminal.

    Yields:
      `advance(count)`, to be called after each few things, or parts of one.
    """
    if not sys.stdout.isatty():
        yield _ignore
        return
    done, began = [0.0], time.monotonic()

    def advance(count):
        done[0] += count

    def line(width):
        share = done[0] / total if total else 1.0
        left = time_left(share, time.monotonic() - began)
        return meter(share, [title, f"{share:.0%}", *left], width)

    with below(line):
        yield advance


def time_left(done: float, seconds: float) -> list[str]:
    """How long the rest takes, if so much has taken so long; [] where that is unknown.

    Args:
      done: the share of the work that is done, from 0 to 1.
      seconds: how long that has taken.
    """
    if not 0 < done < 1:
        return []
    return [f"{duration(seconds / done * (1 - done))} left"]


def meter(done: float, parts: Sequence[str], width: int) -> "RenderableType":
    """A bar and words behind it, in so many columns.

    Args:
      done: the share of the bar that is full, from 0 to 1.
      parts: the words, the most important first.
      width: the columns.
    """
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    room = min(width // 7, _WIDEST)
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_row(
        ProgressBar(1.0, done, width=room), one_line(fitted(parts, width - room - 2))
    )
    return grid


def one_line(text: str) -> "RenderableType":
    """Text of one line, of which the end is left out where there is no room for it."""
    from rich.text import Text

    return Text(printable(text), no_wrap=True, overflow="ellipsis")


@contextlib.contextmanager
def below(
    show: Callable[[int], "RenderableType"],
) -> Iterator[Callable[..., None]]:
    """Keeps something below all else on the terminal.

    Args:
      show: called with the terminal's columns, says what, four times a second.

    Yields:
      `say(part, ...)`, which prints a line above it, of those parts for which there is
      room, the first ones kept.
    """
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    with Live(
        get_renderable=lambda: show(console.width),
        console=console,
        refresh_per_second=4,
    ):
        yield functools.partial(_say, console)


def _say(console, *parts):
    console.print(one_line(fitted(parts, console.width)))
