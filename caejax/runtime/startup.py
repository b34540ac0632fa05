"""What a process sets before its first array: devices, caches, threads, log levels.

Commands, studies and tests call `start` once. Importing caejax starts nothing.
"""

import contextlib
import functools
import os
from collections.abc import Mapping
from logging import CRITICAL, getLogger
from pathlib import Path
from types import MappingProxyType

import jax
from absl import logging
from flax.configurations import config as flax_config

from caejax.errors import CaejaxError
from caejax.runtime.compilation import check_flags, tell_of_flags, use_cache
from caejax.runtime.devices import check_platforms, take_core, use_cores

# What would change the numbers, or what a command can do, if it were taken from the
# user's environment: JAX reads JAX_ENABLE_X64 and the like.
SETTINGS: Mapping[str, object] = MappingProxyType(
    {
        # All is computed in float32, and numbers of Python adapt to arrays.
        "jax_enable_x64": False,
        "jax_explicit_x64_dtypes": "warn",
        "jax_numpy_dtype_promotion": "standard",
        "jax_numpy_rank_promotion": "allow",
        # Each device's own; on accelerators that is part of a run's speed.
        "jax_default_matmul_precision": None,
        # One stream of random numbers, wherever and on however many devices.
        "jax_default_prng_impl": "threefry2x32",
        "jax_threefry_partitionable": True,
        "jax_threefry_gpu_kernel_lowering": False,
        "jax_enable_custom_prng": False,
        "jax_legacy_prng_key": "allow",
        "jax_random_seed_offset": 0,
        "jax_high_dynamic_range_gumbel": False,
        # Fused and reordered sums round otherwise than those that are not.
        "jax_disable_jit": False,
        "eager_constant_folding": False,
        "jax_disable_most_optimizations": False,
        "jax_optimization_level": "UNKNOWN",
        "jax_exec_time_optimization_effort": 0.0,
        "jax_memory_fitting_effort": 0.0,
        "jax_memory_fitting_level": "O2",
        "jax_compiler_enable_remat_pass": True,
        "jax_allow_f16_reductions": True,
        "jax_use_simplified_jaxpr_constants": False,
        "jax_softmax_custom_jvp": False,
        "jax_use_direct_linearize": True,
        # A loss that is no number is a run's own matter: it ends with that line.
        "jax_debug_nans": False,
        "jax_debug_infs": False,
        "jax_error_checking_behavior_nan": "ignore",
        "jax_error_checking_behavior_divide": "ignore",
        "jax_error_checking_behavior_oob": "ignore",
        # Checks of JAX itself refuse what is meant.
        "jax_enable_checks": False,
        "jax_check_tracer_leaks": False,
        "jax_check_static_indices": False,
        "jax_debug_key_reuse": False,
        "jax_mutable_array_checks": True,
        "jax_no_execution": False,
        "jax_no_tracing": False,
        "jax_thread_guard": False,
        "jax_transfer_guard": None,
        "jax_transfer_guard_host_to_device": None,
        "jax_transfer_guard_device_to_device": None,
        "jax_transfer_guard_device_to_host": None,
        "jax_array_garbage_collection_guard": None,
        "jax_disallow_mesh_context_manager": False,
        "jax_use_shardy_partitioner": True,
        "jax_default_device": None,
        # Caches are optional.
        "jax_raise_persistent_cache_errors": False,
        "jax_compilation_cache_check_contents": False,
        "jax_compilation_cache_expect_pgle": False,
        "jax_enable_pgle": False,
    }
)

# The same of Flax: the streams of random numbers, and what a model's parameters are in.
FLAX_SETTINGS: Mapping[str, bool] = MappingProxyType(
    {
        "flax_fix_rng_separator": False,
        "flax_return_frozendict": False,
        "flax_preserve_adopted_names": False,
    }
)

NOTHING: Mapping[str, str] = MappingProxyType({})


def start(
    batch_size: int = 1,
    *,
    cores: int = 0,
    core: int | None = None,
    cache: bool | Path = True,
    environment: Mapping[str, str] = NOTHING,
    own: bool = True,
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
      own: whether JAX's and Flax's settings are ours, `SETTINGS` and `FLAX_SETTINGS`,
        from the first call on; not so in a program of the user's own.

    Raises:
      CaejaxError: the environment asks JAX for what it does not have, or the working
        directory has been deleted.
    """
    _check_folder()
    check_flags()
    if own and core is None:
        tell_of_flags()
    logging.set_verbosity(logging.WARNING)  # orbax tells of every file
    getLogger("asyncio").setLevel(CRITICAL)  # its errors reach us, too
    for name, value in environment.items():
        os.environ.setdefault(name, value)
    if core is None:
        use_cores(batch_size, cores)
    else:
        take_core(core)
    if own:
        _settle()
    if cache:
        use_cache(None if cache is True else cache)
    check_platforms()


def _check_folder():
    """Libraries that are loaded later end the process where there is none."""
    try:
        os.getcwd()
    except FileNotFoundError:
        raise CaejaxError(
            "the working directory has been deleted; cd to a folder that is there"
        ) from None


@functools.cache
def _settle():
    """Sets what is ours, once: what is set later is set on purpose."""
    for name, value in FLAX_SETTINGS.items():
        with contextlib.suppress(LookupError):  # of another version
            flax_config.update(name, value)
    now = jax.config.values
    for name, value in SETTINGS.items():
        # Versions of JAX differ in what there is, and in the values that it takes.
        if name in now and now[name] != value:
            with contextlib.suppress(ValueError, TypeError):
                jax.config.update(name, value)
