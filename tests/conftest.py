"""A strict session, and fixtures for all tests."""

import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

# A wrong rank must not broadcast its way to a number.
jax.config.update("jax_numpy_rank_promotion", "raise")
# Accelerators, too, compare numbers in full float32.
jax.config.update("jax_default_matmul_precision", "highest")
os.environ["MPLBACKEND"] = "Agg"


@pytest.fixture
def key():
    """A random key, always the same."""
    return jax.random.key(0)


@pytest.fixture
def torch():
    """PyTorch; the test is skipped without it."""
    return pytest.importorskip("torch")


@pytest.fixture
def data_dir():
    """Finds a folder of real data by name; the test is skipped without it."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    root = Path(os.environ.get("CAEJAX_DATA", beside))

    def find(name: str) -> Path:
        if not (root / name).is_dir():
            pytest.skip(f"no real data {name!r}: CAEJAX_DATA names its parent folder")
        return root / name

    return find


@pytest.fixture
def assert_same_function():
    """Checks that two functions have the same values and gradients.

    All are compared relative to their largest entry. The gradients are those of
    an uneven weighting of the outputs, with respect to every leaf of every
    argument.
    """

    def check(function, reference, *args, rtol=1e-5):
        actual = jax.tree.leaves(_value_and_gradients(function, args))
        expected = jax.tree.leaves(_value_and_gradients(reference, args))
        for a, b in zip(actual, expected, strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            np.testing.assert_allclose(a, b, rtol=0, atol=rtol * np.abs(b).max())

    return check


def _value_and_gradients(function, args):
    def weighted(args):
        y = function(*args)
        weights = jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape)
        return (y * weights).sum(), y

    gradients, value = jax.jit(jax.grad(weighted, has_aux=True))(args)
    return value, gradients
