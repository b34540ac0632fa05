"""Tests of what executors say and do."""

import pytest
from helpers.sweep_jobs import SEEDS, sweep_config

from caejax.errors import CaejaxError
from caejax.sweep.executors import EXECUTORS, find_executor
from caejax.sweep.spec import expand


def test_executors_are_chosen_by_name():
    assert tuple(EXECUTORS) == ("serial", "processes", "vmap")
    config = sweep_config(seed=SEEDS)
    config.executor.name = "process"
    with pytest.raises(CaejaxError, match=r"executor\.name.*did you mean 'processes'"):
        find_executor(config)
    config.executor.name, config.executor.workers = "processes", -1
    with pytest.raises(CaejaxError, match=r"executor\.workers is -1"):
        expand(config)
