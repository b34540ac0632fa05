"""Tests of sums over chunks; several devices are in test_training_step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from caejax.runtime.batches import cache_chunk, chunk_size, sum_over_batch


@pytest.mark.parametrize("chunk", [0, 1, 4, 5, 100])
def test_chunks_sum_to_the_whole(chunk, normal):
    def objective(params, x, y):
        errors = (x @ params["w"] - y) ** 2
        return errors.sum(), {"count": jnp.float32(len(x)), "worst": errors.sum(0)}

    params = {"w": normal(3, 2)}
    x, y = normal(12, 3), normal(12, 2)

    @jax.jit
    def run(params, x, y):
        gradient = jax.grad(objective, has_aux=True)
        return sum_over_batch(gradient, params, (x, y), chunk)

    grads, sums = run(params, x, y)
    errors = x @ params["w"] - y
    np.testing.assert_allclose(grads["w"], 2 * x.T @ errors, rtol=1e-5)
    np.testing.assert_allclose(sums["worst"], (errors**2).sum(0), rtol=1e-5)
    assert sums["count"] == 12


@pytest.mark.parametrize(
    ("images", "wanted", "expected"),
    [(200, 10, 10), (64, 10, 8), (67, 10, 67), (12, 0, 12), (12, 100, 12), (6, 1, 1)],
)
def test_chunks_divide_the_batch(images, wanted, expected):
    assert chunk_size(images, wanted) == expected


def test_chunks_fit_the_cache():
    # 28 * 28 * 32 floats of 4 bytes are 98 KiB: ten in one MiB.
    assert cache_chunk(28 * 28 * 32) == 10
    assert cache_chunk(28 * 28 * 3) == 111
    assert cache_chunk(512 * 512 * 64) == 1
