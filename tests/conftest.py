"""A strict session, and fixtures for all tests."""

import atexit
import gc
import os
import shutil
import tempfile
from pathlib import Path

import jax
import numpy as np
import pytest

from caejax.runtime.startup import start

# Tests wait for the compiler, not for arithmetic: it need not try hard.
_FLAGS = ["--xla_backend_optimization_level=0", os.environ.get("XLA_FLAGS", "")]
if jax.__version_info__ < (0, 11):  # a flag that XLA does not know ends the process
    _FLAGS.insert(0, "--xla_cpu_use_fusion_emitters=false")
os.environ["XLA_FLAGS"] = " ".join(_FLAGS)
os.environ["MPLBACKEND"] = "Agg"
os.environ["CAEJAX_TRACEBACK"] = "1"  # what was not foreseen is a fault to be seen
# What one test has compiled, the others and their subprocesses find again.
if "CAEJAX_TEST_CACHE" not in os.environ:
    os.environ["CAEJAX_TEST_CACHE"] = tempfile.mkdtemp(prefix="caejax-tests-")
    atexit.register(shutil.rmtree, os.environ["CAEJAX_TEST_CACHE"], ignore_errors=True)
os.environ["JAX_COMPILATION_CACHE_DIR"] = os.environ["CAEJAX_TEST_CACHE"]
start(cores=1, cache=Path(os.environ["CAEJAX_TEST_CACHE"]))
# A wrong rank must not broadcast its way to a number.
jax.config.update("jax_numpy_rank_promotion", "raise")
# Accelerators, too, compare numbers in full float32.
jax.config.update("jax_default_matmul_precision", "highest")

_LARGE = 1 << 30  # bytes


@pytest.fixture(scope="session", autouse=True)
def one_device():
    """Starts JAX, so that no command called in this process gives it more devices."""
    jax.devices()
    # What is imported by now is not looked through again at each collection.
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def small_process():
    """Lets go of compiled programs where they are many: the process gets slow by them.

    What is needed again is found in the folder of compiled programs.
    """
    yield
    with open("/proc/self/statm") as file:
        resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    if resident > _LARGE:
        jax.clear_caches()
        gc.collect()


@pytest.fixture
def key():
    """A random key, always the same."""
    return jax.random.key(0)


@pytest.fixture
def normal():
    """Draws float32 arrays of standard normal numbers, each call new ones."""
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    return draw


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
        both = jax.jit(lambda *args: [probe(f, args) for f in (function, reference)])
        actual, expected = map(jax.tree.leaves, both(*args))
        for a, b in zip(actual, expected, strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            np.testing.assert_allclose(a, b, rtol=0, atol=rtol * np.abs(b).max())

    def probe(function, args):
        def weighted(args):
            y = function(*args)
            weights = np.cos(np.arange(y.size)).reshape(y.shape)
            return (y * weights.astype(y.dtype)).sum(), y

        return jax.grad(weighted, has_aux=True)(args)

    return check
