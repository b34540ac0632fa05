"""Tests of the images that a run holds."""

import re

import jax
import numpy as np
import pytest
from helpers.tiny import tiny_config

from caejax import data
from caejax.config.length import few_steps
from caejax.ops.images import as_float
from caejax.training.images import load_images


@pytest.mark.parametrize(
    ("images", "changes", "words"),
    [
        # Five photographs of which one validates and one is for testing.
        (
            3,
            {"batch_size": 2, "epochs": 20},
            "only 20 steps .20 epochs of 3 training images in batches of 2",
        ),
        (3, {"batch_size": 2, "epochs": 1}, r"only 1 step \(1 epoch of 3 training"),
        (3, {"batch_size": 2, "epochs": 100}, ""),
        (3, {"batch_size": 2, "epochs": 1, "steps_per_epoch": 100}, ""),
        (300, {"batch_size": 3, "epochs": 1}, ""),
        (1, {"batch_size": 2}, ""),  # which is an error
    ],
)
def test_so_few_images_that_little_is_learnt_are_said(images, changes, words):
    config = tiny_config()
    config.train.update(changes)
    line = few_steps(config, images)
    assert re.search(f"^warning: .*{words}", line) if words else line == ""


def test_bytes_become_floats():
    images = np.array([0, 51, 255], np.uint8)
    np.testing.assert_allclose(jax.jit(as_float)(images), [0, 0.2, 1], rtol=1e-6)
    floats = np.float32([0.1, 0.9])
    assert as_float(floats) is floats


@pytest.fixture
def npz_config(tmp_path):
    """Bytes in an npz file."""
    rng = np.random.default_rng(0)
    arrays = {
        f"x_{part}": rng.integers(0, 256, (20, 16, 16)) for part in ("train", "test")
    }
    np.savez(
        tmp_path / "bytes.npz", **{k: v.astype(np.uint8) for k, v in arrays.items()}
    )
    config = tiny_config()
    config.data.source, config.data.dir = "npz", str(tmp_path)
    config.data.name = "bytes.npz"
    return config


def test_bytes_stay_bytes(npz_config):
    images = load_images(npz_config)
    assert {x.dtype for x in images.values()} == {np.dtype(np.uint8)}
    settings = npz_config.data.to_dict() | {"image_size": (16, 16)}
    del settings["budget_mib"]
    floats = data.load(**settings)
    for split in data.PARTS:
        expected = getattr(floats, split).images
        assert expected.dtype == np.float32
        np.testing.assert_allclose(as_float(images[split]), expected, rtol=1e-6)


def test_floats_stay_floats():
    images = load_images(tiny_config())
    assert {x.dtype for x in images.values()} == {np.dtype(np.float32)}
