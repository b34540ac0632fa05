import itertools
from types import SimpleNamespace

import pytest
from tiny import tiny_config

from caejax import estimate, show
from caejax.estimate import Calibration, Work, image_flops, total_seconds
from caejax.sweep.spec import expand
from caejax.train.images import load_images
from caejax.train.task import model_from_config, task_from_config


def test_flops_by_hand():
    config = tiny_config()
    config.data.image_size = 10
    config.model.encoder = "layers"
    config.model.encoder_layers = ("conv3 2 valid",)
    config.model.decoder_layers = ("nearest 5/4", "conv1 1")
    config.model.output_activation = "linear"
    config.model.path = "stock"
    # 8 x 8 pixels of 2 channels, 9 products and sums and a bias each; a resize that
    # only copies; then 10 x 10 pixels of 1 channel from 2.
    expected = 8 * 8 * 2 * (9 * 2 + 1) + 10 * 10 * (2 * 2 + 1)
    assert image_flops(model_from_config(config)) == expected


@pytest.mark.parametrize(
    ("workers", "seconds"), [(1, 3 + 1 + 4 + 2 + 3 + 3), (2, 3 + 1 + 2 + 3), (9, 3 + 4)]
)
def test_runs_are_begun_in_turn_by_whoever_is_free(workers, seconds):
    # The first of "a" and "b" compile for 3 s. Two workers: 4 and 2 s | 7 s, then 3 s.
    works = [Work(10, "a"), Work(40, "b"), Work(20, "a"), Work(30, "a")]
    calibration = Calibration(compiling=3, per_flop=0.1, seconds=0)
    assert total_seconds(works, calibration, workers) == pytest.approx(seconds)


@pytest.mark.parametrize(("limit", "fraction"), [(0, 0.2), (10, 0.2), (0, 0.0)])
def test_images_are_counted_without_drawing_them(limit, fraction, monkeypatch):
    config = tiny_config()
    config.data.limit, config.data.val_fraction = limit, fraction
    count = len(load_images(config)["train"])
    monkeypatch.setattr(estimate, "load_images", None)
    assert estimate.training_images(config) == count


@pytest.mark.parametrize(("tick", "steps"), [(1, 1), (0.001, 64)])
def test_a_calibration_takes_steps_until_it_is_long_enough(monkeypatch, tick, steps):
    config = tiny_config()
    config.model.encoder, config.model.widths = "dense", ()
    task = task_from_config(config, total_steps=1)
    ticks, stops = itertools.count(step=tick), []
    clock = SimpleNamespace(perf_counter=lambda: next(ticks))
    monkeypatch.setattr(estimate, "time", clock)
    create = estimate.compiled_steps

    def spied(task):
        def run(state, sums, images, stop, *rest):
            stops.append(stop)
            return create(task)(state, sums, images, stop, *rest)

        return run

    monkeypatch.setattr(estimate, "compiled_steps", spied)
    found = estimate.calibrate(task)
    assert stops[0] == 0
    assert stops[-1] - stops[-2] == steps
    images = steps * config.train.batch_size
    assert found.per_flop * images * image_flops(task.model) == pytest.approx(tick)
    assert found.compiling == pytest.approx(tick)


def test_the_time_is_told_or_why_it_is_not(monkeypatch, tmp_path):
    config = tiny_config()
    config.sweep = {"seed": {"field": "seed", "values": (0, 1, 2)}}
    runs = expand(config)
    images = 2 * 32 * image_flops(model_from_config(config))
    calibration = Calibration(compiling=20.0, per_flop=60 / images, seconds=1.24)
    monkeypatch.setattr(show, "calibrate", lambda task: calibration)
    line = show.time_line(runs, workers=2)
    assert line.startswith("training takes about 2 min on this machine (")
    assert line.endswith(
        ", 2 runs at a time), from a calibration of 1.2 s; evaluation comes on top"
    )
    # Together, other learning rates do not compile again.
    config.sweep = {"r": {"field": "optimizer.learning_rate", "values": (0.1, 0.2)}}
    for together, took in ((False, "3 min"), (True, "2 min")):
        line = show.time_line(expand(config), workers=1, together=together)
        assert f"about {took} on" in line
        assert ("less on an accelerator" in line) == together
    config.data.source, config.data.dir = "npz", str(tmp_path / "none.npz")
    line = show.time_line(expand(config), workers=1)
    assert line.startswith("no estimate of the time: ")
    assert "none.npz" in line
