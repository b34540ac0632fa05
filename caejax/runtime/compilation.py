"""How programs are compiled."""

import os
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import jax
import pooch


def use_cache(folder: Path | None = None) -> None:
    """Keeps compiled programs for the next command.

    JAX_ENABLE_COMPILATION_CACHE=0 is left to decide that none are kept.

    Args:
      folder: where the programs are kept; None for the folder that the user
        has given to JAX by JAX_COMPILATION_CACHE_DIR=DIR, or else one among the
        user's caches.
    """
    if folder is None and not jax.config.jax_compilation_cache_dir:
        folder = pooch.os_cache("caejax") / "programs"
    if folder is not None:
        jax.config.update("jax_compilation_cache_dir", str(folder))
    # By default only what takes a second is kept; many of ours take half of that.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


_MODELS = 8  # whose programs are kept; those of one take some 100 MB on a CPU
_kept: set[Hashable] = set()


def keep_programs_of(model: Hashable) -> None:
    """Says that programs of a model are to be used; those of many others are freed.

    So that a sweep's process does not grow with the sweep. What is needed again after
    all is taken from the cache of `use_cache`.
    """
    if model not in _kept and len(_kept) == _MODELS:
        jax.clear_caches()
        _kept.clear()
    _kept.add(model)


# Of XLA's compiler for CPUs, where the user has not set them.
_CPU_OPTIONS = {
    # Two thirds of the time; what dominates here (convolutions, matrix products,
    # Fourier transforms) are calls into libraries that run as fast.
    "xla_backend_optimization_level": 1,
    # A process that is suspended, or a laptop that sleeps, for 40 s must not be ended
    # because one core waited for the other: 10 days instead.
    "xla_cpu_collective_call_terminate_timeout_seconds": 864_000,
}


def quick_jit(function: Callable, **options: Any) -> Callable:
    """`jax.jit` that spends little time on compiling for a CPU, and waits long there.

    Args:
      function: the function to be compiled.
      **options: the options of `jax.jit`.
    """
    chosen = os.environ.get("XLA_FLAGS", "")
    own = {name: x for name, x in _CPU_OPTIONS.items() if name not in chosen}
    on_cpu = jax.default_backend() == "cpu"
    return jax.jit(function, compiler_options=own if on_cpu else None, **options)
