"""Tests that all paths compute the same, step for step."""

import jax
import numpy as np
import pytest
from helpers.layers import random_params
from helpers.runs import new_state
from helpers.tiny import tiny_config

from caejax.models.kinds import UPSAMPLING, valid_growth
from caejax.models.upsampling import Upsample
from caejax.ops import paths
from caejax.ops.pool import max_pool
from caejax.training.images import load_images
from caejax.training.step import compiled_steps, zero_sums
from caejax.training.task import task_from_config

OTHERS = ("polyphase", "stock")
TOLERANCE = 1e-5


def on_path(path, function):
    def run(*args):
        with paths.use(path):
            return function(*args)

    return run


def test_auto_is_made_for_the_device(monkeypatch):
    assert paths.resolve("stock") == "stock"
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    assert paths.chosen() == "matmul"
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    assert paths.chosen() == "stock"


def test_the_path_ends_with_its_block():
    before = paths.chosen()
    with paths.use("polyphase"):
        assert paths.chosen() == "polyphase"
    assert paths.chosen() == before


def test_unknown_path():
    with pytest.raises(ValueError, match="'fast'; known: auto, matmul, polyphase"):
        paths.resolve("fast")


@pytest.mark.parametrize("path", OTHERS)
@pytest.mark.parametrize("kind", UPSAMPLING)
def test_upsampling(kind, path, normal, assert_same_function):
    x, params = normal(2, 3, 5, 8), random_params(normal, kind, 8, 3)
    modes = (False, True) if valid_growth(UPSAMPLING[kind]) is not None else (False,)
    for valid in modes:
        layer = Upsample(3, kind, valid=valid)

        def run(x, kernel, layer=layer, bias=params["bias"]):
            return layer.apply({"params": {"kernel": kernel, "bias": bias}}, x)

        assert_same_function(
            on_path(path, run), on_path("matmul", run), x, params["kernel"]
        )


@pytest.mark.parametrize("path", OTHERS)
@pytest.mark.parametrize("valid", [False, True])
def test_pooling(valid, path, normal, assert_same_function):
    def run(x):
        return max_pool(x, valid=valid)

    x = normal(2, 5, 4, 3)
    assert_same_function(on_path(path, run), on_path("matmul", run), x)


def parameters_after_100_steps(path, chunk, kind):
    """Of the tiny model, trained from one seed."""
    config = tiny_config()
    config.model.path, config.model.upsampling = path, kind
    task = task_from_config(config, total_steps=100)._replace(chunk=chunk)
    images = load_images(config)["train"]
    run, state = compiled_steps(task), new_state(task)
    epoch = len(images) // task.batch_size
    for stop in (*range(epoch, 100, epoch), 100):
        state, sums = run(state, zero_sums(), images, stop, 0, 0.5)
    assert np.isfinite(sums["loss"])
    assert int(state.step) == 100
    return state.params


def test_a_hundred_steps_end_with_the_same_parameters():
    plain = parameters_after_100_steps("stock", 0, "deconv_k3")
    fast = parameters_after_100_steps("matmul", 2, "deconv_k3")
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(fast), strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=TOLERANCE * np.abs(a).max())
