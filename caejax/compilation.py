"""How programs are compiled."""

from collections.abc import Callable

import jax


def quick_jit(function: Callable) -> Callable:
    """`jax.jit` for a program that runs seldom: little time is spent on compiling.

    A CPU's compiler takes half as long at its first level of optimisation, and what
    dominates here (convolutions, matrix products, Fourier transforms) are calls
    into libraries that run as fast. Elsewhere nothing is changed.
    """
    options = {"xla_backend_optimization_level": 1}
    on_cpu = jax.default_backend() == "cpu"
    return jax.jit(function, compiler_options=options if on_cpu else None)
