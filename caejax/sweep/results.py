"""The tables of a sweep, one row a run.

results.csv holds no times, so that a sweep that was stopped and went on ends with the
same bytes as one that was not; they are in timings.csv.
"""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from caejax.errors import CaejaxError
from caejax.files.csv_files import write_csv
from caejax.files.finished import read_summary
from caejax.sweep.spec import SweepRun

Row = dict[str, Any]

ERROR_FILE = "error.txt"
TRACEBACK_FILE = "traceback.txt"
_AGAIN_FILE = ".again"  # the run is to be done again, though it has failed

_TIMES = ("train_seconds",)


def collect(runs: Sequence[SweepRun], folder: Path) -> list[Row]:
    """Reads what the runs have written.

    Returns:
      A row a run: run_id, the swept values, seed, status, error, and every value of
      its summary.json where there is one.
    """
    return [_row(run, folder / run.id) for run in runs]


def _row(run, workdir):
    state, summary = _state(workdir)
    row = {"run_id": run.id, **run.values, "seed": run.config.seed, "status": state}
    row["error"] = error_text(workdir) if state == "failed" else ""
    return row | summary


def write(workdir: Path, rows: Sequence[Row]) -> None:
    """Writes results.csv and timings.csv into a sweep's folder."""
    results = [{k: v for k, v in row.items() if k not in _TIMES} for row in rows]
    write_csv(workdir / "results.csv", results)
    columns = ("run_id", *_TIMES)
    timings = [{k: v for k, v in row.items() if k in columns} for row in rows]
    write_csv(workdir / "timings.csv", timings)


def status(workdir: Path) -> str:
    """What a run's folder says of it: "done", "failed" or "pending".

    Where its summary is damaged, it is not done.
    """
    return _state(workdir)[0]


def _state(workdir):
    with contextlib.suppress(CaejaxError, OSError):
        return "done", read_summary(workdir)
    failed = error_text(workdir) and not os.path.exists(workdir / _AGAIN_FILE)
    return ("failed" if failed else "pending"), {}


def unfinished(runs: Sequence[SweepRun], folder: Path) -> list[SweepRun]:
    """Those of runs that are not done; folder holds a folder for each."""
    return [run for run in runs if status(folder / run.id) != "done"]


def try_again(workdir: Path) -> None:
    """Makes a run that failed one that is to be done; its error stays until it is."""
    if status(workdir) == "failed" and workdir.is_dir():
        with contextlib.suppress(OSError):  # it cannot be written to, and so has failed
            (workdir / _AGAIN_FILE).touch()


def forget_failure(workdir: Path) -> None:
    """Removes what a run has failed with, as it is begun again."""
    for path in (workdir / x for x in (ERROR_FILE, TRACEBACK_FILE, _AGAIN_FILE)):
        if path.is_file() or path.is_symlink():
            path.unlink()


def error_text(workdir: Path) -> str:
    """The error a run failed with, or nothing."""
    if workdir.exists() and not workdir.is_dir():
        return f"{workdir} is no folder; move it away"
    if workdir.is_dir() and not os.access(workdir, os.X_OK):
        return f"{workdir} may not be looked into; change its permissions"
    path = workdir / ERROR_FILE
    if not path.is_file():
        return ""
    text = path.read_bytes().decode(errors="backslashreplace")
    return " ".join(text.split()) or "no error was left"
