"""Several devices, or the cores of a CPU as such, sharing each batch.

They are this process's, but for what is done in `of_all_processes`.
"""

import contextlib
import contextvars
import functools
import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from caejax.errors import CaejaxError
from caejax.runtime.cores import usable_cores

BATCH = PartitionSpec("batch")
EVERYWHERE = PartitionSpec()

_of_all = contextvars.ContextVar("of_all", default=False)


def use_cores(batch_size: int, limit: int = 0) -> None:
    """Makes the cores of a CPU devices, as many as divide a batch evenly.

    Must be called before JAX is used; after that, or where the user has set a
    number, it does nothing. Of no effect if there is an accelerator.

    Args:
      batch_size: the number of images a step.
      limit: the most cores to use; 0 for all that the process may use.
    """
    asked = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if asked or "JAX_NUM_CPU_DEVICES" in os.environ:
        return
    count = core_count(batch_size, limit or len(usable_cores()))
    # In use already, by a program of the user's own.
    with contextlib.suppress(RuntimeError):
        jax.config.update("jax_num_cpu_devices", count)


def take_core(core: int) -> None:
    """Keeps this process to one core and one thread; as `use_cores`, before JAX is."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    flags = "--xla_cpu_multi_thread_eigen=false", os.environ.get("XLA_FLAGS", "")
    os.environ["XLA_FLAGS"] = " ".join(flags)
    use_cores(batch_size=1)


def check_platforms() -> None:
    """Starts JAX where the user has named its platforms, to see that they are there.

    Raises:
      CaejaxError: JAX cannot use one that JAX_PLATFORMS or JAX_PLATFORM_NAME names.
    """
    for variable in ("JAX_PLATFORMS", "JAX_PLATFORM_NAME"):
        if chosen := jax.config.values[variable.lower()]:
            break
    else:
        return
    try:
        jax.devices()
    # The second where none of those that are known but missing has started.
    except (RuntimeError, AssertionError) as error:
        why = " ".join(str(error).split()) or "none of it has started"
        raise CaejaxError(
            f"{variable} is {chosen!r}, which JAX cannot use here ({why[:200]}); "
            "unset it, or set it to cpu"
        ) from error


def core_count(batch_size: int, cores: int) -> int:
    """The most cores, of so many, that divide a batch evenly."""
    return max(n for n in range(1, cores + 1) if batch_size % n == 0)


def cpu_name() -> str:
    """What the CPU calls itself, or its architecture where it does not."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
        names = (line.partition(":")[2] for line in lines if line.startswith("model n"))
        if name := " ".join(next(names, "").split()):
            return name
    return platform.processor() or platform.machine()


@contextlib.contextmanager
def of_all_processes() -> Iterator[None]:
    """While entered, devices are those of all processes, which do the same here."""
    token = _of_all.set(True)
    try:
        yield
    finally:
        _of_all.reset(token)


def _devices():
    return jax.devices() if _of_all.get() else jax.local_devices()


def mesh() -> Mesh:
    """All devices in a row."""
    return Mesh(np.array(_devices()), ("batch",))


def spread(function: Callable[..., Any]) -> Callable[..., Any]:
    """Lets a program of arrays that each device has compute on those of all processes.

    Args:
      function: a compiled program, whose arrays and results are copied to all devices.

    Returns:
      The same for arrays on this process's devices, which all processes call at once.
    """

    @functools.wraps(function)
    def run(*args):
        mine = NamedSharding(mesh(), EVERYWHERE)
        with of_all_processes():
            every = NamedSharding(mesh(), EVERYWHERE)
            args = _moved(jax.device_put(_arrays(args), mine), every, args)
            found = function(*args)
        return _moved(found, mine, found)

    return run


def _arrays(tree):
    return jax.tree.map(lambda x: x if isinstance(x, jax.Array) else None, tree)


def _moved(arrays, sharding, tree):
    """Arrays with copies on other devices besides, or on fewer; nothing is copied."""

    def move(x, array):
        if not isinstance(x, jax.Array):
            return x
        parts = [shard.data for shard in array.addressable_shards]
        return jax.make_array_from_single_device_arrays(x.shape, sharding, parts)

    return jax.tree.map(move, tree, arrays, is_leaf=lambda x: x is None)


def share(images: int) -> int:
    """How many of a batch's images each device takes: all, if they do not divide.

    All, too, in what is traced by `each_its_share`: there each has its own batches.
    """
    if jax.sharding.get_abstract_mesh().manual_axes:
        return images
    count = len(_devices())
    return images // count if images % count == 0 else images


def over_devices(batch: jax.Array) -> jax.Array:
    """Shards (B, ...) over all devices, where they divide B evenly."""
    if share(len(batch)) == len(batch):
        return batch
    return jax.lax.with_sharding_constraint(batch, NamedSharding(mesh(), BATCH))


def in_shares(x: np.ndarray) -> jax.Array:
    """(N, ...) with an equal share of N on each device, which must divide it."""
    if len(_devices()) == 1:
        return jnp.asarray(x)
    return jax.device_put(x, NamedSharding(mesh(), BATCH))


def each_its_share(function: Callable[..., Any]) -> Callable[..., Any]:
    """Lets each device do its share of a function's work.

    Args:
      function: (shared, *trees of arrays (N, ...)) to trees of arrays (N, ...), row
        by row.

    Returns:
      The same function for compiled programs, on all devices at once.
    """
    if len(_devices()) == 1:
        return function

    def run(shared, *rows):
        return jax.shard_map(
            function,
            mesh=mesh(),
            in_specs=(EVERYWHERE, *[BATCH] * len(rows)),
            out_specs=BATCH,
            check_vma=False,
        )(shared, *rows)

    return run


def on_all_devices(tree: Any) -> Any:
    """Copies a tree of arrays to all devices, where compiled steps leave it.

    A single one counts too: arrays that were put nowhere, and those of a checkpoint,
    would be compiled for apart.
    """
    if len(_devices()) == 1:
        return on_one_device(tree)
    return jax.device_put(tree, NamedSharding(mesh(), EVERYWHERE))


def on_one_device(tree: Any) -> Any:
    """A tree of arrays on the first device, for what the others need not repeat."""
    return jax.device_put(tree, jax.local_devices()[0])
