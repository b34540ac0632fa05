"""Ways to get the runs of a sweep done, by the name in config.executor.name."""

from typing import Any

from ml_collections import ConfigDict

from caejax.errors import lookup
from caejax.runtime.startup import start
from caejax.sweep.executors import processes, ray, serial, vmap
from caejax.sweep.executors.protocol import Executor

EXECUTORS: dict[str, Executor] = {
    "serial": serial.EXECUTOR,
    "processes": processes.EXECUTOR,
    "vmap": vmap.EXECUTOR,
    "ray": ray.EXECUTOR,
}


def find_executor(config: ConfigDict) -> tuple[Executor, dict[str, Any]]:
    """The executor that a config names, and its settings there.

    Raises:
      CaejaxError: there is no executor of that name.
    """
    executor = lookup(EXECUTORS, config.executor.name, "executor.name")
    return executor, {field: config.executor[field] for field in executor.settings}


def start_for(config: ConfigDict, *, cores: int = 0, cache: bool = True) -> None:
    """Starts this process as the executor of a sweep needs it.

    Args:
      config: the sweep's config.
      cores: at most so many, where runs are computed in this process; 0 for all.
      cache: as in `caejax.runtime.startup.start`.

    Raises:
      CaejaxError: no such executor.
    """
    executor, _ = find_executor(config)
    start(
        config.train.batch_size,
        cores=cores if executor.here else 1,
        cache=cache,
        environment=executor.environment,
    )
