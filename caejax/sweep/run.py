"""A whole sweep, from its config to results.csv."""

import contextlib
import functools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ml_collections import ConfigDict

from caejax import config as config_lib
from caejax.config.length import few_steps
from caejax.config.stored import read_stored
from caejax.errors import CaejaxError
from caejax.files.atomic import write_atomically
from caejax.files.locks import COMMANDS_LOCK, FILES_LOCK, holding, sharing
from caejax.files.paths import Written, expand_folder
from caejax.runtime import stopping
from caejax.sweep import progress, results
from caejax.sweep.alike import program_of
from caejax.sweep.attempt import Do, Report
from caejax.sweep.differences import difference
from caejax.sweep.executors import find_executor
from caejax.sweep.mend import mend
from caejax.sweep.spec import CONFIG, SweepRun, expand
from caejax.terminal.lines import tell
from caejax.training import recorded
from caejax.training.folder import (
    begun_in,
    is_started,
    read_config,
    write_environment,
)
from caejax.training.images import load_data
from caejax.training.loop import course
from caejax.training.memory import check_memory
from caejax.training.run import Course

TUNING = "tune"  # the folder of the sweep that tunes a sweep, inside of its own
_CHEAP = 0.1  # seconds for the tables, which may always be taken
_CLAIM = ".sweep.json"  # the config of all commands that work on the sweep


def train_quietly(config: ConfigDict, workdir: Path) -> Course:
    """Trains one run of a sweep, or what is left to do of it.

    Its data are split as those of the runs beside it, whatever has come into the folder
    of the data since these began.
    """
    return course(config, workdir, verbose=False, data=_of_others(config, workdir))


def _of_others(config, workdir):
    """What another run beside this one was trained on, if it has the same data."""
    for other in sorted(workdir.parent.iterdir()):
        with contextlib.suppress(CaejaxError, OSError):
            if is_started(other) and read_config(other).data == config.data:
                return recorded.read(other)
    return None


def run_sweep(
    config: ConfigDict,
    workdir: Written,
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
      workdir: the sweep's folder. Its tables are written anew after every run, or
        after some where that takes long.
      do: the function that does one run; for worker processes it must be a
        function of a module.
      only: tells whether to do a run now; those that it starts from are done, too.
        All runs are in the tables. Groups of `vmap` are made of these alone.

    Raises:
      CaejaxError: a sweep that cannot be expanded, or a folder of something else.
    """
    workdir = expand_folder(workdir, "workdir")
    named, runs = _runs(workdir, config)
    wanted = _with_starts(runs, [run for run in runs if only(run)])
    executor, settings = find_executor(config)
    _check_data(workdir, runs)
    with (
        stopping.heeding_ctrl_c(),
        _joined(workdir, named, runs, wanted) as settle,
        _reported(workdir, runs, wanted, settle) as report,
    ):
        executor.run(wanted, workdir / "runs", do, report, **settings)
    return results.collect(runs, workdir / "runs")


def _runs(workdir, config):
    """The config as the folder has it, and its runs.

    Where data.dir alone is another than the folder's, the runs keep their names, and
    read data there.
    """
    started, within = _started_runs(workdir), paths_of(workdir)
    runs = expand(config, within)
    path = workdir / "config.json"
    if started <= {run.id for run in runs} or not path.exists():
        return config, runs
    named = config.copy_and_resolve_references()
    named.data.dir = read_config(workdir).data.dir
    if _sweep_of(path) != _of_runs(named):
        return config, runs
    return named, [
        old._replace(config=new.config)
        for old, new in zip(expand(named, within), runs, strict=True)
    ]


def paths_of(workdir: Path) -> Path:
    """The folder to which a sweep's relative paths are: where it has begun, or tuning.

    Raises:
      CaejaxError: the folder holds a single run.
    """
    for folder in (workdir, workdir / TUNING):
        if _started_runs(folder):
            return begun_in(folder)
    return Path()


def _with_starts(runs, wanted):
    """The wanted runs and those that they start from, in the order of all."""
    by_id, ids = {run.id: run for run in runs}, set()
    for run in wanted:
        while run:
            ids.add(run.id)
            run = by_id.get(run.after)
    return [run for run in runs if run.id in ids]


def _check_data(workdir, runs):
    """Data that all runs share and none can read is one error, not one a run.

    What a run is trained on, and where that is, is looked at by itself.
    """
    for run in runs:
        data = _data_of(workdir, run)
        if data and not recorded.named_alike(run.config.data, data):
            moved = load_data(run.config, data).recorded
            recorded.write(workdir / "runs" / run.id, moved)
    swept = any(f == CONFIG or f.startswith("data.") for f in runs[0].values)
    left = results.unfinished(runs, workdir / "runs")
    if left and not swept:
        first = _first_that_fits(left)
        images, data = load_data(
            first.config, _data_of(workdir, first), paths_of(workdir)
        )
        warnings = (few_steps(run.config, len(images["train"])) for run in left)
        for line in filter(None, (data.note, next(filter(None, warnings), ""))):
            tell(line)


def _first_that_fits(runs):
    """The first of runs for which there may be memory; for others it is their error.

    Raises:
      CaejaxError: there is none.
    """
    errors: dict[str, CaejaxError] = {}
    for run in runs:
        program = program_of(run.config)  # runs that share it take as much
        if program in errors:
            continue
        try:
            check_memory(run.config)
        except CaejaxError as error:
            errors[program] = error
        else:
            return run
    raise next(iter(errors.values()))


def _data_of(workdir, run):
    folder = workdir / "runs" / run.id
    # Where that is damaged, it is the run's own error.
    with contextlib.suppress(CaejaxError, OSError):
        return recorded.read(folder) if is_started(folder) else None


@contextlib.contextmanager
def _joined(workdir, config, runs, wanted) -> Iterator[Callable[[], None]]:
    """Takes the folder for this sweep, alone or along with other commands.

    Yields:
      `settle()`, which makes the folder this sweep's when it has begun to do something.
    """
    started = _started_runs(workdir)
    if not started <= {run.id for run in runs}:
        raise CaejaxError(
            f"{workdir} holds other runs than this sweep's"
            f"{_in_what(workdir, config)}; choose another --workdir"
        )
    with contextlib.ExitStack() as stack:
        with holding(workdir / FILES_LOCK):
            alone = stack.enter_context(sharing(workdir / COMMANDS_LOCK))
            if alone:
                _claim(workdir, config, wanted)
            elif _sweep_of(workdir / _CLAIM) != _of_runs(config):
                raise CaejaxError(
                    f"another command does a sweep in {workdir}, and not this one; "
                    "wait for it or choose another --workdir"
                )
        yield functools.cache(lambda: _settle(workdir, config, runs))


def _in_what(workdir, config):
    with contextlib.suppress(CaejaxError, OSError):  # it may be damaged
        found = difference(read_config(workdir), config)
        return f": {found}" if found else ""
    return ""


def _claim(workdir, config, runs):
    write_atomically(workdir / _CLAIM, config_lib.to_json(config) + "\n")
    for run in runs:
        results.try_again(workdir / "runs" / run.id)
    mend(runs, workdir / "runs")


def _settle(workdir, config, runs):
    path, text = workdir / "config.json", config_lib.to_json(config) + "\n"
    if not path.is_file() or path.read_bytes() != text.encode():
        write_environment(workdir, paths_of(workdir))
        write_atomically(path, text)
    _write_tables(workdir, runs)


def _sweep_of(path):
    return _of_runs(read_stored(path))


def _of_runs(config):
    """What a config says of its runs, not of how they get done and what comes then."""
    values = json.loads(config_lib.to_json(config))
    return {k: v for k, v in values.items() if k not in ("executor", "references")}


def _started_runs(workdir):
    if is_started(workdir):
        raise CaejaxError(
            f"{workdir} holds a single run, not a sweep; choose another --workdir"
        )
    return {run.name for run in (workdir / "runs").glob("*") if is_started(run)}


@contextlib.contextmanager
def _reported(workdir, runs, wanted, settle) -> Iterator[Report]:
    """Keeps the tables of all runs up to date, and says how far the wanted ones are."""
    folder = workdir / "runs"
    tables = _Tables(workdir, runs)
    states = {run.id: results.status(folder / run.id) for run in wanted}
    places: dict[str, str] = {}
    with progress.live(wanted, folder, states, places) as say:
        if already := list(states.values()).count("done"):
            line = f"{already} of {len(wanted)} runs are done already"
            say(line, [line])

        def report(run: SweepRun, state: str, where: str = "") -> None:
            _look_elsewhere(states, folder)
            if (state, where) == (states[run.id], places.get(run.id, "")):
                return
            states[run.id] = state
            places.pop(run.id, None)
            if where:
                places[run.id] = where
            settle()
            if state in progress.FINISHED:
                tables.write_if_cheap()
            (row,) = results.collect([run], folder)
            news = run, state, row
            say(progress.line_of(*news, where), progress.brief_of(*news))

        yield report
    settle()
    _write_tables(workdir, runs)


class _Tables:
    """The tables of a sweep, which take a tenth of its time at most.

    All runs are read for them: of thousands that takes longer than some runs do.
    """

    def __init__(self, workdir, runs):
        self._workdir, self._runs = workdir, runs
        self._due = 0.0

    def write_if_cheap(self):
        began = time.monotonic()
        if began >= self._due:
            _write_tables(self._workdir, self._runs)
            took = time.monotonic() - began
            self._due = began + 10 * took if took > _CHEAP else 0.0


def _look_elsewhere(states, folder):
    """Updates the states of runs that other commands have finished."""
    for name, state in states.items():
        if state == "running elsewhere":
            now = results.status(folder / name)
            states[name] = now if now in progress.FINISHED else state


def _write_tables(workdir, runs):
    # Rows are read under the lock, so that no command writes older ones than another.
    with holding(workdir / FILES_LOCK):
        results.write(workdir, results.collect(runs, workdir / "runs"))
