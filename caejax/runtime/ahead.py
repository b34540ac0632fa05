"""Programs that are compiled before they are needed, while others are."""

import contextlib
import contextvars
import functools
import threading
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import jax
import numpy as np

from caejax.runtime import stopping
from caejax.runtime.compilation import quick_jit
from caejax.runtime.cores import usable_cores

# Whether programs are only to be compiled, where this is asked: in a thread of its own.
_compiling = contextvars.ContextVar("compiling", default=False)
_busy = threading.Lock()  # held while a thread compiles
_done: set[Hashable] = set()


class _Enough(Exception):
    """The process is to stop."""


def program(function: Callable[..., Any]) -> Callable[..., Any]:
    """`quick_jit`, for a program that `compiling` may make ahead of its first call.

    Args:
      function: the function to be compiled. All of its arguments are arrays or trees
        of them.
    """
    jitted = quick_jit(function)

    @functools.wraps(function)
    def run(*args):
        return _compile(jitted, args) if _compiling.get() else jitted(*args)

    return run


def _compile(jitted, args):
    """Compiles, which JAX remembers, and returns zeros for what would come out.

    Two threads must not run programs for all devices at once: these wait for each
    other, each device for another program.
    """
    if stopping.asked():
        raise _Enough
    lowered = jitted.lower(*args)
    zeros = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), lowered.out_info)
    shardings = lowered.compile().output_shardings
    return jax.device_put(zeros, shardings if _bound(args, shardings) else None)


def _bound(args, shardings):
    """Whether JAX keeps what comes out on its devices.

    Programs that take what is not would be compiled a second time for what is.
    """
    several = any(len(x.device_set) > 1 for x in jax.tree.leaves(shardings))
    return several or any(getattr(x, "committed", False) for x in jax.tree.leaves(args))


@contextlib.contextmanager
def compiling(function: Callable[[], Any], name: Hashable) -> Iterator[None]:
    """While entered, a thread compiles what a function will run; leaving waits for it.

    The function is called there, with programs that only compile. What it raises
    comes again where it is called in earnest. On a single core nothing is done, nor
    while another thread does the same.

    Args:
      function: what will be called, or as much of it as matters.
      name: what is equal where the programs are; they are compiled once.
    """
    idle = len(usable_cores()) > 1 and name not in _done
    if not idle or not _busy.acquire(blocking=False):
        yield
        return
    _done.add(name)

    def compile_all():
        _compiling.set(True)
        with contextlib.suppress(Exception):
            function()

    thread = threading.Thread(target=compile_all, daemon=True)
    try:
        thread.start()
        try:
            yield
        finally:
            thread.join()
    finally:
        _busy.release()
