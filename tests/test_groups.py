"""Tests of means over photographs, and of what is made of them."""

import numpy as np
import pytest
from helpers.runs import new_state
from helpers.tiny import tiny_config

from caejax.data import SOURCES
from caejax.metrics.evaluator import evaluate
from caejax.metrics.groups import MOST, group_means
from caejax.report.groups import by_photograph, crossed_difference
from caejax.report.intervals import crossed_interval
from caejax.report.read import RunFiles
from caejax.training.images import load_images
from caejax.training.task import subject_of, task_from_config


def test_patches_of_one_photograph_are_one_value():
    values = np.array([1.0, 3.0, 5.0, 5.0, 0.0])
    found = group_means({"psnr": values}, np.arange(5), 5, 2)
    np.testing.assert_array_equal(found["group_psnr"], [2, 5, 0])
    # Of some images only; of the second photograph none.
    found = group_means({"psnr": values[[0, 4]]}, np.array([0, 4]), 5, 2)
    np.testing.assert_array_equal(found["group_psnr"], [1, np.nan, 0])
    many = group_means({"psnr": np.arange(1000.0)}, np.arange(1000), 1000, 1)
    assert len(many["group_psnr"]) == MOST
    assert many["group_psnr"].mean() == pytest.approx(499.5, rel=1e-2)


def test_a_test_keeps_the_means_of_photographs(key):
    config = tiny_config()
    task = task_from_config(config, total_steps=1)
    params, images = new_state(task).params, load_images(config)["test"]
    subject = subject_of(task)
    values, maps = evaluate(subject, params, images, key, 0.3, "test", 4)
    for name in ("loss", "psnr", "ssim"):
        assert maps[f"group_{name}"].shape == (3,)
        mean = maps[f"group_{name}"].mean()
        assert mean == pytest.approx(values[name], rel=1e-4)
    ripple = maps["group_dc_ripple_grey_s8"]
    power = np.sqrt((ripple**2).mean())
    assert power == pytest.approx(values["dc_ripple_grey_s8"], rel=1e-4, abs=1e-6)
    first = evaluate(subject, params, images[:4], key, 0.3, "test", 4)
    same = pytest.approx(float(maps["group_psnr"][0]), rel=1e-5)
    assert first.values["psnr"] == same
    assert [name for name, source in SOURCES.items() if source.cut] == ["folder"]


def run_of(values):
    return RunFiles({}, {}, [], {"group_psnr": np.array(values, np.float32)})


def test_differences_are_those_of_seeds_and_photographs():
    first = [[1, 2, 3], [2, 2, 2]]
    second = [[2, 4, 3], [3, 5, 2]]
    pairs = [(run_of(a), run_of(b)) for a, b in zip(first, second, strict=True)]
    expected = crossed_interval(np.subtract(second, first))
    assert crossed_difference(pairs, "test/psnr") == expected
    assert crossed_difference(pairs[:1], "test/psnr") is None
    assert crossed_difference(pairs, "test/ssim") is None
    assert by_photograph(pairs[0][0], "test/ssim") is None
    # A photograph that a run has no value of is left out.
    lacking = [(run_of([1, 2, 3]), run_of([np.nan, 4, 3]))] + pairs[1:]
    found = crossed_difference(lacking, "test/psnr")
    assert found.mean == np.subtract(second, first)[:, 1:].mean()
