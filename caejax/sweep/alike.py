"""Which runs of a sweep share their compiled programs."""

import collections
from collections.abc import Iterable

from ml_collections import ConfigDict

from caejax import config as config_lib
from caejax.sweep.spec import SweepRun
from caejax.training import varied


def alike(runs: Iterable[SweepRun]) -> list[list[SweepRun]]:
    """Runs by what one program can train, in their order."""
    groups = collections.defaultdict(list)
    for run in runs:
        groups[program_of(run.config)].append(run)
    return list(groups.values())


def program_of(config: ConfigDict) -> str:
    """The same for configs of runs that one program can train."""
    config = config_lib.one_run(config)
    for vary in varied.VARIED:
        common = vary.common(config_lib.get(config, vary.field))
        config_lib.override(config, vary.field, common)
    return config_lib.to_json(config)
