"""The runs of a sweep as tasks of a Ray cluster, on as many machines as it has."""

import collections
import contextlib
import fcntl
import functools
import math
import os
import signal
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from caejax.errors import CaejaxError
from caejax.files import locks
from caejax.runtime import stopping
from caejax.runtime.cores import usable_cores
from caejax.runtime.startup import start
from caejax.sweep.alike import alike
from caejax.sweep.attempt import NOT_YET, POLL, Do, Report, attempt, give_up, waits
from caejax.sweep.executors.protocol import Executor
from caejax.sweep.executors.vmap import vmap
from caejax.sweep.results import status, unfinished
from caejax.sweep.spec import SweepRun
from caejax.training.folder import last_step

_DEATHS = 20  # of tasks at one step of a run: it is the run's fault
_SAVING = 5.0  # seconds for tasks to save what they are in the midst of
_AGAIN = 1.0  # seconds until a run that cannot be done now is tried again
_STORE = 128 * 2**20  # bytes of a cluster of our own, which keeps no objects
_CACHE = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
_GPU_MEMORY = 0.9  # of a GPU, shared by the tasks on it


class _There(NamedTuple):
    """What a task's process has to be made to.

    Attributes:
      cpus, gpus: the task's share of a machine.
      directory: the driver's working directory, to which relative paths are.
      platforms: what JAX may compute on; "" leaves it to it.
      locks: whether files are locked.
      cache: JAX's settings of its compilation cache.
    """

    cpus: float
    gpus: float
    directory: str
    platforms: str
    locks: bool
    cache: tuple[tuple[str, Any], ...]


def ray(
    runs: Sequence[SweepRun],
    folder: Path,
    do: Do,
    report: Report,
    workers: int = 0,
    cpus: float = 1.0,
    gpus: float = 0.0,
    group: bool = False,
) -> None:
    """Does runs as tasks of a Ray cluster; an `Execute`.

    The cluster is that of RAY_ADDRESS, else the one that this machine is part of, else
    one of this machine alone. All of its machines see the sweep's folder under the same
    name. A task whose machine is lost begins again on another, at its runs' last
    checkpoints.

    With `group`, a task trains a part of the runs that are alike by one program, as
    `vmap` does. There are as many parts as the cluster has room for, or `workers`: so
    runs end the same on another cluster if that is given.

    Raises:
      CaejaxError: Ray is missing or cannot be reached, no machine has what a task
        takes, or machines do not share the folder or its locks.
    """
    with _cluster() as engine:
        room = _room(engine, cpus, gpus)
        there = _There(
            cpus,
            gpus,
            os.getcwd(),
            os.environ.get("JAX_PLATFORMS", "" if gpus else "cpu"),
            locks.in_use(),
            tuple((name, getattr(jax.config, name)) for name in _CACHE),
        )
        parts = _parts(runs, workers or room) if group else [[run] for run in runs]
        task = engine.remote(_work).options(num_cpus=cpus, num_gpus=gpus, max_retries=0)
        shared = folder.absolute(), do, there, group
        flight = _Flight(engine, task, _News(engine), shared)
        _direct(parts, folder, flight, report, workers or 2 * room)


def _parts(runs, count):
    """Parts of runs that are alike, about so many in all."""
    runs = list(runs)
    length = -(-len(runs) // count)
    for family in alike(runs):
        size = -(-len(family) // -(-len(family) // length))
        yield from (family[i : i + size] for i in range(0, len(family), size))


class _News:
    """Where tasks tell what they are at: only for people, so it may be lost."""

    def __init__(self, engine):
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        node = engine.get_runtime_context().get_node_id()
        near = NodeAffinitySchedulingStrategy(node_id=node, soft=True)
        self._engine = engine
        self.actor = (
            engine.remote(_Lines).options(num_cpus=0, scheduling_strategy=near).remote()
        )

    def hear(self):
        """What has come since: (id, state, machine) of runs."""
        with contextlib.suppress(self._engine.exceptions.RayError):
            return self._engine.get(self.actor.take.remote(), timeout=POLL)
        return []


class _Lines:
    def __init__(self):
        self._lines = []

    def add(self, *line):
        self._lines.append(line)

    def take(self):
        lines, self._lines = self._lines, []
        return lines


class _Flight(NamedTuple):
    """What all tasks have in common."""

    engine: Any
    task: Any
    news: _News
    shared: tuple[Any, ...]

    def submit(self, runs):
        """Begins a task that does runs; returns a reference to their states."""
        return self.task.remote(runs, *self.shared, self.news.actor)

    def wait(self, tasks):
        """Waits a moment for tasks; returns those that have ended."""
        if not tasks:
            time.sleep(POLL)
            return []
        return self.engine.wait(tasks, num_returns=len(tasks), timeout=POLL)[0]

    def land(self, task):
        """The states of a task's runs by id, or the error that it died of.

        Raises:
          CaejaxError: it is of all tasks.
        """
        try:
            return self.engine.get(task), None
        except self.engine.exceptions.RayTaskError as error:
            if isinstance(error.cause, CaejaxError):
                raise error.cause from error
            why = str(error).strip().splitlines()[-1]
            raise CaejaxError(
                f"a task of Ray cannot be begun ({why[:200]}); all machines of the "
                "cluster need the same caejax, Python and packages"
            ) from error
        except self.engine.exceptions.RayError as error:
            return {}, error

    def stop(self, tasks):
        """Ends tasks, which save what they are in the midst of."""
        if not tasks:
            return
        with stopping.needing_time():
            for task in tasks:
                self.engine.cancel(task)
            patience = stopping.seconds_left(_SAVING)
            self.engine.wait(tasks, num_returns=len(tasks), timeout=patience)


def _direct(parts, folder, flight, report, most):
    """Hands out parts until all their runs are done or failed."""
    deaths: collections.Counter = collections.Counter()
    waiting = collections.deque(parts)
    later: collections.deque = collections.deque()  # with the time to come back
    flying: dict[Any, list[SweepRun]] = {}
    try:
        while waiting or later or flying:
            stopping.check()
            while later and later[0][0] < time.monotonic():
                waiting.append(later.popleft()[1])
            while waiting and len(flying) < most:
                part = waiting.popleft()
                left = unfinished(part, folder)
                if left and all(waits(run, folder) for run in left):
                    later.append((time.monotonic() + _AGAIN, part))
                elif left:
                    flying[flight.submit(part)] = part
            landed = flight.wait(list(flying))
            at_work = {run.id: run for part in flying.values() for run in part}
            for name, state, machine in flight.news.hear():
                if name in at_work:
                    report(at_work[name], state, machine)
            for task in landed:
                part = flying.pop(task)
                states, error = flight.land(task)
                if error is not None:
                    states = _after_death(part, folder, deaths, error)
                for run in part:
                    report(run, states[run.id])
                if any(states[run.id] in NOT_YET for run in part):
                    delay = 0.0 if error else _AGAIN
                    later.append((time.monotonic() + delay, part))
    finally:
        flight.stop(list(flying))


def _after_death(part, folder, deaths, error):
    """What becomes of the runs of a task that died, or whose machine is lost."""
    point = tuple((run.id, last_step(folder / run.id)) for run in part)
    deaths[point] += 1
    states = {run.id: status(folder / run.id) for run in part}
    if deaths[point] < _DEATHS:
        return states
    reason = (
        f"{_DEATHS} tasks of Ray ended in the midst of this run, the last by "
        f"{type(error).__name__}; was there enough memory? Try a larger "
        "config.executor.cpus or gpus"
    )
    return {
        run.id: give_up(run, folder, reason)
        if states[run.id] == "pending"
        else states[run.id]
        for run in part
    }


@contextlib.contextmanager
def _cluster() -> Iterator[Any]:
    """Yields Ray, connected; ends what was begun here."""
    with _keeping_signals():
        try:
            import ray as engine
        except ModuleNotFoundError as error:
            raise CaejaxError(
                'config.executor.name "ray" needs Ray: pip install "caejax[ray]"'
            ) from error
        own = not engine.is_initialized()
        if own:
            _connect(engine)
    try:
        yield engine
    finally:
        if own:
            with _keeping_signals():
                engine.shutdown()


def _connect(engine):
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    address = os.environ.get("RAY_ADDRESS", "auto")
    try:
        engine.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        if "RAY_ADDRESS" in os.environ and address not in ("auto", "local"):
            why = " ".join(str(error).split())[:200]
            raise CaejaxError(
                f"RAY_ADDRESS is {address!r}, and no cluster answers there ({why}); "
                "correct it, or unset it to compute on this machine"
            ) from error
        engine.init(
            address="local",
            num_cpus=len(usable_cores()),
            include_dashboard=False,
            object_store_memory=_STORE,
            _node_ip_address="127.0.0.1",  # not to be reached from elsewhere
            **quiet,
        )


@contextlib.contextmanager
def _keeping_signals():
    """Ray takes SIGTERM for itself when it is imported and when it connects."""
    before = {signum: signal.getsignal(signum) for signum in stopping.SIGNALS}
    try:
        yield
    finally:
        for signum, handler in before.items():
            with contextlib.suppress(ValueError, TypeError):  # none of Python's, or
                signal.signal(signum, handler)  # not in the main thread


def _room(engine, cpus, gpus):
    """How many tasks the cluster has room for.

    Raises:
      CaejaxError: none of its machines has room for one.
    """
    machines = [node["Resources"] for node in engine.nodes() if node["Alive"]]
    has = [(node.get("CPU", 0.0), node.get("GPU", 0.0)) for node in machines]
    room = sum(
        math.floor(min(a / cpus, b / gpus if gpus else math.inf) + 1e-6) for a, b in has
    )
    if not room:
        largest = max(has, default=(0, 0))
        raise CaejaxError(
            f"a task takes {cpus:g} CPUs and {gpus:g} GPUs (config.executor.cpus and "
            f"gpus), and the largest machine of the Ray cluster has {largest[0]:g} and "
            f"{largest[1]:g}; ask for less"
        )
    return room


def _work(runs, folder, do, there, group, news):
    """What a task does, on whatever machine; returns the runs' states by id."""
    machine = _begin(there)
    _check_reach(folder, machine, there.locks)
    states = {run.id: "pending" for run in runs}

    def note(run, state):
        states[run.id] = state
        if state == "running":
            news.add.remote(run.id, state, machine)

    # Between runs a task is ended at once.
    with stopping.listening(None), contextlib.suppress(stopping.Stopped):
        if group:
            vmap(runs, folder, do, note)
            states |= {run.id: status(folder / run.id) for run in runs}
        else:
            for run in runs:
                begin = functools.partial(note, run, "running")
                states[run.id] = attempt(run, folder, do, begin)
        return states
    return states | {run.id: status(folder / run.id) for run in runs}


@functools.cache
def _begin(there):
    """Starts a process for tasks, once; returns the machine's name."""
    with contextlib.suppress(OSError):
        os.chdir(there.directory)
    if not there.locks:
        os.environ[locks.VARIABLE] = "1"
    share = there.gpus and f"{_GPU_MEMORY * min(there.gpus, 1.0):.3f}"
    if share:
        os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
        os.environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] = share
    if there.platforms:
        jax.config.update("jax_platforms", there.platforms)
    if share:
        start(cores=1, cache=False)
    else:
        cores = _own_cores(max(1, math.floor(there.cpus)))
        if len(cores) > 1 and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, cores)
        alone = {"core": cores[0]} if len(cores) == 1 else {"cores": 1}
        start(cache=False, **alone)
    for name, value in there.cache:
        jax.config.update(name, value)
    return socket.gethostname()


_HELD: list[Any] = []  # open files, whose locks end with the process


def _own_cores(count):
    """Cores that no other process for tasks on this machine has, where there are."""
    found, every = [], usable_cores()
    folder = Path(tempfile.gettempdir(), f"caejax-cores-{os.getuid()}")
    folder.mkdir(exist_ok=True)
    for core in every:
        file = (folder / str(core)).open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            continue
        _HELD.append(file)
        found.append(core)
        if len(found) == count:
            return found
    first = os.getpid() % len(every)
    return (found + every[first:] + every[:first])[:count]


@functools.cache
def _check_reach(folder, machine, locked):
    """Whether this machine sees the driver's folder, and the lock that it holds there.

    Raises:
      CaejaxError: it does not.
    """
    lock = folder.parent / locks.COMMANDS_LOCK
    if not lock.is_file():
        raise CaejaxError(
            f"{folder.parent} is not there on {machine}: --workdir must be on a file "
            "system that all machines of the cluster share, under the same name"
        )
    if not locked:
        return
    with locks.holding(lock, wait=False) as free:
        if free:
            raise CaejaxError(
                f"locks in {folder.parent} do not reach {machine}, so that another "
                "command might do the same runs: have the file system mounted with "
                "locks that do, or add --nolocks if no other command uses the folder"
            )


def _at_a_time(workers, cpus, gpus, group):
    """On a cluster of this machine alone."""
    del gpus, group
    return workers or max(1, math.floor(len(usable_cores()) / cpus))


EXECUTOR = Executor(
    ray,
    at_a_time=_at_a_time,
    settings=("workers", "cpus", "gpus", "group"),
    here=False,
    spreads=True,
    # It does not phone home or hide GPUs; the driver leaves their memory to tasks.
    environment={
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    },
)
