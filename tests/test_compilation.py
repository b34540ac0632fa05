"""Programs are kept for the next run, but not those of any number of models."""

import subprocess
import sys

import jax
import pytest

from caejax.runtime import compilation


@pytest.fixture
def freed(monkeypatch):
    calls = []
    monkeypatch.setattr(compilation, "_kept", set())
    monkeypatch.setattr(jax, "clear_caches", lambda: calls.append(1))
    return calls


def test_programs_of_a_few_models_are_kept(freed):
    for name in "abcdefgh" * 3:
        compilation.keep_programs_of(name)
    assert not freed


def test_a_ninth_model_frees_the_others(freed):
    for name in "abcdefghi":
        compilation.keep_programs_of(name)
    assert len(freed) == 1
    # Eight may follow, the ninth itself among them.
    for name in "ijklmnop":
        compilation.keep_programs_of(name)
    assert len(freed) == 1
    compilation.keep_programs_of("a")
    assert len(freed) == 2


def test_sums_of_seven_axes_end():
    """In a process of its own, which XLA of jaxlib 0.10.2 ends without a word."""
    code = (
        "import jax.numpy as jnp; from caejax.runtime.compilation import quick_jit; "
        "x = jnp.ones((3, 1, 2, 2, 8, 8, 8)); "
        "print(quick_jit(lambda a, b: (a * b).sum(3))(x, x).sum())"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "6144.0"
