"""Worker processes that do the runs of a sweep, each on a core of its own."""

import collections
import contextlib
import functools
import itertools
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from multiprocessing import connection, resource_tracker
from pathlib import Path
from typing import NamedTuple

import jax

from caejax.errors import CaejaxError
from caejax.runtime import stopping
from caejax.runtime.cores import usable_cores
from caejax.runtime.startup import start
from caejax.sweep.alike import program_of
from caejax.sweep.attempt import (
    NOT_YET,
    POLL,
    Do,
    Report,
    attempt,
    give_up,
    waits,
)
from caejax.sweep.executors.protocol import Executor
from caejax.sweep.results import unfinished
from caejax.sweep.spec import SweepRun
from caejax.training.folder import last_step

# So many workers die at one step of a run because of the run, memory for instance, and
# so many that were not killed before they take one because of what is installed.
_DEATHS = 20
_FAILED_STARTS = 5
_SAVING = 2.5  # seconds for a worker to save what it is in the midst of
_STOPPED = 128 + signal.SIGTERM  # exit code of a worker that has done so
_CACHE = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")


class _Worker(NamedTuple):
    process: multiprocessing.process.BaseProcess
    pipe: connection.Connection
    core: int


def processes(
    runs: Sequence[SweepRun], folder: Path, do: Do, report: Report, workers: int = 0
) -> None:
    """Does runs in worker processes of one thread each; an `Execute`.

    A worker that dies is replaced, and its run goes on; a run at which _DEATHS died
    without a new checkpoint has failed. Workers end with this process, even if that
    is killed.

    Raises:
      CaejaxError: workers die before they take a run.
    """
    runs, cores = unfinished(runs, folder), usable_cores()
    count = min(workers or len(cores), len(runs))
    replace = functools.partial(_start, folder, do)
    crew: list[_Worker] = []
    try:
        for core in itertools.islice(itertools.cycle(cores), count):
            stopping.check()
            crew.append(replace(core))
        _direct(crew, replace, runs, folder, report)
    finally:
        _end(crew)


def _end(crew):
    """Ends workers, which save what they are in the midst of."""
    with stopping.needing_time():
        for worker in crew:
            worker.process.terminate()
        late = time.monotonic() + stopping.seconds_left(_SAVING)
        for worker in crew:
            worker.process.join(max(0, late - time.monotonic()))
        for worker in crew:
            worker.process.kill()
            worker.process.join()


def _direct(crew, replace, runs, folder, report):
    """Hands out runs until all are done, and replaces workers that die."""
    waiting, elsewhere = list(runs), set()
    programs = {run.id: program_of(run.config) for run in runs}
    taken: dict[int, SweepRun] = {}  # by place in the crew
    compiled: dict[int, str] = {}  # a place's latest
    deaths: collections.Counter = collections.Counter()
    while waiting or taken:
        ready = connection.wait([worker.pipe for worker in crew], POLL)
        stopping.check()
        for place, worker in enumerate(crew):
            if worker.pipe not in ready:
                continue
            state = _receive(worker)
            if state == "running":
                report(taken[place], state)
                continue
            run, alive = taken.pop(place, None), state != "dead"
            if state == "ready":
                deaths["starts"] = 0
            if not alive:
                state = _after_death(worker, run, folder, deaths)
                crew[place] = replace(worker.core)
                compiled.pop(place, None)
            if run:
                report(run, state)
            if state in NOT_YET:
                waiting.append(run)
            if state == "running elsewhere":
                elsewhere.add(run.id)
            if waiting and alive:
                later = elsewhere | {x.id for x in waiting if waits(x, folder)}
                run = next_run(waiting, place, programs, compiled, later)
                waiting.remove(run)
                taken[place], compiled[place] = run, programs[run.id]
                if run.id in later:
                    time.sleep(POLL)  # none is left that could be taken at once
                # If it has just died, its pipe says so next.
                with contextlib.suppress(OSError):
                    worker.pipe.send(taken[place])


def next_run(
    waiting: Sequence[SweepRun],
    place: int,
    programs: Mapping[str, str],
    compiled: Mapping[int, str],
    later: Collection[str],
) -> SweepRun:
    """The run that is the least to compile, which can take longer than to train.

    One whose program the worker has; else one whose program no other worker has, as
    two would then compile it at the same time; else the first. Runs that other
    commands do, or that wait for another run, come last.

    Args:
      waiting: the runs to be done, one or more.
      place: the worker's place.
      programs: the runs' programs by the runs' ids.
      compiled: the workers' latest programs by the workers' places.
      later: the ids of the runs that come last.
    """
    own = compiled.get(place)
    others = {program for i, program in compiled.items() if i != place}

    def cost(run):
        program = programs[run.id]
        return run.id in later, program != own, program in others

    return min(waiting, key=cost)


def _receive(worker):
    try:
        return worker.pipe.recv()
    except (EOFError, OSError):
        return "dead"


def _after_death(worker, run, folder, deaths):
    """What becomes of a dead worker's run; returns its state, None without a run."""
    worker.process.join()
    point = (run.id, last_step(folder / run.id)) if run else "starts"
    code = worker.process.exitcode
    if code == -signal.SIGTERM or code == _STOPPED:
        return "pending" if run else None  # by a user or a scheduler: no fault of it
    deaths[point] += run is not None or code != -signal.SIGKILL
    how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
    if run is None:
        if deaths[point] == _FAILED_STARTS:
            raise CaejaxError(
                f"{_FAILED_STARTS} worker processes ended before they took a run, the "
                f"last {how}; try --config.executor.name=serial"
            )
        return None
    if deaths[point] < _DEATHS:
        return "pending"
    reason = (
        f"{_DEATHS} worker processes ended in the midst of this run, the last {how}; "
        "was there enough memory? Try a smaller config.executor.workers"
    )
    return give_up(run, folder, reason)


def _start(folder, do, core):
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    cache = {name: getattr(jax.config, name) for name in _CACHE}
    process = context.Process(
        target=_work, args=(theirs, folder, do, core, cache), daemon=True
    )
    # Started along with the first worker, it would let Ctrl-C through again.
    resource_tracker.ensure_running()
    # A worker never sees Ctrl-C, that its terminal is gone or that a scheduler tells
    # all processes of a job: this process ends it.
    unheard = set(stopping.SIGNALS) - {signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, unheard)
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()  # so that a dead worker's pipe ends
    return _Worker(process, pipe, core)


def _work(pipe, folder, do, core, cache):
    """What a worker does: the runs that come through its pipe."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    start(core=core, cache=False)
    for name, value in cache.items():
        jax.config.update(name, value)
    pipe.send("ready")
    while True:
        run = pipe.recv()
        # Between runs a worker is ended by SIGTERM at once.
        with stopping.listening(None):
            try:
                state = attempt(run, folder, do, lambda: pipe.send("running"))
            except stopping.Stopped as stop:
                sys.exit(128 + stop.signum)
        pipe.send(state)


def _end_with_parent():
    multiprocessing.parent_process().join()
    os._exit(1)


def _at_a_time(workers):
    """No core takes more than one run."""
    cores = len(usable_cores())
    return min(workers or cores, cores)


EXECUTOR = Executor(
    processes,
    at_a_time=_at_a_time,
    settings=("workers",),
    here=False,
    # Workers and this process share the memory of an accelerator.
    environment={"XLA_PYTHON_CLIENT_PREALLOCATE": "false"},
)
