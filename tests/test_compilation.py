"""Programs are kept for the next run, but not those of any number of models."""

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
