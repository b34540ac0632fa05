"""How far a sweep is, for people."""

import collections
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from caejax.sweep.spec import SweepRun
from caejax.terminal.bars import below, meter, one_line, time_left
from caejax.terminal.lines import duration, printable, tell

FINISHED = ("done", "failed")
_RUNNING = ("running", "running elsewhere")
_SHOWN = 8  # running runs; of more, their number is shown
_TAIL = 1 << 15  # bytes at the end of metrics.jsonl, enough for some epochs

# say(text, brief): a line for files, and its parts for terminals, the most important
# first; none for what is seen there anyway.
Say = Callable[[str, Sequence[str]], None]
NOWHERE: Mapping[str, str] = MappingProxyType({})


@contextlib.contextmanager
def live(
    runs: Sequence[SweepRun],
    folder: Path,
    states: Mapping[str, str],
    places: Mapping[str, str] = NOWHERE,
) -> Iterator[Say]:
    """Shows how far a sweep is: on a terminal by a line for each run at work.

    Args:
      runs: the runs that are to be done.
      folder: the folder that holds a folder for each run.
      states: the runs' states by id. Who is shown the sweep changes them as it goes on.
      places: the machines that do runs, by the runs' ids; changed likewise.

    Yields:
      `say(text, brief)`, which prints a line; elsewhere than on a terminal with how far
      the sweep is before it.
    """
    began, before = time.monotonic(), _finished(states)

    def how_far() -> tuple[int, float]:
        return _finished(states) - before, time.monotonic() - began

    if not sys.stdout.isatty():
        yield lambda text, brief: tell(
            f"[{summarise(states.values(), *how_far())}] {text}"
        )
        return

    def show(width):
        from rich.console import Group

        running = [run for run in runs if states[run.id] in _RUNNING]
        rows = [last_row(folder / run.id / "metrics.jsonl") for run in running]
        lines = [
            one_line(running_line(run, row, width, places.get(run.id, "")))
            for run, row in zip(running[:_SHOWN], rows, strict=False)
        ]
        if more := len(running) - _SHOWN if len(running) > _SHOWN else 0:
            lines.append(one_line(f"and {more} more running"))
        begun = sum(map(_share, running, rows))
        words = summary_words(states.values(), *how_far(), begun=begun)
        done = (_finished(states) + begun) / max(1, len(states))
        return Group(*lines, meter(done, words, width))

    with below(show) as say:
        yield lambda text, brief: say(*brief) if brief else None


def _finished(states):
    return sum(state in FINISHED for state in states.values())


def _share(run, row):
    """How much of a run is done, from 0 to 1."""
    return min(1.0, row.get("epoch", 0) / run.config.train.epochs)


def running_line(
    run: SweepRun, row: Mapping[str, Any], width: int, where: str = ""
) -> str:
    """A running run's epoch, loss and PSNR, and by what it differs from the others.

    Args:
      run: the run.
      row: its last row of training, {} before there is one.
      width: the columns that there are; the line may be longer.
      where: the machine that does it, "" for this one.
    """
    parts = [f"on {printable(where)}"] * bool(where)
    parts += [f"epoch {row.get('epoch', 0):g}/{run.config.train.epochs}"]
    if row:
        parts += [f"loss {row['loss']:.4f}", f"psnr {row['psnr']:.2f} dB"]
    line = "  ".join(parts)
    full = "  ".join(short_values(run))
    bare = " ".join(map(str, run.values.values()))
    return f"{line}  {full if len(line) + 2 + len(full) <= width else bare}"


def short_values(run: SweepRun) -> list[str]:
    """By what a run differs from the others: "upsampling=deconv_k3", "seed=0"."""
    return [f"{field.split('.')[-1]}={value}" for field, value in run.values.items()]


def last_row(path: Path) -> dict[str, Any]:
    """The last row of training of a metrics.jsonl that grows, {} if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            lines = file.read().split(b"\n")[:-1]
    except OSError:
        return {}
    for line in reversed(lines):
        with contextlib.suppress(ValueError, RecursionError):
            row = json.loads(line)
            if isinstance(row, dict) and row.get("split") == "train":
                numbers = (row.get(name) for name in ("epoch", "loss", "psnr"))
                if all(isinstance(number, int | float) for number in numbers):
                    return row
    return {}


def summarise(states: Iterable[str], finished: int, seconds: float) -> str:
    """How many runs are done, running and failed, the time taken and the time left.

    Args:
      states: the states of all runs.
      finished: how many runs this command has seen finish.
      seconds: the time in which they finished.

    Returns:
      "3 of 12 done, 2 running, 1 failed, after 2 min, about 4 min left".
    """
    counts, left = _counts(states)
    parts = [_done(counts), f"{_running(counts)} running", *_failed(counts)]
    parts.append(f"after {duration(seconds)}")
    if left and finished:
        parts.append(f"about {duration(seconds / finished * left)} left")
    return ", ".join(parts)


def summary_words(
    states: Iterable[str], finished: int, seconds: float, *, begun: float
) -> list[str]:
    """The same for a line that may be too short for all, the most important first.

    Args:
      states: as for `summarise`.
      finished: as for `summarise`.
      seconds: as for `summarise`.
      begun: the shares of the running runs that are done, summed.
    """
    counts, left = _counts(states)
    parts = [_done(counts), *_failed(counts)]
    if not left:
        return [*parts, f"in {duration(seconds)}"]
    share = (finished + begun) / (finished + left)
    parts += [*time_left(share, seconds), f"{duration(seconds)} so far"]
    return [*parts, f"{_running(counts)} running"]


def _counts(states):
    counts = collections.Counter(states)
    return counts, counts.total() - sum(counts[state] for state in FINISHED)


def _done(counts):
    return f"{counts['done']} of {counts.total()} done"


def _failed(counts):
    return [f"{counts['failed']} failed"] * (counts["failed"] > 0)


def _running(counts):
    return sum(counts[state] for state in _RUNNING)


def line_of(run: SweepRun, state: str, row: Mapping[str, Any], where: str = "") -> str:
    """A run's new state and the machine that it is on, in one line for files."""
    values = "  ".join(f"{field}={value}" for field, value in run.values.items())
    news = _with_error(state, row) + f" on {where}" * bool(where)
    return "  ".join([run.id, values, news, *_psnr(state, row)])


def brief_of(run: SweepRun, state: str, row: Mapping[str, Any]) -> list[str]:
    """The same for terminals, the most important first; [] while it is at work."""
    if state in _RUNNING:
        return []
    what = [printable(_with_error(state, row)), *_psnr(state, row)]
    return [*what, *short_values(run), run.id]


def _with_error(state, row):
    return f"failed: {row['error']}" if state == "failed" else state


def _psnr(state, row):
    if state == "done" and "test/psnr" in row:
        return [f"test psnr {row['test/psnr']:.2f} dB"]
    return []
