"""Which runs of a sweep share their compiled programs."""

import collections
from collections.abc import Iterable

from ml_collections import ConfigDict

from caejax import config as config_lib
from caejax.sweep.spec import SweepRun

# What runs that share them may differ in; the penalty only where each has one.
_VARIED = ("seed", "corruption.level", "optimizer.learning_rate")
_PENALTY = "code_penalty"


def alike(runs: Iterable[SweepRun]) -> list[list[SweepRun]]:
    """Runs by what one program can train, in their order."""
    groups = collections.defaultdict(list)
    for run in runs:
        groups[program_of(run.config)].append(run)
    return list(groups.values())


def program_of(config: ConfigDict) -> str:
    """The same for configs of runs that one program can train."""
    config = config_lib.one_run(config)
    blank = config_lib.default()
    for field in _VARIED:
        config_lib.override(config, field, config_lib.get(blank, field))
    config_lib.override(config, _PENALTY, float(config.code_penalty > 0))
    return config_lib.to_json(config)
