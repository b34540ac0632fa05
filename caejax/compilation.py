"""How programs are compiled."""

import os
from collections.abc import Callable
from typing import Any

import jax
import pooch


def use_cache() -> None:
    """Keeps compiled programs in the user's cache folder for the next command.

    A folder that the user has given to JAX, or its switch, goes before:
    JAX_COMPILATION_CACHE_DIR=DIR, JAX_ENABLE_COMPILATION_CACHE=0.
    """
    if not jax.config.jax_compilation_cache_dir:
        folder = pooch.os_cache("caejax") / "programs"
        jax.config.update("jax_compilation_cache_dir", str(folder))
    # By default only what takes a second is kept; many of ours take half of that.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def quick_jit(function: Callable, **options: Any) -> Callable:
    """`jax.jit` that spends little time on compiling.

    A CPU's compiler takes two thirds of the time at its first level of optimisation,
    and what dominates here (convolutions, matrix products, Fourier transforms) are
    calls into libraries that run as fast. Elsewhere nothing is changed.

    Args:
      function: to be compiled.
      **options: of `jax.jit`.
    """
    level = "xla_backend_optimization_level"
    chosen = level in os.environ.get("XLA_FLAGS", "")  # by the user: let it be
    quick = jax.default_backend() == "cpu" and not chosen
    return jax.jit(function, compiler_options={level: 1} if quick else None, **options)
