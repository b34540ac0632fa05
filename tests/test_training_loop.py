"""Tests of one run, from its config to its summary."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.runs import (
    CLOCK,
    assert_same,
    new_state,
    rows_of,
    state_of,
)
from helpers.tiny import tiny_config

from caejax import weights
from caejax.corruptions import choose
from caejax.errors import CaejaxError
from caejax.export.weights import write as write_weights
from caejax.files.atomic import read_rows
from caejax.files.safetensors import SUFFIX
from caejax.inference import trained
from caejax.losses import LOSSES
from caejax.metrics import checkerboard, evaluator, quality
from caejax.metrics.lattice import spectrum
from caejax.metrics.noise import corrupt_examples, noise_key
from caejax.metrics.phases import phase_means
from caejax.runtime import stopping
from caejax.training import folder, loop
from caejax.training.checkpoint import Checkpoints
from caejax.training.images import load_data, load_images
from caejax.training.run import create_run
from caejax.training.task import subject_of, task_from_config
from tests.helpers.board import values_of
from tests.helpers.tiny import save_checkpoints

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run, done without a stop, of three epochs with EMA and momentum."""
    workdir = tmp_path_factory.mktemp("run")
    summary = loop.train(long_config(), workdir, verbose=False)
    return workdir, summary


def long_config():
    config = tiny_config()
    config.train.epochs = 3
    config.train.ema_decay = 0.9
    config.optimizer.schedule = "cosine"
    return config


def test_the_folder_holds_what_the_contract_says(finished):
    workdir, summary = finished
    assert json.loads((workdir / "summary.json").read_text()) == summary
    names = {"loss", "mse", "psnr", "ssim", "psnr_noisy"}
    wanted = {f"test/{name}" for name in names} | {"params", "train_seconds"}
    start = ("dc_ripple_db", "dc_ripple_relative_db", "overlap_db", "grad_phase_db")
    end = ("dc_ripple_db", "grad_phase_db", *PAIRED)
    for s in (2, 4, 8):
        wanted |= {f"init/{name}_s{s}" for name in start}
        wanted |= {f"test/{name}_s{s}" for name in end}
    assert wanted <= set(summary)
    assert all(np.isfinite(value) for value in summary.values())
    environment = json.loads((workdir / "environment.json").read_text())
    assert {"packages", "device", "commit", "command"} <= set(environment)
    assert environment["cpu"] not in ("", "cpu")
    config = json.loads((workdir / "config.json").read_text())
    assert config["model"]["upsampling"] == "nearest_k3"
    assert {"checkpoints", "tensorboard"} <= {p.name for p in workdir.iterdir()}


def test_rows_follow_the_protocol(finished):
    rows = read_rows(finished[0] / "metrics.jsonl")
    assert [(r["step"], r["split"]) for r in rows] == [
        (0, "val"),
        (2, "val"),
        (4, "train"),
        (4, "val"),
        (8, "train"),
        (8, "val"),
        (12, "train"),
        (12, "val"),
        (12, "test"),
    ]
    assert all(r["images_per_second"] > 0 for r in rows if r["split"] == "train")
    assert {"loss", "psnr", "grad_norm", "update_norm"} <= set(rows[2])
    assert {"loss", "psnr", "dc_ripple_db_s4", "lattice_peak_db_s4"} <= set(rows[3])
    # Between epochs only the checkerboard is measured.
    assert "dc_ripple_db_s2" in rows[1]
    assert "loss" not in rows[1]
    assert rows[3]["epoch"] == 1


def test_tensorboard_follows_a_run(finished):
    tags = values_of(finished[0])
    for name in ("target", "input", "output", "residual_spectrum"):
        steps = [step for step, _ in tags[f"pictures/{name}"]]
        assert steps == [0, 8, 12]  # start, middle and end
    curve = {step: value.simple_value for step, value in tags["loss/train"]}
    assert list(curve) == [2, 4, 8, 12]  # finer than an epoch where it is looked at
    rows = read_rows(finished[0] / "metrics.jsonl")
    losses = {r["step"]: r["loss"] for r in rows if r["split"] == "train"}
    np.testing.assert_allclose((curve[2] + curve[4]) / 2, losses[4], rtol=1e-5)
    np.testing.assert_allclose(curve[12], losses[12], rtol=1e-5)
    assert {"config/text_summary", "_hparams_/session_end_info"} <= set(tags)
    assert len(tags) < 30


@pytest.fixture
def idle(monkeypatch):
    """Runs that compute nothing, for what is said and written of them.

    Where the list has a step, the process is stopped as that is validated.
    """
    stops = []

    def steps(run, state, sums, stop):
        step = max(stop, int(state.step))  # none is taken back
        return state._replace(step=jnp.int32(step)), sums

    def measured(run, state, split, when):
        if when == "val" and int(state.step) in stops:
            raise stopping.Stopped
        return evaluator.Evaluation({"loss": 0.5, "psnr": 6.0}, {})

    monkeypatch.setattr(loop, "_steps", steps)
    monkeypatch.setattr(loop, "_look_ahead", lambda run: None)
    monkeypatch.setattr(loop, "measured", measured)
    monkeypatch.setattr(loop, "examples", lambda *_: {})
    monkeypatch.setattr(loop, "samples", lambda *_: {})
    return stops


def test_tensorboard_keeps_the_curve_of_an_epoch_that_is_stopped_at_its_end(
    tmp_path, idle
):
    idle.append(4)
    with pytest.raises(stopping.Stopped):
        loop.train(tiny_config(), tmp_path, verbose=False)
    idle.clear()
    loop.train(tiny_config(), tmp_path, verbose=False)
    tags = values_of(tmp_path)
    assert [step for step, _ in tags["loss/train"]] == [2, 4, 8]
    assert [step for step, _ in tags["loss/val"]] == [0, 2, 4, 8]


def test_tensorboard_has_the_middle_of_a_single_epoch(tmp_path, idle, monkeypatch):
    shown = {"output": np.zeros((1, 8, 8, 1))}
    monkeypatch.setattr(loop, "examples", lambda *_: shown)
    config = tiny_config()
    config.train.epochs, config.train.probe_steps = 1, ()
    loop.train(config, tmp_path, verbose=False)
    steps = [step for step, _ in values_of(tmp_path)["pictures/output"]]
    assert steps == [0, 2, 4]


def test_a_run_that_has_stopped_early_is_not_said_to_train(tmp_path, idle, capsys):
    """Only its last measures are left to do."""
    config = tiny_config()
    config.train.epochs, config.train.early_stopping = 9, 1
    assert loop.train(config, tmp_path)["steps"] == 4
    assert "training for 36 steps\n" in capsys.readouterr().out
    (tmp_path / "summary.json").unlink()
    assert loop.train(config, tmp_path)["steps"] == 4
    said = capsys.readouterr().out
    assert "resuming from step 4" in said
    assert "training for" not in said


def test_parts_of_an_epoch_are_points_of_the_curve():
    run = SimpleNamespace(probe_steps=(), steps_per_epoch=200, epochs=2)
    assert loop._stops(run, 0, 200, 1) == [40, 80, 120, 160, 200]
    assert loop._stops(run, 200, 260, 1) == [220, 240, 260]
    assert loop._stops(run, 0, 30, 1) == [30]
    assert len(loop._stops(run, 0, 200, 20)) == 20


def test_params_of_the_summary_are_those_of_the_model(finished):
    # Encoder 3x3: 1->4, 4->4, 1x1: 4->2; decoder 3x3: 2->4, 4->4, 4->1; biases.
    assert finished[1]["params"] == 40 + 148 + 10 + 76 + 148 + 37


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_stopped_run_ends_like_an_undisturbed_one(
    tmp_path, finished, monkeypatch, epochs
):
    train_epoch = loop._train_epoch
    calls = []

    def stop_after(*args):
        calls.append(1)
        if len(calls) > epochs:
            raise KeyboardInterrupt
        return train_epoch(*args)

    monkeypatch.setattr(loop, "_train_epoch", stop_after)
    with pytest.raises(KeyboardInterrupt):
        loop.train(long_config(), tmp_path, verbose=False)
    monkeypatch.setattr(loop, "_train_epoch", train_epoch)
    summary = loop.train(long_config(), tmp_path, verbose=False)
    assert rows_of(tmp_path) == rows_of(finished[0])
    assert_same(state_of(tmp_path, long_config()), state_of(finished[0], long_config()))
    assert {k: v for k, v in summary.items() if k not in CLOCK} == {
        k: v for k, v in finished[1].items() if k not in CLOCK
    }


def test_a_finished_run_is_not_trained_again(finished, monkeypatch):
    monkeypatch.setattr(loop, "_train", None)
    assert loop.train(long_config(), finished[0]) == finished[1]


CONFIG_FILE = """
from helpers.tiny import tiny_config

def get_config():
    config = tiny_config()
    config.train.epochs = 4
    return config
"""


def start(folder, *arguments):
    """A process that finds the config in a folder."""
    paths = (ROOT, ROOT / "tests", folder)
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": ":".join(map(str, paths))},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_at_epoch(process, workdir, epoch):
    """Kills a process as soon as its run has written an epoch's rows."""
    path = workdir / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if any(row["epoch"] >= epoch for row in read_rows(path)):
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, process.stderr.read()
    process.stderr.close()


def test_killed_processes_lose_nothing(tmp_path):
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    (tmp_path / "config.py").write_text(CONFIG_FILE)
    flags = (f"--config={tmp_path / 'config.py'}", f"--workdir={killed}", "--cores=1")
    process = start(tmp_path, "-m", "caejax.main", *flags)
    kill_at_epoch(process, killed, epoch=1)
    assert not (killed / "summary.json").exists()
    config = tiny_config()
    config.train.epochs = 4
    for workdir in (killed, straight):
        loop.train(config, workdir, verbose=False)
    assert rows_of(killed) == rows_of(straight)
    assert_same(state_of(killed, config), state_of(straight, config))


def test_a_run_may_be_given_more_epochs(tmp_path):
    config = tiny_config()
    loop.train(config, tmp_path, verbose=False)
    config.train.epochs = 3
    summary = loop.train(config, tmp_path, verbose=False)
    assert summary["steps"] == 12
    assert [r["split"] for r in rows_of(tmp_path)].count("test") == 1


def test_the_summary_stays_until_the_new_epochs_are_done(tmp_path, monkeypatch):
    config = tiny_config()
    loop.train(config, tmp_path, verbose=False)
    config.train.epochs = 3
    with monkeypatch.context() as patch:
        patch.setattr(loop, "_train", lambda *args: 1 / 0)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                loop.train(config, tmp_path, verbose=False)
    assert json.loads((tmp_path / "summary.json").read_text())["steps"] == 8
    assert loop.train(config, tmp_path, verbose=False)["steps"] == 12


def test_more_epochs_need_a_schedule_that_does_not_end(tmp_path):
    config = tiny_config()
    config.optimizer.schedule = "cosine"
    save_checkpoints(tmp_path, config, seeds=(0,))
    config.train.epochs = 3
    with pytest.raises(CaejaxError, match=r"train\.epochs is 2 .* cosine schedule"):
        folder.claim(tmp_path, config)


def test_a_half_written_checkpoint_does_not_claim_a_folder(tmp_path):
    assert not folder.is_started(tmp_path)
    last = tmp_path / "checkpoints" / "last"
    (last / "0.orbax-checkpoint-tmp").mkdir(parents=True)
    assert not folder.is_started(tmp_path)
    (last / "0").mkdir()
    assert folder.is_started(tmp_path)


def test_results_claim_a_folder_without_checkpoints(finished, tmp_path):
    for name in ("config.json", "summary.json"):
        (tmp_path / name).write_text((finished[0] / name).read_text())
    config = long_config()
    config.model.upsampling = "deconv_k4"
    with pytest.raises(CaejaxError, match="holds another run"):
        loop.train(config, tmp_path, verbose=False)


@pytest.mark.parametrize(
    ("field", "value"), [("latent_channels", 3), ("upsampling", "deconv_k3")]
)
def test_a_folder_of_another_model_is_refused(finished, field, value):
    config = long_config()
    config.model[field] = value
    before = rows_of(finished[0])
    with pytest.raises(CaejaxError, match=rf"model\.{field} is .* there and .* here"):
        loop.train(config, finished[0], verbose=False)
    assert rows_of(finished[0]) == before


def test_a_checkpoint_of_another_model_is_refused(finished):
    config = long_config()
    config.model.latent_channels = 3
    with pytest.raises(CaejaxError, match="another model or optimiser"):
        state_of(finished[0], config)


def test_what_has_taken_all_its_steps_is_not_said_to_train(finished, tmp_path, capsys):
    """Only its last measures are left to do."""
    run = shutil.copytree(finished[0], tmp_path / "run")
    (run / "summary.json").unlink()
    loop.train(long_config(), run)
    said = capsys.readouterr().out
    assert "resuming from step 12" in said
    assert "training for" not in said


def test_evaluating_again_gives_the_summary_s_figures(finished):
    figures = loop.evaluate_again(None, finished[0])
    for name, value in figures.items():
        assert finished[1][f"test/{name}"] == pytest.approx(value, rel=1e-6), name


def test_evaluating_again_takes_data_and_corruption_alone(finished):
    config = long_config()
    config.model.upsampling, config.seed = "deconv_k3", 5
    figures = loop.evaluate_again(config, finished[0])
    assert figures["loss"] == pytest.approx(finished[1]["test/loss"], rel=1e-6)
    config.corruption.level = 0.1
    figures = loop.evaluate_again(config, finished[0])
    assert figures["psnr_noisy"] > finished[1]["test/psnr_noisy"] + 5


def test_evaluating_nothing_writes_nothing(tmp_path):
    with pytest.raises(CaejaxError, match=r"holds no run: it has no config\.json"):
        loop.evaluate_again(tiny_config(), tmp_path)
    with pytest.raises(CaejaxError, match="none holds no run: it does not exist"):
        loop.evaluate_again(tiny_config(), tmp_path / "none")
    save_checkpoints(tmp_path, tiny_config(), seeds=())
    with pytest.raises(CaejaxError, match="holds no checkpoint"):
        loop.evaluate_again(tiny_config(), tmp_path)
    assert not any((tmp_path / "checkpoints").glob("*/*"))


def test_a_loss_that_is_not_finite_stops_and_names_the_step(tmp_path):
    config = tiny_config()
    loop.train(config, tmp_path, verbose=False)
    config.train.epochs = 9
    data = load_data(config)
    train = data.images["train"].at[:].set(jnp.nan)
    broken = data._replace(images=data.images | {"train": train})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            sys.modules["caejax.training.run"], "load_data", lambda *_: broken
        )
        with pytest.raises(
            CaejaxError, match=r"loss is nan at step 9 .*step 8 is kept"
        ):
            loop.train(config, tmp_path, verbose=False)
    assert int(state_of(tmp_path, config).step) == 8


def test_only_the_last_checkpoints_and_the_best_are_kept(finished):
    folder = finished[0] / "checkpoints"
    last = sorted(int(p.name) for p in (folder / "last").iterdir() if p.name.isdigit())
    assert last == [8, 12]
    (best,) = (p for p in (folder / "best").iterdir() if p.name.isdigit())
    assert int(best.name) == finished[1]["best_step"]
    losses = {
        r["step"]: r["loss"]
        for r in rows_of(finished[0])
        if r["split"] == "val" and "loss" in r
    }
    assert min(losses, key=losses.get) == finished[1]["best_step"]


def test_early_stopping_keeps_the_best(tmp_path):
    config = tiny_config()
    config.train.epochs = 50
    config.train.early_stopping = 2
    config.optimizer.learning_rate = 1.0  # gets worse soon
    summary = loop.train(config, tmp_path, verbose=False)
    assert summary["steps"] == summary["best_step"] + 2 * 4
    assert summary["steps"] < 50 * 4
    run = create_run(config, verbose=False)
    with Checkpoints(tmp_path / "checkpoints", keep=1) as checkpoints:
        state, _ = checkpoints.restore_best(new_state(run.task))
    subject, key = subject_of(run.task), noise_key(run.seed, "test")
    values, _ = evaluator.evaluate(
        subject, state.params, run.images["test"], key, 0.5, "level"
    )
    assert summary["test/loss"] == pytest.approx(values["loss"], rel=1e-6)


def test_a_run_that_never_gets_better_ends_with_its_start(tmp_path):
    config = tiny_config()
    config.train.early_stopping = 1
    config.optimizer.name, config.optimizer.learning_rate = "sgd", 1e-30
    summary = loop.train(config, tmp_path, verbose=False)
    assert summary["best_step"] == 0
    assert summary["steps"] == 4


# Evaluation.

PAIRED = (
    "lattice_peak_db",
    "lattice_peak_unpaired_db",
    "lattice_power",
    "phase_var_db",
    "phase_var_cv",
)


def test_noise_belongs_to_the_example_not_to_the_batch(key):
    images = jnp.full((6, 8, 8, 1), 0.5)
    whole = corrupt_examples(
        choose("gaussian"), key, images, jnp.arange(len(images)), 0.3
    )
    parts = [
        corrupt_examples(
            choose("gaussian"), key, images[i : i + 2], i + jnp.arange(2), 0.3
        )
        for i in (0, 2, 4)
    ]
    np.testing.assert_array_equal(whole, jnp.concatenate(parts))
    assert len({float(image.sum()) for image in whole}) == 6


def test_means_of_a_ragged_split_are_exact(monkeypatch, key):
    config = tiny_config()
    task = task_from_config(config, total_steps=1)
    params, images = new_state(task).params, load_images(config)["train"]
    monkeypatch.setattr(evaluator, "BATCH", 7)  # 32 images: the last batch has 4
    subject = subject_of(task)
    values, maps = evaluator.evaluate(subject, params, images, key, 0.5, "level")
    noisy = corrupt_examples(
        choose("gaussian"), key, images, jnp.arange(len(images)), 0.5
    )
    linear = jax.jit(task.model.apply)({"params": params}, noisy)
    image = task.model.to_image(linear)
    by_size = {name for name in values if "_grey" in name or "_visibility" in name}
    assert {name: values[name] for name in values.keys() - by_size} == pytest.approx(
        {
            "loss": float(LOSSES["bce"].per_image(linear, images).mean()),
            "mse": float(quality.mse(image, images).mean()),
            "bce": float(quality.bce(image, images).mean()),
            "psnr": float(quality.psnr(image, images).mean()),
            "ssim": float(quality.ssim(image, images).mean()),
            "psnr_noisy": float(quality.psnr(noisy, images).mean()),
            "ssim_noisy": float(quality.ssim(noisy, images).mean()),
            **{
                f"{name}_s{s}": float(getattr(checkerboard, name)(image, images, s))
                for name in PAIRED
                for s in (2, 4, 8)
            },
        },
        rel=1e-3,
        abs=1e-4,
    )
    residual = np.asarray(image - images)
    mu = np.asarray(phase_means(residual, 8)).mean(0)
    np.testing.assert_allclose(maps["residual_phase_means"], mu, atol=1e-6)
    shares = np.asarray(spectrum(residual, 8)).mean(0)
    np.testing.assert_allclose(maps["residual_spectrum"], shares, atol=1e-6)


def test_a_model_of_bfloat16_is_measured_in_float32():
    config = tiny_config()
    config.model.dtype = "bfloat16"
    task = task_from_config(config, total_steps=1)
    images = load_images(config)["test"]
    params, key = new_state(task).params, jax.random.key(0)
    ripples = evaluator.probe(subject_of(task), params, images, key, 0.5, "probe")
    ripples = {k: value for k, value in ripples.items() if k.startswith("dc_ripple")}
    in_db = [value for k, value in ripples.items() if "_db_" in k]
    assert len(in_db) == 6
    assert max(in_db) < -100


def test_dense_models_have_no_checkerboard_figures(tmp_path):
    config = tiny_config()
    config.model.encoder = "dense"
    config.model.widths = ()
    summary = loop.train(config, tmp_path, verbose=False)
    assert not [name for name in summary if "dc_ripple" in name]
    assert "test/psnr" in summary


def test_small_images_are_measured_as_far_as_they_can_be(tmp_path):
    config = tiny_config()
    config.data.image_size = (10, 8)
    config.model.widths = (2,)
    summary = loop.train(config, tmp_path, verbose=False)
    assert "test/ssim" not in summary
    assert "test/lattice_peak_db_s4" in summary
    assert "test/lattice_peak_db_s8" not in summary


def test_a_run_may_start_from_another(finished, tmp_path, monkeypatch):
    """From the average, which the other's figures are of."""
    config = long_config()
    config.train.start_from = str(finished[0])
    read, initial = [], loop.initial_state

    def initial_state(run):
        read.append(run.start_from)
        return initial(run)

    monkeypatch.setattr(loop, "initial_state", initial_state)
    summary = loop.train(config, tmp_path, verbose=False)
    # Once: what is measured as its start is that, whatever the other does meanwhile.
    assert read == [str(finished[0])]
    last = [row for row in rows_of(finished[0]) if row["split"] == "val"][-1]
    first, *_, end = [row for row in rows_of(tmp_path) if row["split"] == "val"]
    assert (first["step"], last["step"], summary["steps"]) == (0, 12, 12)
    assert first["loss"] == pytest.approx(last["loss"], rel=1e-6)
    assert end["loss"] < first["loss"]
    # The other run is needed no more once this one has begun.
    (tmp_path / "summary.json").unlink()
    config.train.start_from = "nowhere"
    text = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(text.replace(str(finished[0]), "nowhere"))
    assert loop.train(config, tmp_path, verbose=False)["steps"] == 12


def test_what_a_run_starts_from_is_found_from_elsewhere(
    finished, tmp_path, monkeypatch
):
    """Also by another name of it; what the run is called stays as it was."""
    (tmp_path / "other").mkdir()
    (tmp_path / "first").symlink_to(finished[0])
    config = long_config()
    config.train.start_from, config.optimizer.schedule = "first", "constant"
    config.train.epochs = 1
    monkeypatch.chdir(tmp_path)
    loop.train(config, Path("run"), verbose=False)
    monkeypatch.chdir(tmp_path / "other")
    workdir = Path("..", "run")
    assert folder.begun_in(workdir) == tmp_path
    run = loop.create_run(config, verbose=False, within=folder.begun_in(workdir))
    assert run.start_from == str(tmp_path / "first")
    loop.initial_state(run)
    config.train.epochs, config.train.start_from = 2, "../first"
    assert loop.train(config, workdir, verbose=False)["steps"] == 8
    assert folder.begun_in(workdir) == tmp_path
    assert folder.read_config(workdir).train.start_from == "first"
    config.train.start_from = "elsewhere"
    with pytest.raises(CaejaxError, match=r"start_from is 'first' there"):
        loop.train(config, workdir, verbose=False)


def test_a_run_starts_from_its_own_model_only(finished, tmp_path):
    config = long_config()
    config.train.start_from = str(tmp_path / "none")
    with pytest.raises(CaejaxError, match="none holds no run"):
        loop.train(config, tmp_path, verbose=False)
    config.train.start_from = str(finished[0])
    config.model.latent_channels = 3
    with pytest.raises(
        CaejaxError, match=r"train\.start_from is .*model: decoder\.\S+ has"
    ):
        loop.train(config, tmp_path, verbose=False)


def test_a_run_may_start_from_a_file_of_weights(finished, tmp_path, monkeypatch):
    """By its path, or by the name of one that ships, which a folder is before."""
    file = tmp_path / "denoiser_gray.safetensors"
    write_weights(trained.load(finished[0]), file)
    monkeypatch.setattr(weights, "place", lambda name: tmp_path / f"{name}{SUFFIX}")
    monkeypatch.chdir(tmp_path)
    config = long_config()
    wanted = trained.load(finished[0]).params
    for named in (str(file), file.name, "denoiser_gray"):
        config.train.start_from = named
        run = loop.create_run(config, verbose=False)
        jax.tree.map(
            np.testing.assert_array_equal, loop.initial_state(run).params, wanted
        )
    config.train.start_from = "denoiser_color"
    with pytest.raises(CaejaxError, match="'denoiser_color' are not there"):
        loop.create_run(config, verbose=False)
    config.train.start_from = file.name
    config.model.latent_channels = 3
    run = loop.create_run(config, verbose=False)
    with pytest.raises(CaejaxError, match=r"start_from is .*model: decoder\.\S+ has"):
        loop.initial_state(run)


def test_a_batch_larger_than_the_data_is_refused(tmp_path):
    config = tiny_config()
    config.train.batch_size = 64
    with pytest.raises(CaejaxError, match="batch_size is 64, more than the 32"):
        loop.train(config, tmp_path, verbose=False)


def test_a_run_that_could_not_start_does_not_keep_its_folder(tmp_path):
    config = tiny_config()
    config.data.source, config.data.dir = "npz", str(tmp_path / "none.npz")
    with pytest.raises(CaejaxError, match=r"none\.npz"):
        loop.train(config, tmp_path / "run", verbose=False)
    config.data.source = "glyphs"
    assert loop.train(config, tmp_path / "run", verbose=False)["steps"] == 8


def test_checkpoints_without_a_config_are_left_alone(tmp_path):
    loop.train(tiny_config(), tmp_path, verbose=False)
    (tmp_path / "config.json").unlink()
    with pytest.raises(CaejaxError, match=r"results but no config\.json"):
        loop.train(tiny_config(), tmp_path, verbose=False)
