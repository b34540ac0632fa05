"""Runs that differ little, trained in one compiled program."""

import collections
import contextlib
import functools
import time
from collections.abc import Sequence
from pathlib import Path

from caejax.runtime import stopping
from caejax.sweep.alike import alike
from caejax.sweep.attempt import NOT_YET, POLL, Do, Report, attempting
from caejax.sweep.executors.protocol import Executor
from caejax.sweep.results import unfinished
from caejax.sweep.spec import SweepRun
from caejax.training import group
from caejax.training.images import budget
from caejax.training.loop import alone
from caejax.training.run import Request


def vmap(
    runs: Sequence[SweepRun], folder: Path, do: Do, report: Report, workers: int = 0
) -> None:
    """Does runs in groups, each in one compiled program; an `Execute`.

    A group has as many runs as `caejax.training.group.capacity` says, and at most
    `workers` where that is not 0. What fits no group is done alone, as `serial` does.
    The program depends on all runs that are alike, not on those that are left: so a
    run ends the same whatever was done before, or is done by other commands.
    """
    waiting, again = collections.deque(), set()
    for family in alike(runs):
        if left := unfinished(family, folder):
            waiting.append((left, len(family)))
    while waiting:
        stopping.check()
        runs, count = waiting.popleft()
        if again.issuperset(run.id for run in runs):
            time.sleep(POLL)
        later, left = _do_a_group(runs, count, folder, do, report, workers)
        again.update(run.id for run in later)
        waiting.extend((runs, count) for runs in (left, later) if runs)


def _do_a_group(runs, count, folder, do, report, workers):
    """Does the first of runs that are alike, as many as make a group.

    Args:
      runs: the runs that are left.
      count: the number of all runs that are alike, done or not.
      folder: the sweep's folder, which holds a folder for each run.
      do: the function that does a run, or what is left of it.
      report: called as report(run, state) when a run's state changes.
      workers: the most runs in a group; 0 is no limit.

    Returns:
      Runs that cannot be done now, and those beyond the group.
    """
    courses, requests, later, size = {}, {}, [], 1
    by_id = {run.id: run for run in runs}

    def ended(name, state):
        report(by_id[name], state)
        if state in NOT_YET:
            later.append(by_id[name])

    left = collections.deque(runs)
    with contextlib.ExitStack() as stack:
        while left and len(requests) < size:
            run = left.popleft()
            begin = functools.partial(report, run, "running")
            attempt = attempting(run, folder, do, begin)
            stack.enter_context(contextlib.closing(attempt))
            try:
                request = next(attempt)
            except StopIteration as end:
                ended(run.id, end.value)
                continue
            first = next(iter(requests.values()), request).run
            if request.run.data.origins != first.data.origins:
                # Images have come meanwhile; it takes those of the first, next time.
                attempt.close()
                ended(run.id, "pending")
                continue
            if not requests:
                size = group_size(request, budget(run.config), count, workers)
            courses[run.id], requests[run.id] = attempt, request
        if size > 1:
            # Its runs end one by one, but are saved together.
            stack.enter_context(stopping.needing_time())
            group.train_together(courses, requests, size, ended)
        for name, request in requests.items():
            ended(name, alone(courses[name], request))
    return later, list(left)


def group_size(request: Request, memory: float, count: int, workers: int) -> int:
    """How many of runs that are alike make a group: equal shares, for one program.

    Args:
      request: the first request of one of the runs.
      memory: the bytes to use on a device that does not tell what it has left.
      count: the number of all runs that are alike.
      workers: the most runs in a group; 0 is no limit.
    """
    if request.run.shard_at is not None:
        return 1  # a step's images are on the host
    most = group.capacity(request.run, request.state, memory)
    groups = -(-count // min(most, workers or most))
    return -(-count // groups)


EXECUTOR = Executor(vmap, settings=("workers",), together=True)
