"""Gradients of a batch, worked through in the way that suits the device.

A GPU takes the batch whole. On a CPU each core is a device of its own with an
equal share of the batch, and takes that in chunks whose activations stay in its
cache; gradients are sums over images, so they add up to the same.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from caejax.train import devices

CACHE = 2**20  # bytes of second-level cache that a core has, or somewhat less

Objective = Callable[..., tuple[jax.Array, Any]]


def summed_gradients(
    objective: Objective, params: Any, batch: tuple[jax.Array, ...], chunk: int
) -> tuple[Any, Any]:
    """Gradients of an objective that is a sum over images, and what it returns besides.

    Args:
      objective: (params, *arrays of images) to a scalar and a tree, both sums over
        the images.
      params: tree of arrays.
      batch: arrays of B images each, sharded over all devices if B allows it.
      chunk: images that each device takes at a time, about; 0 for all.

    Returns:
      The gradients and the tree, both summed over the batch.
    """
    gradient = jax.grad(objective, has_aux=True)

    def one_device(params, *batch):
        size = chunk_size(len(batch[0]), chunk)
        if size == len(batch[0]):
            return gradient(params, *batch)
        parts = tuple(x.reshape(-1, size, *x.shape[1:]) for x in batch)

        def add(total, part):
            return jax.tree.map(jnp.add, total, gradient(params, *part)), None

        shapes = jax.eval_shape(gradient, params, *(x[0] for x in parts))
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        return jax.lax.scan(add, zeros, parts)[0]

    if devices.share(len(batch[0])) == len(batch[0]):
        return one_device(params, *batch)
    return jax.shard_map(
        lambda *args: jax.lax.psum(one_device(*args), "batch"),
        mesh=devices.mesh(),
        in_specs=(devices.EVERYWHERE, *[devices.BATCH] * len(batch)),
        out_specs=devices.EVERYWHERE,
        check_vma=False,
    )(params, *batch)


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
      largest_map: float32 numbers in that of one image.
    """
    return max(1, CACHE // (4 * largest_map))
