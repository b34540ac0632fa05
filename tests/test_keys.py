"""Tests of the named random streams."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from caejax.runtime.keys import stream


def data(key):
    return tuple(jax.random.key_data(key).tolist())


def test_is_a_fold_of_name_and_counters():
    # 0xCBF43926 is the published check value of CRC-32, of "123456789".
    key = jax.random.fold_in(jax.random.key(7), 0xCBF43926)
    assert stream(7, "123456789") == key
    key = jax.random.fold_in(jax.random.fold_in(key, 3), 5)
    assert stream(7, "123456789", 3, 5) == key


def test_is_one_typed_key():
    key = stream(0, "params")
    assert key.shape == ()
    assert jnp.issubdtype(key.dtype, jax.dtypes.prng_key)


def test_streams_are_distinct():
    counters = [(), (0,), (1,), (2,), (0, 0), (0, 1), (1, 0), (1, 1)]
    names = ["params", "order", "train_noise", "test_noise", "a", "b", ""]
    arguments = list(itertools.product([0, 1, 2], names, counters))
    keys = {data(stream(seed, name, *rest)) for seed, name, rest in arguments}
    assert len(keys) == len(arguments)


@pytest.mark.parametrize("counters", [(), (3,), (3, 4)])
def test_is_the_same_inside_jit(counters):
    traced = jax.jit(lambda seed, *counters: stream(seed, "noise", *counters))
    assert data(traced(2, *counters)) == data(stream(2, "noise", *counters))
    static = jax.jit(lambda: stream(2, "noise", *counters))
    assert data(static()) == data(stream(2, "noise", *counters))


def test_counters_may_be_mapped_over():
    steps = jnp.arange(5)
    together = jax.vmap(lambda step: stream(0, "noise", step))(steps)
    assert len(np.unique(jax.random.key_data(together), axis=0)) == 5
    assert data(together[3]) == data(stream(0, "noise", 3))
