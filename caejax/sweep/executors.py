"""Ways to get the runs of a sweep done, by the name of config.executor.name."""

import collections
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from caejax.sweep.attempt import POLL, Do, Report, attempt
from caejax.sweep.results import unfinished
from caejax.sweep.spec import SweepRun
from caejax.sweep.together import vmap
from caejax.sweep.workers import processes

# executor(runs, folder, do, report, workers) returns when all runs of a sweep, some of
# which may be done already, are done or failed. It does them by `attempt` or
# `attempting`; report(run, state) is called when a run's state changes: to "running",
# "running elsewhere", "done", "failed" or back to "pending". At most workers of them at
# a time, where there are several; 0 leaves it to the executor.
Executor = Callable[[Sequence[SweepRun], Path, Do, Report, int], None]


def serial(
    runs: Sequence[SweepRun], folder: Path, do: Do, report: Report, workers: int = 0
) -> None:
    """Does one run after another in this process; an `Executor`."""
    del workers
    waiting, elsewhere = collections.deque(unfinished(runs, folder)), set()
    while waiting:
        run = waiting.popleft()
        if run.id in elsewhere:
            time.sleep(POLL)
        state = attempt(run, folder, do, lambda run=run: report(run, "running"))
        report(run, state)
        if state == "running elsewhere":
            elsewhere.add(run.id)
            waiting.append(run)


EXECUTORS: dict[str, Executor] = {
    "serial": serial,
    "processes": processes,
    "vmap": vmap,
}
