"""Ways to get the runs of a sweep done."""

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from caejax.errors import CaejaxError
from caejax.sweep.results import ERROR_FILE, status
from caejax.sweep.spec import SweepRun
from caejax.train.loop import train
from caejax.writers import write_atomically


def serial(
    runs: Sequence[SweepRun],
    folder: Path,
    report: Callable[[int, SweepRun, str], None],
) -> None:
    """Does one run after another in this process.

    A finished run is skipped, one that was stopped half-way goes on, and one that
    fails leaves its error in its folder while the others are done.

    Args:
      runs: of the sweep.
      folder: holds a folder for each run.
      report: called as report(number, run, status), before and after each.
    """
    for number, run in enumerate(runs, start=1):
        if status(folder / run.id) == "done":
            report(number, run, "already done")
            continue
        report(number, run, "started")
        report(number, run, _attempt(run, folder / run.id))


def _attempt(run, workdir):
    error_file = workdir / ERROR_FILE
    try:
        train(run.config, workdir, verbose=False)
    except CaejaxError as error:
        text = str(error)
    except Exception as error:
        # One broken run must not end the others; its traceback is kept with it.
        text = f"{type(error).__name__}: {error}"
        workdir.mkdir(parents=True, exist_ok=True)
        write_atomically(workdir / "traceback.txt", traceback.format_exc())
    else:
        error_file.unlink(missing_ok=True)
        return "done"
    workdir.mkdir(parents=True, exist_ok=True)
    write_atomically(error_file, " ".join(text.split()) + "\n")
    return "failed"
