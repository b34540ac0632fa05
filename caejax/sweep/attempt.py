"""One run of a sweep, done by whoever holds the lock in its folder.

So several commands may work on one folder and never do a run twice, and a run whose
process was killed is free again at once.
"""

import traceback
from collections.abc import Callable
from pathlib import Path

from ml_collections import ConfigDict

from caejax.errors import CaejaxError
from caejax.files.atomic import write_atomically
from caejax.files.locks import holding
from caejax.sweep.results import ERROR_FILE, TRACEBACK_FILE, status
from caejax.sweep.spec import SweepRun
from caejax.train.loop import alone
from caejax.train.run import Course

# do(config, workdir) does a run, or what is left of it: it returns what asks for the
# steps, or nothing where it needs none.
Do = Callable[[ConfigDict, Path], Course | None]
Report = Callable[[SweepRun, str], None]

POLL = 0.2  # seconds to wait before another look at a run that another command does


def attempt(run: SweepRun, folder: Path, do: Do, begin: Callable[[], None]) -> str:
    """Does a run, unless it is no longer to be done or another process does it.

    Args:
      run: of the sweep.
      folder: holds a folder for each run.
      do: does the run. If it fails, its error is written into the run's folder.
      begin: called before that.

    Returns:
      "done", "failed" or "running elsewhere".
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
      run, folder, do, begin: as in `attempt`.

    Returns:
      Asks for the run's steps, and then returns what `attempt` does. It holds the
      run's lock until it ends or is closed.
    """
    workdir = folder / run.id
    with holding(workdir / ".lock", wait=False) as mine:
        if mine:
            state = status(workdir)
            if state != "pending":
                return state
            begin()
            return (yield from _do(run.config, workdir, do))
    return "running elsewhere"


def _do(config, workdir, do):
    try:
        yield from do(config, workdir) or ()
    except CaejaxError as error:
        text = str(error)
    except Exception as error:
        # One broken run must not end the others; its traceback is kept with it.
        text = f"{type(error).__name__}: {error}"
        write_atomically(workdir / TRACEBACK_FILE, traceback.format_exc())
    else:
        return "done"
    write_atomically(workdir / ERROR_FILE, " ".join(text.split()) + "\n")
    return "failed"
