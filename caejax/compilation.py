"""How programs are compiled."""

import os
from collections.abc import Callable

import jax


def quick_jit(function: Callable) -> Callable:
    """`jax.jit` for a program that runs seldom: little time is spent on compiling.

    A CPU's compiler takes half as long at its first level of optimisation, and what
    dominates here (convolutions, matrix products, Fourier transforms) are calls
    into libraries that run as fast. Elsewhere nothing is changed.
    """
    level = "xla_backend_optimization_level"
    chosen = level in os.environ.get("XLA_FLAGS", "")  # by the user: let it be
    quick = jax.default_backend() == "cpu" and not chosen
    return jax.jit(function, compiler_options={level: 1} if quick else None)
