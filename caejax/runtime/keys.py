"""Named random streams: every key is derived, none is threaded or stored.

A key depends on (seed, name, counters) alone, so a resumed run draws what the
uninterrupted one would have drawn, and runs that differ in their decoder share
initialisation, data order and noise.
"""

import zlib

import jax


def stream(seed: int | jax.Array, name: str, *counters: int | jax.Array) -> jax.Array:
    """The key of a named stream.

    Args:
      seed: the run's seed.
      name: what the key is for, "params" or "train_noise" for instance.
      *counters: folded in one after another: step, epoch, example index.

    Returns:
      A typed key array of shape ().
    """
    key = jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))
    for counter in counters:
        key = jax.random.fold_in(key, counter)
    return key
