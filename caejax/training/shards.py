"""A training set too large for the device, taken there shard by shard."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from caejax.training.step import epoch_order

Shard = tuple[int, int, jax.Array]


def create_shards(
    images: np.ndarray, batch_size: int, seed: int, budget: float, steps: int = 0
) -> Callable[[int], Shard]:
    """Makes the function that loads what a step needs, in the order of its epoch.

    Steps get the same batches as from the whole set on the device.

    Args:
      images: the images (N, H, W, C), on the host.
      batch_size: the number of images a step.
      seed: the run's seed.
      budget: the bytes to use on the device; two shards share them, the old and the
        new. One batch is loaded at least.
      steps: the number of steps an epoch; 0 for as many as there are whole batches.

    Returns:
      (step) to (first, end, shard): steps first, ..., end - 1 find their batches
      in the shard, one after the other. The last shard is kept.
    """
    per_epoch = steps or len(images) // batch_size
    batch_bytes = batch_size * images[:1].nbytes
    length = int(min(max(1, budget // 2 // batch_bytes), per_epoch))

    @functools.lru_cache(maxsize=1)
    def load(epoch, shard):
        order = np.asarray(epoch_order(seed, epoch, len(images), steps * batch_size))
        rows = order[: per_epoch * batch_size][shard * length * batch_size :]
        # The last shard of an epoch is filled up, so that all have one shape.
        return jnp.asarray(images[np.resize(rows, length * batch_size)])

    def shard_at(step):
        epoch, inside = divmod(step, per_epoch)
        shard = inside // length
        first = epoch * per_epoch + shard * length
        end = min(first + length, (epoch + 1) * per_epoch)
        return first, end, load(epoch, shard)

    return shard_at
