"""Tests of training sets that are streamed to the device."""

import json

import numpy as np
import pytest
from helpers.tiny import tiny_config

from caejax.training import loop
from caejax.training.images import load_images
from caejax.training.shards import create_shards
from caejax.training.step import epoch_order

IMAGES = np.arange(22, dtype=np.float32).reshape(22, 1, 1, 1)


@pytest.mark.parametrize(
    ("batches", "spans"),
    [
        (1, [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]),
        (2, [(0, 2), (2, 4), (4, 5)]),
        (9, [(0, 5)]),
    ],
)
def test_shards_are_the_epoch_in_its_order(batches, spans):
    shard_at = create_shards(IMAGES, 4, 3, budget=2 * batches * 4 * 4)
    for epoch in (0, 1):
        order, seen = np.asarray(epoch_order(3, epoch, 22)), []
        for step in range(5 * epoch, 5 * epoch + 5):
            first, end, shard = shard_at(step)
            assert (first - 5 * epoch, end - 5 * epoch) in spans
            assert first <= step < end
            assert len(shard) == 4 * min(batches, 5)
            seen += np.asarray(shard)[4 * (step - first) :][:4].ravel().tolist()
        assert seen == order[:20].tolist()


def test_an_epoch_of_more_steps_takes_images_again_as_often_as_each_other():
    shard_at = create_shards(IMAGES, 4, 3, budget=2 * 2 * 4 * 4, steps=13)
    for epoch in (0, 1):
        order = np.asarray(epoch_order(3, epoch, 22, 13 * 4))
        # 52 are two passes of 22, and 8 of a third.
        for whole in (order[:22], order[22:44]):
            assert sorted(whole) == list(range(22))
        assert len(set(order[44:])) == 8
        assert list(order[:22]) != list(order[22:44])
        seen = []
        for step in range(13 * epoch, 13 * (epoch + 1)):
            first, _, shard = shard_at(step)
            seen += np.asarray(shard)[4 * (step - first) :][:4].ravel().tolist()
        assert seen == order.tolist()


def test_one_batch_is_loaded_at_least():
    assert len(create_shards(IMAGES, 4, 0, budget=1)(0)[2]) == 4


def test_a_streamed_run_is_that_from_the_device(tmp_path):
    figures = {}
    for name, budget_mib in (("device", 1.0), ("host", 0.03)):
        config = tiny_config()
        config.data.budget_mib = budget_mib
        train = load_images(config)["train"]
        # 32 images of 16 x 16 floats are 32 KiB; half the budget holds 15.
        assert isinstance(train, np.ndarray) == (name == "host")
        loop.train(config, tmp_path / name, verbose=False)
        summary = json.loads((tmp_path / name / "summary.json").read_text())
        # Ripple, below -150 dB here, is nothing but rounding.
        figures[name] = {
            name: value
            for name, value in summary.items()
            if name != "train_seconds" and "ripple" not in name
        }
    # Another compiled program, hence other rounding.
    assert figures["host"] == pytest.approx(figures["device"], rel=1e-4, abs=1e-6)
