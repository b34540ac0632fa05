import itertools
from types import SimpleNamespace

import pytest
from helpers.tiny import tiny_config

from caejax.commands import estimate
from caejax.commands.estimate import Calibration, Work, total_seconds
from caejax.config import override
from caejax.models.size import image_flops
from caejax.sweep.spec import expand
from caejax.training.images import load_images
from caejax.training.task import model_from_config


def test_flops_by_hand():
    config = tiny_config()
    config.data.image_size = 10
    override(config, "model.encoder", "layers")
    config.model.encoder_layers = ("conv3 2 valid",)
    config.model.decoder_layers = ("nearest 5/4", "conv1 1")
    config.model.output_activation = "linear"
    config.model.path = "stock"
    # 8 x 8 pixels of 2 channels, 9 products and sums and a bias each; a resize that
    # only copies; then 10 x 10 pixels of 1 channel from 2.
    expected = 8 * 8 * 2 * (9 * 2 + 1) + 10 * 10 * (2 * 2 + 1)
    assert image_flops(model_from_config(config)) == expected


@pytest.mark.parametrize(
    ("workers", "seconds"), [(1, 5 + 9 + 4 + 6), (2, 9 + 6), (9, 9)]
)
def test_runs_are_begun_in_turn_by_whoever_is_free(workers, seconds):
    # The first of "a" and "b" compile for 3 s, each takes 1 s besides its images'.
    works = [Work(10, 0, "a"), Work(30, 2, "b"), Work(20, 1, "a"), Work(20, 3, "a")]
    assert [work.flops * 0.1 + work.evaluated for work in works] == [1, 5, 3, 5]
    calibration = Calibration(
        compiling=3, fixed=1, per_flop=0.1, per_image=1, seconds=0
    )
    # 5, 9, 4 and 6 s; two workers: 5 and 4 s | 9 s, then 6 s.
    assert total_seconds(works, calibration, workers) == pytest.approx(seconds)


@pytest.mark.parametrize(("limit", "fraction"), [(0, 0.2), (10, 0.2), (0, 0.0)])
def test_images_are_counted_without_drawing_them(limit, fraction, monkeypatch):
    config = tiny_config()
    config.data.limit, config.data.val_fraction = limit, fraction
    counts = {name: len(images) for name, images in load_images(config).items()}
    monkeypatch.setattr(estimate, "load_images", None)
    found = estimate.image_counts(config)
    assert dict(zip(("train", "val", "test"), found, strict=True)) == counts


def test_a_runs_work_is_steps_and_what_is_evaluated():
    config = tiny_config()  # 32 images to train on, 8 validate
    config.train.batch_size = 9
    found = estimate.work(config)
    assert found.flops == 2 * 27 * image_flops(model_from_config(config))
    assert found.evaluated == 3 * 8 + 12
    config.train.steps_per_epoch = 50  # in which images come again
    found = estimate.work(config)
    assert found.flops == 2 * 50 * 9 * image_flops(model_from_config(config))


@pytest.mark.parametrize(("tick", "steps"), [(1, 1), (0.001, 64)])
def test_steps_are_taken_until_they_last_long_enough(monkeypatch, tick, steps):
    config = tiny_config()
    config.model.encoder, config.model.widths = "dense", ()
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
    found = estimate.calibrate(config)
    last = stops[-1] - (stops[-2] if len(stops) > 1 else 0)
    assert last == steps
    images = steps * config.train.batch_size
    flops = image_flops(model_from_config(config))
    assert found.per_flop * images * flops == pytest.approx(tick)
    assert found.per_image * config.data.test_size == pytest.approx(tick)
    assert (found.compiling, found.fixed) == (0, pytest.approx(tick))


def test_a_calibration_is_of_few_images_and_one_epoch():
    config = tiny_config()
    config.train.epochs, config.data.train_size = 5, 10_000
    short = estimate._short(config)
    assert (short.train.epochs, short.data.train_size) == (1, 600)
    assert short.model == config.model
    assert (config.train.epochs, config.data.train_size) == (5, 10_000)
    config.train.batch_size = 256
    assert len(load_images(estimate._short(config))["train"]) >= 256
    assert short.train.steps_per_epoch == 0
    config.train.steps_per_epoch = 1000
    assert estimate._short(config).train.steps_per_epoch == 8


def test_the_time_is_told_or_why_it_is_not(monkeypatch, tmp_path):
    config = tiny_config()
    config.sweep = {"seed": {"field": "seed", "values": (0, 1, 2)}}
    runs = expand(config)
    images = 2 * 32 * image_flops(model_from_config(config))
    calibration = Calibration(
        compiling=20.0, fixed=0.0, per_flop=60 / images, per_image=0.0, seconds=1.24
    )
    monkeypatch.setattr(estimate, "calibrate", lambda config: calibration)
    line = estimate.time_line(runs, workers=2)
    assert line.startswith("takes about 2 min on this machine (")
    assert line.endswith(", 2 runs at a time), from a calibration of 1.2 s")
    # Together, other learning rates do not compile again.
    config.sweep = {"r": {"field": "optimizer.learning_rate", "values": (0.1, 0.2)}}
    for together, took in ((False, "3 min"), (True, "2 min")):
        line = estimate.time_line(expand(config), workers=1, together=together)
        assert f"about {took} on" in line
        assert ("less on an accelerator" in line) == together
    config.data.source, config.data.dir = "npz", str(tmp_path / "none.npz")
    line = estimate.time_line(expand(config), workers=1)
    assert line.startswith("no estimate of the time: ")
    assert "none.npz" in line
