"""Which runs of a sweep share their compiled programs."""

import collections
import json
from collections.abc import Iterable

from ml_collections import ConfigDict

from caejax import config as config_lib
from caejax.config.ids import NOT_OF_A_RUN
from caejax.sweep.spec import SweepRun
from caejax.training import varied


def alike(runs: Iterable[SweepRun]) -> list[list[SweepRun]]:
    """Runs by what one program can train, in their order.

    Runs of one group start at the same time: those that start from others of the sweep
    are in one with runs that are as many runs away from the first.
    """
    runs = list(runs)
    by_id = {run.id: run for run in runs}
    groups = collections.defaultdict(list)
    for run in runs:
        groups[program_of(run.config), _starts(run, by_id)].append(run)
    return list(groups.values())


def _starts(run, by_id):
    """How many runs of the sweep are done before a run starts, one from another."""
    count = 0
    while run := by_id.get(run.after):
        count += 1
    return count


def program_of(config: ConfigDict) -> str:
    """The same for the configs of runs that one program can train.

    Args:
      config: a resolved config, as runs of a sweep have it.
    """
    values = config.to_dict()
    for name in NOT_OF_A_RUN:
        del values[name]
    for vary in varied.VARIED:
        *parents, last = vary.field.split(".")
        section = config_lib.get(values, ".".join(parents)) if parents else values
        section[last] = vary.common(section[last])
    del values["train"]["start_from"]  # parameters are what a program is given
    return json.dumps(values, sort_keys=True)
