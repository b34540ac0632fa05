"""What a process sets before its first array: devices, caches, threads, log levels.

Commands, studies and tests call `start` once. Importing caejax starts nothing.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from absl import logging

from caejax.runtime.compilation import use_cache
from caejax.runtime.devices import take_core, use_cores

NOTHING: Mapping[str, str] = MappingProxyType({})


def start(
    batch_size: int = 1,
    *,
    cores: int = 0,
    core: int | None = None,
    cache: bool | Path = True,
    environment: Mapping[str, str] = NOTHING,
) -> None:
    """Prepares this process for computing.

    After JAX has made an array, devices and threads stay as they are.

    Args:
      batch_size: the number of images a step, which the cores of a CPU are to
        divide evenly.
      cores: the most cores to use; 0 for all that the process may use.
      core: the one core to compute on, in one thread, as worker processes do.
      cache: whether to keep compiled programs, in the user's cache, or the folder to
        keep them in.
      environment: the variables for the libraries, where the user has not set them.
    """
    logging.set_verbosity(logging.WARNING)  # orbax tells of every file
    for name, value in environment.items():
        os.environ.setdefault(name, value)
    if core is None:
        use_cores(batch_size, cores)
    else:
        take_core(core)
    if cache:
        use_cache(None if cache is True else cache)
