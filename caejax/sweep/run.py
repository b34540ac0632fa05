"""A whole sweep, from its config to results.csv."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from ml_collections import ConfigDict

from caejax import config as config_lib
from caejax.errors import CaejaxError
from caejax.files.atomic import write_atomically, write_json
from caejax.files.locks import FILES_LOCK, holding, sharing
from caejax.runtime import stopping
from caejax.sweep import progress, results
from caejax.sweep.attempt import Do, Report
from caejax.sweep.executors import find_executor
from caejax.sweep.spec import CONFIG, SweepRun, expand
from caejax.training.folder import environment, is_started
from caejax.training.images import load_images
from caejax.training.loop import course
from caejax.training.run import Course

# Shared by all commands that work on the sweep.
_COMMANDS_LOCK = ".commands.lock"


def train_quietly(config: ConfigDict, workdir: Path) -> Course:
    """Trains one run of a sweep, or what is left to do of it."""
    return course(config, workdir, verbose=False)


def run_sweep(
    config: ConfigDict,
    workdir: Path,
    do: Do = train_quietly,
    *,
    only: Callable[[SweepRun], bool] = lambda run: True,
) -> list[results.Row]:
    """Does the runs that are not done yet and returns the rows of all.

    Several commands may work on one folder: each takes runs that no other has taken,
    and returns when all are finished. Runs that failed before are done again, unless
    another command is at work, whose failures they may be.

    Args:
      config: a config with sweep axes.
      workdir: the sweep's folder. Its tables are written anew after every run.
      do: the function that does one run; for worker processes it must be a
        function of a module.
      only: tells whether to do a run now; those that it starts from are done, too.
        All runs are in the tables. Groups of `vmap` are made of these alone.

    Raises:
      CaejaxError: a sweep that cannot be expanded, or a folder of something else.
    """
    runs = expand(config)
    wanted = _with_starts(runs, [run for run in runs if only(run)])
    executor, settings = find_executor(config)
    _check_data(workdir, runs)
    with (
        stopping.heeding_ctrl_c(),
        _joined(workdir, config, runs),
        _reported(workdir, runs, wanted) as report,
    ):
        executor.run(wanted, workdir / "runs", do, report, **settings)
    return results.collect(runs, workdir / "runs")


def _with_starts(runs, wanted):
    """The wanted runs and those that they start from, in the order of all."""
    by_id, ids = {run.id: run for run in runs}, set()
    for run in wanted:
        while run:
            ids.add(run.id)
            run = by_id.get(run.after)
    return [run for run in runs if run.id in ids]


def _check_data(workdir, runs):
    """Data that all runs share and none can read is one error, not one a run."""
    swept = any(f == CONFIG or f.startswith("data.") for f in runs[0].values)
    if not swept and results.unfinished(runs, workdir / "runs"):
        load_images(runs[0].config)


@contextlib.contextmanager
def _joined(workdir, config, runs) -> Iterator[None]:
    """Makes the folder this sweep's, alone or along with other commands."""
    started = _started_runs(workdir)
    if not started <= {run.id for run in runs}:
        raise CaejaxError(
            f"{workdir} holds other runs than this sweep's; "
            "choose another --workdir or delete this one"
        )
    with contextlib.ExitStack() as stack:
        with holding(workdir / FILES_LOCK):
            alone = stack.enter_context(sharing(workdir / _COMMANDS_LOCK))
            if alone:
                _claim(workdir, config, runs)
            elif _sweep_of(workdir / "config.json") != _without_executor(config):
                raise CaejaxError(
                    f"another command does a sweep in {workdir}, and not this one; "
                    "wait for it or choose another --workdir"
                )
        yield


def _claim(workdir, config, runs):
    path, text = workdir / "config.json", config_lib.to_json(config) + "\n"
    if not path.exists() or path.read_text() != text:
        write_json(workdir / "environment.json", environment())
        write_atomically(path, text)
    for run in runs:
        results.forget_failures(workdir / "runs" / run.id)


def _sweep_of(path):
    return _without_executor(config_lib.from_json(path.read_text()))


def _without_executor(config):
    values = json.loads(config_lib.to_json(config))
    return {name: value for name, value in values.items() if name != "executor"}


def _started_runs(workdir):
    if is_started(workdir):
        raise CaejaxError(
            f"{workdir} holds a single run, not a sweep; choose another --workdir"
        )
    return {run.name for run in (workdir / "runs").glob("*") if is_started(run)}


@contextlib.contextmanager
def _reported(workdir, runs, wanted) -> Iterator[Report]:
    """Keeps the tables of all runs up to date, and says how far the wanted ones are."""
    folder = workdir / "runs"
    states = {run.id: results.status(folder / run.id) for run in wanted}
    _write_tables(workdir, runs)
    with progress.live(states) as say:
        if already := list(states.values()).count("done"):
            say(f"{already} of {len(wanted)} runs are done already")

        def report(run: SweepRun, state: str) -> None:
            _look_elsewhere(states, folder)
            if state == states[run.id]:
                return
            states[run.id] = state
            if state in progress.FINISHED:
                _write_tables(workdir, runs)
            (row,) = results.collect([run], folder)
            say(_line(run, state, row))

        yield report
    _write_tables(workdir, runs)


def _look_elsewhere(states, folder):
    """Updates the states of runs that other commands have finished."""
    for name, state in states.items():
        now = results.status(folder / name)
        if state == "running elsewhere" and now in progress.FINISHED:
            states[name] = now


def _write_tables(workdir, runs):
    # Rows are read under the lock, so that no command writes older ones than another.
    with holding(workdir / FILES_LOCK):
        results.write(workdir, results.collect(runs, workdir / "runs"))


def _line(run, state, row):
    values = "  ".join(f"{field}={value}" for field, value in run.values.items())
    line = f"{run.id}  {values}  {state}"
    if state == "done" and "test/psnr" in row:
        line += f"  psnr {row['test/psnr']:.2f} dB"
    if state == "failed":
        line += f": {row['error']}"
    return line
