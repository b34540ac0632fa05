"""Tests of what runs a trained model in batches."""

import numpy as np
import pytest
from helpers.random_models import random_model

from caejax import export
from caejax.config import default
from caejax.errors import CaejaxError
from caejax.evaluation.levels import measure_levels
from caejax.evaluation.references import measure_references
from caejax.fix.runs import fix_run
from caejax.inference import any_size, trained
from caejax.inference.trained import in_batches
from caejax.report.report import report
from caejax.sweep.run import run_sweep
from caejax.training.loop import evaluate_again, train


@pytest.mark.parametrize(
    "call",
    [
        trained.load,
        trained.load_file,
        report,
        lambda path: evaluate_again(None, path),
        lambda path: fix_run(path, path),
        lambda path: measure_levels(path, [0.1]),
        lambda path: measure_references(path, ["input"]),
        lambda path: train(default(), path),
        lambda path: run_sweep(default(), path),
        lambda path: export.export(None, "safetensors", path),
    ],
)
def test_paths_may_be_text(call):
    with pytest.raises(CaejaxError, match="environment has no variable NO_SUCH_ONE"):
        call("~/$NO_SUCH_ONE")


def test_a_model_is_loaded_from_text(tmp_path):
    model = random_model(channels=1)
    export.export(model, "safetensors", str(tmp_path / "model.safetensors"))
    found = trained.load_file(str(tmp_path / "model.safetensors"))
    assert found.model == model.model


def test_batches_are_of_one_size_and_lose_nothing():
    sizes, done = [], []

    def double(x, y):
        sizes.append(len(x))
        return x + y

    items = np.arange(7)
    outputs = list(in_batches(double, items, items, size=3, advance=done.append))
    assert outputs == [0, 2, 4, 6, 8, 10, 12]
    assert (sizes, done) == ([3, 3, 3], [3, 3, 1])


@pytest.mark.parametrize("size", [(13, 10), (16, 16), (17, 18)])
def test_between_images_of_any_size_lie_images_of_that_size(size):
    """Of a model of crops, whose codes are of sides that its stride divides."""
    model = random_model(crop=8)
    pair = np.random.default_rng(0).random((*size, 2), np.float32)
    function = trained.interpolate(model, (0.0, 1.0))
    made = any_size.apply(function, model, pair)
    ends = any_size.apply_to_all(
        trained.reconstruct(model), model, np.moveaxis(pair, -1, 0)[..., None]
    )
    np.testing.assert_allclose(made, np.moveaxis(ends[..., 0], 0, -1), atol=1e-5)
