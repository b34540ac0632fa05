"""Sums over a batch, worked through in the way that suits the device.

A GPU takes the batch whole. On a CPU each core is a device of its own with an
equal share of the batch, and takes that in chunks whose activations stay in its
cache; what is a sum over images adds up to the same.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from caejax.runtime import devices

CACHE = 2**20  # bytes of second-level cache that a core has, or somewhat less


def sum_over_batch(
    function: Callable[..., Any],
    shared: Any,
    batch: tuple[jax.Array, ...],
    chunk: int,
) -> Any:
    """Evaluates a function that is a sum over images.

    Args:
      function: (shared, *arrays of images) to a tree of arrays, sums over the images.
      shared: a tree of arrays, the same for all images; parameters, for instance.
      batch: arrays of B images each, sharded over all devices if B allows it.
      chunk: about how many images each device takes at a time; 0 for all.

    Returns:
      The tree, summed over the batch.
    """

    def one_device(shared, *batch):
        size = chunk_size(len(batch[0]), chunk)
        if size == len(batch[0]):
            return function(shared, *batch)
        parts = tuple(x.reshape(-1, size, *x.shape[1:]) for x in batch)

        def add(total, part):
            return jax.tree.map(jnp.add, total, function(shared, *part)), None

        shapes = jax.eval_shape(function, shared, *(x[0] for x in parts))
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        return jax.lax.scan(add, zeros, parts)[0]

    if devices.share(len(batch[0])) == len(batch[0]):
        return one_device(shared, *batch)
    return jax.shard_map(
        lambda *args: _sum_over_devices(one_device(*args)),
        mesh=devices.mesh(),
        in_specs=(devices.EVERYWHERE, *[devices.BATCH] * len(batch)),
        out_specs=devices.EVERYWHERE,
        check_vma=False,
    )(shared, *batch)


def _sum_over_devices(tree):
    """Sums a tree over devices: between processes in one message, not one an array."""
    if jax.process_count() == 1:
        return jax.lax.psum(tree, "batch")
    flat, unravel = ravel_pytree(tree)
    return unravel(jax.lax.psum(flat, "batch"))


def map_over_batch(
    function: Callable[..., Any],
    shared: Any,
    batch: tuple[jax.Array, ...],
    chunk: int,
) -> Any:
    """As `sum_over_batch`, for a function of arrays (B, ...) of what each image has."""

    def one_device(shared, *batch):
        size = chunk_size(len(batch[0]), chunk)
        if size == len(batch[0]):
            return function(shared, *batch)
        parts = tuple(x.reshape(-1, size, *x.shape[1:]) for x in batch)
        found = jax.lax.map(lambda part: function(shared, *part), parts)
        return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), found)

    if devices.share(len(batch[0])) == len(batch[0]):
        return one_device(shared, *batch)
    return devices.each_its_share(one_device)(shared, *batch)


def chunk_size(images: int, wanted: int) -> int:
    """The divisor of a number of images nearest to the chunk that is wanted.

    Nearest in ratio; all of them where 0 is wanted.
    """
    if not wanted:
        return images
    divisors = [n for n in range(1, images + 1) if images % n == 0]
    return min(divisors, key=lambda n: abs(math.log(n / wanted)))


def cache_chunk(largest_map: int) -> int:
    """How many images a core's cache holds the largest feature maps of, at least one.

    Args:
      largest_map: the number of float32 values in the largest feature map of one image.
    """
    return max(1, CACHE // (4 * largest_map))
