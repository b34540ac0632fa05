import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import tiny_config

from caejax.config import override
from caejax.corruptions import choose, corrupt
from caejax.errors import CaejaxError
from caejax.files.atomic import read_rows
from caejax.losses import LOSSES
from caejax.metrics import checkerboard, quality
from caejax.metrics.lattice import spectrum
from caejax.metrics.phases import phase_means
from caejax.optimizers import OptimizerSpec, create_optimizer
from caejax.runtime import keys
from caejax.train import evaluation, folder, loop, probes
from caejax.train.checkpoint import Checkpoints
from caejax.train.images import load_images
from caejax.train.run import create_run
from caejax.train.state import create_state
from caejax.train.step import compiled_steps, objective, train_step, zero_sums
from caejax.train.task import task_from_config

ROOT = Path(__file__).parents[1]
CLOCK = {"images_per_second", "train_seconds"}


def rows_of(workdir):
    """The rows of metrics.jsonl without what the clock decides."""
    rows = read_rows(workdir / "metrics.jsonl")
    return [{k: v for k, v in row.items() if k not in CLOCK} for row in rows]


def state_of(workdir, config):
    """The last state saved in a run's folder."""
    run = create_run(config, verbose=False)
    like = new_state(run.task, ema=config.train.ema_decay > 0)
    with Checkpoints(workdir / "checkpoints", keep=2) as checkpoints:
        return checkpoints.restore(like)[0]


def new_state(task, seed=0, ema=False):
    return create_state(task.model, create_optimizer(task.optimizer), seed, ema=ema)


def assert_same(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


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
from tiny import tiny_config

def get_config():
    config = tiny_config()
    config.train.epochs = 4
    return config
"""

# Does the runs of several folders, each to its end, as the command does one.
FINISH = """
import sys
from pathlib import Path
from config import get_config
from caejax.runtime.devices import use_cores
from caejax.train.loop import train
config = get_config()
use_cores(config.train.batch_size)
for workdir in sys.argv[1:]:
    train(config, Path(workdir), verbose=False)
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
    flags = (f"--config={tmp_path / 'config.py'}", f"--workdir={killed}")
    process = start(tmp_path, "-m", "caejax.main", *flags)
    kill_at_epoch(process, killed, epoch=1)
    assert not (killed / "summary.json").exists()
    process = start(tmp_path, "-c", FINISH, killed, straight)
    assert process.wait() == 0, process.stderr.read()
    process.stderr.close()
    assert rows_of(killed) == rows_of(straight)
    config = tiny_config()
    config.train.epochs = 4
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
    folder.claim(tmp_path, config)
    (tmp_path / "checkpoints" / "last" / "0").mkdir(parents=True)
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


def test_a_damaged_checkpoint_is_named(tmp_path):
    loop.train(tiny_config(), tmp_path, verbose=False)
    folder = tmp_path / "checkpoints" / "last" / "8"
    for path in (folder / "about").iterdir():
        path.write_text("{")
    with pytest.raises(CaejaxError, match=r"last/8 is damaged; delete it"):
        state_of(tmp_path, tiny_config())


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
    folder.claim(tmp_path, tiny_config())
    with pytest.raises(CaejaxError, match="holds no checkpoint"):
        loop.evaluate_again(tiny_config(), tmp_path)
    assert not (tmp_path / "checkpoints").exists()


def test_a_loss_that_is_not_finite_stops_and_names_the_step(tmp_path):
    config = tiny_config()
    loop.train(config, tmp_path, verbose=False)
    config.train.epochs = 9
    images = load_images(config)
    broken = dict(images) | {"train": images["train"].at[:].set(jnp.nan)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("caejax.train.run.load_images", lambda config: broken)
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
    figures, _ = evaluation.evaluate(
        run.task,
        state.params,
        run.images["test"],
        evaluation.noise_key(run.seed, "test"),
        0.5,
    )
    assert summary["test/loss"] == pytest.approx(figures["loss"], rel=1e-6)


# The step.


def steps_and_images(**changes):
    config = tiny_config()
    for name, value in changes.items():
        config.train[name] = value
    task = task_from_config(config, total_steps=100)
    return task, load_images(config)["train"]


def test_the_loss_falls_and_the_step_is_traced_once():
    task, images = steps_and_images()
    state, means = new_state(task), []
    compiled_steps.cache_clear()  # other tests take the same steps
    run = compiled_steps(task)
    per_epoch = len(images) // 8
    for epoch in range(1, 16):
        state, sums = run(state, zero_sums(), images, epoch * per_epoch, 0, 0.5)
        means.append(float(sums["loss"]) / per_epoch)
    assert means[-1] < 0.7 * means[0]
    assert run._cache_size() == 1


def test_parts_of_an_epoch_are_the_epoch():
    task, images = steps_and_images()
    run = compiled_steps(task)
    whole = run(new_state(task), zero_sums(), images, 4, 0, 0.5)
    state, sums = new_state(task), zero_sums()
    for stop in (0, 1, 3, 4):
        state, sums = run(state, sums, images, stop, 0, 0.5)
    assert_same((state, sums), whole)


def test_compiled_steps_are_plain_steps_in_a_row():
    task, images = steps_and_images()
    compiled, _ = compiled_steps(task)(
        new_state(task, 3), zero_sums(), images, 3, 3, 0.5
    )
    state = new_state(task, 3)
    order = jax.random.permutation(keys.stream(3, "order", 0), len(images))
    step = jax.jit(train_step, static_argnames="task")
    for i in range(3):
        batch = images[order[8 * i : 8 * i + 8]]
        key = keys.stream(3, "train_noise", i)
        state, _ = step(state, batch, key, level=0.5, task=task)
    for a, b in zip(
        jax.tree.leaves(compiled.params), jax.tree.leaves(state.params), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)


def test_every_epoch_sees_every_image_once():
    _, images = steps_and_images()
    orders = [
        np.asarray(jax.random.permutation(keys.stream(0, "order", e), len(images)))
        for e in (0, 1)
    ]
    for order in orders:
        assert sorted(order) == list(range(len(images)))
    assert list(orders[0]) != list(orders[1])


def test_ema_by_hand():
    task, images = steps_and_images(ema_decay=0.75)
    start = new_state(task, ema=True)
    before = jax.tree.map(np.asarray, start.params)
    step = jax.jit(train_step, static_argnames="task")
    state, _ = step(start, images[:8], jax.random.key(0), level=0.5, task=task)
    for old, new, average in zip(
        *map(jax.tree.leaves, (before, state.params, state.ema)), strict=True
    ):
        np.testing.assert_allclose(average, 0.75 * old + 0.25 * new, atol=1e-7)


def test_sgd_takes_the_gradient_s_step_of_a_summed_loss():
    config = tiny_config()
    config.optimizer = config.optimizer.copy_and_resolve_references()
    config.optimizer.name, config.optimizer.learning_rate = "sgd", 1e-3
    config.loss = "sse"
    task = task_from_config(config, total_steps=1)
    images = load_images(config)["train"][:8]
    state, key = new_state(task), jax.random.key(5)
    noisy = corrupt(choose("gaussian"), key, images, 0.5)

    @jax.jit
    @jax.value_and_grad
    def summed(params):
        image = task.model.to_image(task.model.apply({"params": params}, noisy))
        return ((image - images) ** 2).sum()

    loss, grads = summed(state.params)
    step = jax.jit(train_step, static_argnames="task")
    after, metrics = step(state, images, key, level=0.5, task=task)
    for p, g, q in zip(
        *map(jax.tree.leaves, (state.params, grads, after.params)), strict=True
    ):
        np.testing.assert_allclose(p - 1e-3 * g, q, atol=1e-6)
    assert float(metrics["loss"]) == pytest.approx(float(loss) / 8)


def test_a_run_that_never_gets_better_ends_with_its_start(tmp_path):
    config = tiny_config()
    config.train.early_stopping = 1
    config.optimizer.name, config.optimizer.learning_rate = "sgd", 1e-30
    summary = loop.train(config, tmp_path, verbose=False)
    assert summary["best_step"] == 0
    assert summary["steps"] == 4


def test_bfloat16_computes_in_it_and_keeps_float32_parameters():
    config = tiny_config()
    config.model.dtype = "bfloat16"
    task = task_from_config(config, total_steps=1)
    images = load_images(config)["train"]
    state, sums = compiled_steps(task)(new_state(task), zero_sums(), images, 2, 0, 0.5)
    assert {p.dtype for p in jax.tree.leaves(state.params)} == {jnp.dtype("float32")}
    exact, _ = steps_and_images()
    _, same = compiled_steps(exact)(new_state(exact), zero_sums(), images, 2, 0, 0.5)
    assert float(sums["loss"]) != float(same["loss"])
    assert float(sums["loss"]) == pytest.approx(float(same["loss"]), rel=0.02)


def test_a_model_of_bfloat16_is_measured_in_float32():
    config = tiny_config()
    config.model.dtype = "bfloat16"
    task = task_from_config(config, total_steps=1)
    images = load_images(config)["test"]
    ripples = probes.dc_ripples(task.model, new_state(task).params, images)
    assert all(value < -100 for value in ripples.values())


@pytest.mark.parametrize("encoder", ["conv", "dense", "tied_dense", "layers"])
def test_the_penalty_is_the_mean_absolute_code(encoder):
    config = tiny_config()
    config.code_penalty = 0.25
    override(config, "model.encoder", encoder)
    if encoder == "layers":
        config.model.encoder_layers = ("conv3 2 relu", "pool")
        config.model.decoder_layers = ("deconv_k2 1",)
    task = task_from_config(config, total_steps=1)
    images = load_images(config)["train"][:3]
    params = new_state(task).params

    def both(params):
        plain = task._replace(code_penalty=None)
        return [objective(t, params, images, images)[0] for t in (task, plain)]

    penalised, plain = jax.jit(both)(params)
    code = task.model.apply({"params": params}, images, method="encode")
    by_hand = sum(0.25 * np.abs(x).mean() for x in np.asarray(code))
    assert by_hand > 0
    assert float(penalised - plain) == pytest.approx(by_hand, rel=1e-4)


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
    whole = evaluation.corrupt_examples(
        choose("gaussian"), key, images, jnp.arange(len(images)), 0.3
    )
    parts = [
        evaluation.corrupt_examples(
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
    monkeypatch.setattr(evaluation, "BATCH", 7)  # 32 images: the last batch has 4
    figures, maps = evaluation.evaluate(task, params, images, key, 0.5)
    noisy = evaluation.corrupt_examples(
        choose("gaussian"), key, images, jnp.arange(len(images)), 0.5
    )
    linear = jax.jit(task.model.apply)({"params": params}, noisy)
    image = task.model.to_image(linear)
    assert figures == pytest.approx(
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


def test_a_run_may_start_from_another(finished, tmp_path):
    """From the average, which the other's figures are of."""
    config = long_config()
    config.train.start_from = str(finished[0])
    summary = loop.train(config, tmp_path, verbose=False)
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


def test_a_run_starts_from_its_own_model_only(finished, tmp_path):
    config = long_config()
    config.train.start_from = str(tmp_path / "none")
    with pytest.raises(CaejaxError, match="none holds no run"):
        loop.train(config, tmp_path, verbose=False)
    config.train.start_from = str(finished[0])
    config.model.latent_channels = 3
    with pytest.raises(CaejaxError, match=r"train\.start_from is .* of another model"):
        loop.train(config, tmp_path, verbose=False)


def test_a_batch_larger_than_the_data_is_refused(tmp_path):
    config = tiny_config()
    config.train.batch_size = 64
    with pytest.raises(CaejaxError, match="batch_size is 64, more than the 32"):
        loop.train(config, tmp_path, verbose=False)


TWO = "--xla_force_host_platform_device_count=2"
TWO_DEVICES = """
import jax, numpy as np
from caejax.runtime.devices import on_all_devices, on_one_device
from test_train import new_state, steps_and_images
from caejax.train import group
from caejax.train.run import Request, create_run
from caejax.train.step import compiled_steps, zero_sums
from tiny import tiny_config
assert jax.device_count() == 2
task, images = steps_and_images()
carry = on_all_devices((new_state(task), zero_sums()))
state, sums = on_one_device(
    compiled_steps(task._replace(chunk=2))(*carry, images, 4, 0, 0.5)
)
leaves = jax.tree.leaves(state.params)
np.savez("two.npz", *leaves, loss=sums["loss"])
# Three runs together, of which one device has two and the other one.
run = create_run(tiny_config(), verbose=False)._replace(task=task)
answers = group._pacemaker(4)([
    Request(run._replace(seed=seed), new_state(task, seed), zero_sums(), 4)
    for seed in (1, 2, 0)
])
state, sums, _ = on_one_device(answers[2])
np.savez("three.npz", *jax.tree.leaves(state.params), loss=sums["loss"])
# What is left of a group ends with the same bits on whatever device.
(left,) = group._pacemaker(4)([
    Request(run._replace(seed=0), new_state(task, 0), zero_sums(), 4)
])
for a, b in zip(*map(jax.tree.leaves, (left[:2], answers[2][:2])), strict=True):
    np.testing.assert_array_equal(a, b)
"""


def test_two_devices_train_the_same_model(tmp_path):
    environment = os.environ | {
        "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} {TWO}",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
    }
    command = [sys.executable, "-c", TWO_DEVICES]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    task, images = steps_and_images()
    state, sums = compiled_steps(task)(new_state(task), zero_sums(), images, 4, 0, 0.5)
    for name in ("two", "three"):
        with np.load(tmp_path / f"{name}.npz") as other:
            assert float(other["loss"]) == pytest.approx(float(sums["loss"]), rel=1e-5)
            for i, leaf in enumerate(jax.tree.leaves(state.params)):
                np.testing.assert_allclose(other[f"arr_{i}"], leaf, rtol=0, atol=1e-5)


def test_schedules_reach_the_optimizer():
    spec = OptimizerSpec("sgd", 1.0, schedule="linear", total_steps=4)
    tx = create_optimizer(spec)
    params = jnp.float32(0.0)
    opt_state, steps = tx.init(params), []
    for _ in range(4):
        updates, opt_state = tx.update(jnp.float32(1.0), opt_state, params)
        steps.append(-float(updates))
    assert steps == pytest.approx([1.0, 0.75, 0.5, 0.25])


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
