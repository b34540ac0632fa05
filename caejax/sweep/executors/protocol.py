"""What every way to get the runs of a sweep done has to say and to do."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from caejax.runtime.startup import NOTHING
from caejax.sweep.attempt import Do, Report
from caejax.sweep.spec import SweepRun


class Execute(Protocol):
    """Returns when all runs of a sweep are done or failed; some may be so already.

    It does them by `caejax.sweep.attempt`.

    Args:
      runs: the sweep's runs.
      folder: the sweep's folder, which holds a folder for each run.
      do: the function that does a run, or what is left of it.
      report: called as report(run, state) when a run's state changes: to "running",
        "running elsewhere", "done", "failed" or back to "pending". `attempt` leaves
        states of `NOT_YET` for another attempt. It also takes the machine, by its name.
      **settings: the executor's settings.
    """

    def __call__(
        self,
        runs: Sequence[SweepRun],
        folder: Path,
        do: Do,
        report: Report,
        **settings: float,
    ) -> None:
        """Does the runs."""


class Executor(NamedTuple):
    """A way to get runs done.

    Attributes:
      run: the function that does the runs.
      at_a_time: called with the same settings, returns how many runs are done at a
        time.
      settings: the fields of config.executor that it takes, besides the name.
      here: whether runs are computed in this process, on all of its devices; if not,
        each on one core of another process, and this one only waits.
      together: whether runs that share a program are trained by it at once.
      spreads: whether one command of it uses all machines of a cluster.
      environment: the variables to be set before JAX starts, where the user has not.
    """

    run: Execute
    at_a_time: Callable[..., int] = lambda **settings: 1
    settings: tuple[str, ...] = ()
    here: bool = True
    together: bool = False
    spreads: bool = False
    environment: Mapping[str, str] = NOTHING
