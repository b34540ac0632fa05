"""One run of a sweep, done by whoever holds the lock in its folder.

So several commands may work on one folder and never do a run twice, and a run whose
process was killed is free again at once.
"""

import contextlib
import functools
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ml_collections import ConfigDict

from caejax.errors import CaejaxError, describe
from caejax.files.atomic import write_atomically
from caejax.files.locks import holding
from caejax.sweep.results import ERROR_FILE, TRACEBACK_FILE, forget_failure, status
from caejax.sweep.spec import SweepRun
from caejax.training.folder import is_started, read_config
from caejax.training.loop import alone
from caejax.training.run import Course

# do(config, workdir) does a run, or what is left of it: it returns what asks for the
# steps, or nothing where it needs none.
Do = Callable[[ConfigDict, Path], Course | None]


class Report(Protocol):
    """Is told of every change of a run's state."""

    def __call__(self, run: SweepRun, state: str, where: str = "") -> None:
        """Tells of it.

        Args:
          run: the run.
          state: its state from now on.
          where: the machine that it is done on, where that may be another.
        """


POLL = 0.2  # seconds to wait before another look at a run that cannot be done now
# States of a run after an attempt that has to be made again.
NOT_YET = ("pending", "running elsewhere")


def attempt(run: SweepRun, folder: Path, do: Do, begin: Callable[[], None]) -> str:
    """Does a run, unless it is no longer to be done or another process does it.

    Args:
      run: a run of the sweep.
      folder: the sweep's folder, which holds a folder for each run.
      do: the function that does the run. If it fails, its error is written into the
        run's folder.
      begin: called before the run is done.

    Returns:
      "done", "failed", "running elsewhere", or "pending" where it waits for another
      run, see `waits`.
    """
    return alone(attempting(run, folder, do, begin))


def attempting(
    run: SweepRun,
    folder: Path,
    do: Do,
    begin: Callable[[], None],
) -> Course:
    """Attempts a run by a generator, which other runs' can alternate with.

    Args:
      run: a run of the sweep.
      folder: the sweep's folder, which holds a folder for each run.
      do: the function that does the run. If it fails, its error is written into the
        run's folder.
      begin: called before the run is done.

    Returns:
      A generator that asks for the run's steps and then returns what `attempt`
      does. It holds the run's lock until it ends or is closed.
    """
    workdir = folder / run.id
    try:
        with holding(workdir / ".lock", wait=False) as mine:
            if mine:
                state = status(workdir)
                if state != "pending" or waits(run, folder):
                    return state
                begin()
                forget_failure(workdir)
                return (yield from _do(run, folder, do))
    except OSError as error:  # of the folder itself
        with contextlib.suppress(OSError):
            forget_failure(workdir)
        return _failed(workdir, describe(error))
    return "running elsewhere"


def give_up(run: SweepRun, folder: Path, reason: str) -> str:
    """Lets a run fail that cannot be done; returns its state.

    Args:
      run: a run of the sweep.
      folder: the sweep's folder, which holds a folder for each run.
      reason: the line that is written as its error.
    """
    return attempt(run, folder, functools.partial(_refuse, reason), lambda: None)


def _refuse(reason, config, workdir):
    del config, workdir
    raise CaejaxError(reason)


def waits(run: SweepRun, folder: Path) -> bool:
    """Whether the run that a run starts from is still to be done.

    Args:
      run: a run of the sweep.
      folder: the sweep's folder, which holds a folder for each run.
    """
    return bool(run.after) and status(folder / run.after) == "pending"


def _config_at(run, folder):
    """A run's config, with the folder of the run that it starts from.

    Raises:
      CaejaxError: the run that it starts from failed.
    """
    if not run.after:
        return run.config
    if status(folder / run.after) == "failed":
        raise CaejaxError(
            f"it starts from run {run.after}, which failed; mend that one first"
        )
    start = str((folder / run.after).resolve())
    if is_started(folder / run.id):
        # A sweep may have been moved since; what has begun no longer needs the folder.
        start = read_config(folder / run.id).train.start_from
    config = run.config.copy_and_resolve_references()
    config.train.start_from = start
    return config


def _do(run, folder, do):
    workdir = folder / run.id
    try:
        yield from do(_config_at(run, folder), workdir) or ()
    except CaejaxError as error:
        text = str(error)
    except Exception as error:
        # One broken run must not end the others; its traceback is kept with it.
        text = describe(error)
        with contextlib.suppress(OSError):
            write_atomically(workdir / TRACEBACK_FILE, traceback.format_exc())
    else:
        return "done"
    return _failed(workdir, text)


def _failed(workdir, text):
    # Where it cannot be written, the run is to be done by the next command.
    with contextlib.suppress(OSError):
        write_atomically(workdir / ERROR_FILE, " ".join(text.split()) + "\n")
    return "failed"
