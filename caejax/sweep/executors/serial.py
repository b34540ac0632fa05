"""One run after another in this process."""

import collections
import time
from collections.abc import Sequence
from pathlib import Path

from caejax.runtime import stopping
from caejax.sweep.attempt import NOT_YET, POLL, Do, Report, attempt
from caejax.sweep.executors.protocol import Executor
from caejax.sweep.results import unfinished
from caejax.sweep.spec import SweepRun


def serial(runs: Sequence[SweepRun], folder: Path, do: Do, report: Report) -> None:
    """Does one run after another; an `Execute`."""
    waiting, again = collections.deque(unfinished(runs, folder)), set()
    while waiting:
        stopping.check()
        run = waiting.popleft()
        if run.id in again:
            time.sleep(POLL)
        state = attempt(run, folder, do, lambda run=run: report(run, "running"))
        report(run, state)
        if state in NOT_YET:
            again.add(run.id)
            waiting.append(run)


EXECUTOR = Executor(serial)
