"""Tests of programs that are compiled ahead of their use."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.runs import new_state
from helpers.tiny import tiny_config
from jax.sharding import NamedSharding

from caejax.metrics import evaluator
from caejax.runtime import ahead, devices
from caejax.training.images import load_images
from caejax.training.task import subject_of, task_from_config

EVENT = "/jax/core/compile/backend_compile_duration"


@pytest.fixture
def compiled():
    """The names of what is compiled while the test runs."""
    names = []

    def note(event, seconds, **about):
        if event == EVENT:
            names.append(about.get("fun_name", ""))

    jax.monitoring.register_event_duration_secs_listener(note)
    yield names
    with contextlib.suppress(ValueError):
        jax.monitoring.unregister_event_duration_listener(note)


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    """A machine on which something can be done ahead."""
    monkeypatch.setattr(ahead, "usable_cores", lambda: [0, 1])
    monkeypatch.setattr(ahead, "_done", set())


def test_what_is_compiled_ahead_is_not_run_and_not_compiled_again(compiled):
    ran = []

    def double(x):
        jax.debug.callback(lambda: ran.append(1))
        return {"y": 2 * x}

    run, x, seen = ahead.program(double), jnp.ones(3), []
    with ahead.compiling(lambda: seen.append(run(x)), double):
        pass
    jax.effects_barrier()
    assert not ran
    np.testing.assert_array_equal(seen[0]["y"], np.zeros(3))
    assert "jit(double)" in compiled
    compiled.clear()
    np.testing.assert_array_equal(run(x)["y"], np.full(3, 2))
    jax.effects_barrier()
    assert ran
    assert "jit(double)" not in compiled


@pytest.mark.parametrize("spread", [False, True], ids=["", "over all devices"])
@pytest.mark.parametrize("bound", [False, True], ids=["free", "bound to a device"])
def test_what_takes_the_result_of_another_program_is_compiled_once(
    compiled, bound, spread
):
    def first(x):
        x = x + 1
        return devices.over_devices(x) if spread else x

    def second(x):
        return {"y": 3 * x}

    programs = [ahead.program(f) for f in (first, second)]
    where = None
    if bound:
        mesh = NamedSharding(devices.mesh(), devices.BATCH)
        where = mesh if spread else jax.devices()[0]
    x = jax.device_put(np.arange(4.0), where)

    def both():
        return programs[1](programs[0](x))

    with ahead.compiling(both, (first, bound)):
        pass
    np.testing.assert_array_equal(both()["y"], [3, 6, 9, 12])
    assert compiled.count("jit(first)") == compiled.count("jit(second)") == 1


def test_errors_ahead_are_left_to_those_who_call_in_earnest():
    def fails():
        raise ValueError

    with ahead.compiling(fails, fails):
        pass
    with ahead.compiling(lambda: None, None):  # nobody is busy any more
        assert ahead._busy.locked()
    assert not ahead._busy.locked()


def test_one_core_has_no_time_for_it(monkeypatch):
    monkeypatch.setattr(ahead, "usable_cores", lambda: [0])
    called = []
    with ahead.compiling(lambda: called.append(1), called.append):
        pass
    assert not called


def test_another_decoder_compiles_its_model_and_nothing_else(compiled, key):
    """Metrics are compiled once; what is the model's own is each a program."""
    for kind in ("deconv_k4", "nearest_k3"):
        config = tiny_config()
        config.model.upsampling = kind
        config.model.widths = (3, 5)  # as no other test has them: none has compiled it
        task = task_from_config(config, total_steps=1)
        subject, images = subject_of(task), load_images(config)["test"]
        params = new_state(task).params
        compiled.clear()
        evaluator.evaluate(subject, params, images, key, 0.5, "val")
    # The model on a split, and its decoder's responses.
    assert len(compiled) == 2
