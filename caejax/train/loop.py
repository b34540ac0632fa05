"""One run, from its config to its summary; it goes on where it was stopped."""

import contextlib
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from caejax import config as config_lib
from caejax.errors import CaejaxError
from caejax.optimizers import create_optimizer
from caejax.train import devices, evaluation, folder, probes
from caejax.train.checkpoint import Checkpoints
from caejax.train.images import Images, budget, load_images
from caejax.train.restore import restore, trained_config
from caejax.train.shards import Shard, create_shards
from caejax.train.state import create_state, first_state
from caejax.train.step import compiled_steps, zero_sums
from caejax.train.task import Task, task_from_config
from caejax.writers import MetricsWriter, progress_bar, write_json


class Run(NamedTuple):
    """What stays the same through a run.

    Attributes:
      task: the static part of its compiled programs.
      images: by split, (N, H, W, C) as `load_images` has them.
      shard_at: loads what a step needs, where training images stay on the host.
      seed, level: of the config.
      steps_per_epoch: whole batches in the training images.
      epochs: to be done in all.
      patience: epochs without a better validation loss; 0 is no limit.
      probe_steps: where checkerboards are measured besides every epoch's end.
      start_from: folder of the run whose parameters are the first; or "".
      verbose: show progress.
    """

    task: Task
    images: Images
    shard_at: Callable[[int], Shard] | None
    seed: int
    level: float
    steps_per_epoch: int
    epochs: int
    patience: int
    probe_steps: tuple[int, ...]
    start_from: str
    verbose: bool


def train(config: ConfigDict, workdir: Path, *, verbose: bool = True) -> dict[str, Any]:
    """Trains one model, or what is left to do of it, and returns its summary.

    Args:
      config: of one run; its sweep is not looked at.
      workdir: the run's folder. If it holds part of this run, the run goes on from
        the last checkpoint, to the same end.
      verbose: show progress: a bar on a terminal, else a line an epoch.

    Raises:
      CaejaxError: a config or data that cannot be used, a folder of another run,
        or a loss that is not finite.
    """
    config_lib.check(config)
    folder.claim(workdir, config)
    if figures := folder.read_summary(workdir, config):
        return figures
    run = _create_run(config, verbose)
    if not run.steps_per_epoch:
        raise CaejaxError(
            f"config.train.batch_size is {config.train.batch_size}, more than the "
            f"{len(run.images['train'])} training images; make it smaller"
        )
    with Checkpoints(
        workdir / "checkpoints", keep=config.train.keep_checkpoints
    ) as checkpoints:
        figures = _train(run, workdir, checkpoints)
    write_json(workdir / "summary.json", figures)
    return figures


def _create_run(config, verbose):
    images = load_images(config)
    steps_per_epoch = len(images["train"]) // config.train.batch_size
    return Run(
        task=task_from_config(config, config.train.epochs * steps_per_epoch),
        images=images,
        shard_at=_shards(config, images["train"]),
        seed=config.seed,
        level=config.corruption.level,
        steps_per_epoch=steps_per_epoch,
        epochs=config.train.epochs,
        patience=config.train.early_stopping,
        probe_steps=tuple(config.train.probe_steps),
        start_from=config.train.start_from,
        verbose=verbose,
    )


def _shards(config, images):
    batch_size = config.train.batch_size
    if isinstance(images, jax.Array) or len(images) < batch_size:
        return None
    return create_shards(images, batch_size, config.seed, budget(config))


def _train(run, workdir, checkpoints):
    restored = checkpoints.restore(_new_state(run))
    state, progress = restored or (_initial_state(run), {})
    if restored is None:
        checkpoints.save(state, progress, best=True)
    step = int(state.step) if progress else None
    with MetricsWriter(workdir, step) as writer:
        if progress and run.verbose:
            print(f"resuming from step {step}", flush=True)
        state = devices.on_all_devices(state)
        state, progress = _train_epochs(run, state, progress, writer, checkpoints)
        steps = int(state.step)
        if run.patience:
            state, _ = checkpoints.restore_best(state)
        figures, maps = _measure_end(run, state, progress, writer)
        figures |= {"epochs": run.epochs, "steps": steps}
    arrays = probes.samples(*_probed(run, state)) | maps
    np.savez_compressed(workdir / "samples.npz", **arrays)
    return figures


def _new_state(run):
    tx = create_optimizer(run.task.optimizer)
    return create_state(run.task.model, tx, run.seed, ema=run.task.ema_decay > 0)


def _initial_state(run):
    """What the run starts from: new parameters, or those of another run."""
    state = _new_state(run)
    if not run.start_from:
        return state
    other = Path(run.start_from)
    params = restore(other, trained_config(other)).eval_params
    if jax.tree.map(jnp.shape, params) != jax.tree.map(jnp.shape, state.params):
        raise CaejaxError(
            f"config.train.start_from is {run.start_from!r}, a run of another model; "
            "name one of the same"
        )
    tx = create_optimizer(run.task.optimizer)
    return first_state(params, tx, ema=run.task.ema_decay > 0)


def _train_epochs(run, state, progress, writer, checkpoints):
    total = run.epochs * run.steps_per_epoch
    # No step is taken: this compiles, so that speeds leave compilation out.
    state, _ = _steps(run, state, _zero_sums(), stop=0)
    title = f"{run.epochs} epochs"
    bar = progress_bar(total, title) if run.verbose else contextlib.nullcontext()
    with bar as update:
        if run.verbose and update is None:
            print(f"training for {total:,} steps", flush=True)
        while int(state.step) < total and not _stale(run, progress):
            state, progress, figures, seconds = _train_epoch(
                run, state, progress, writer, update
            )
            writer.write(_row(run, state, "train", figures))
            quality, _ = _evaluate(run, state, "val")
            _check_finite(quality["loss"], "validation loss", run, state)
            writer.write(_row(run, state, "val", quality))
            progress, best = _advance(progress, state, quality["loss"], seconds)
            checkpoints.save(state, progress, best=best)
            if run.verbose and update is None:
                print(_epoch_line(run, state, figures, quality), flush=True)
    return state, progress


def _train_epoch(run, state, progress, writer, update):
    """Trains one epoch: a single compiled call, cut where something is looked at."""
    sums, seconds = _zero_sums(), 0.0
    first = int(state.step)
    last = first + run.steps_per_epoch
    for stop in _stops(run, first, last, pieces=1 if update is None else 20):
        began = time.perf_counter()
        state, sums = _steps(run, state, sums, stop)
        loss = float(sums["loss"])  # waits for the device
        seconds += time.perf_counter() - began
        # Looked at only now, so that training starts at once.
        progress = progress or _measure_start(run, writer)
        _check_finite(loss, "loss", run, state)
        speed = (stop - first) * run.task.batch_size / seconds
        if update is not None:
            done = stop - first
            update(stop, loss / done, float(sums["psnr"]) / done, speed)
        if stop in run.probe_steps and stop < last:
            ripples = _ripples(run, state, "val")
            if ripples:
                writer.write(_row(run, state, "val", ripples))
    figures = {k: float(v) / run.steps_per_epoch for k, v in sums.items()}
    return state, progress, figures | {"images_per_second": speed}, seconds


def _zero_sums():
    return devices.on_all_devices(zero_sums())


def _steps(run, state, sums, stop):
    """Takes steps until so many are done, from one shard after the other if any."""
    steps = compiled_steps(run.task)
    if run.shard_at is None:
        return steps(state, sums, run.images["train"], stop, run.seed, run.level)
    step = int(state.step)
    while True:
        first, end, shard = run.shard_at(step)
        last = min(stop, end)
        state, sums = steps(state, sums, shard, last, run.seed, run.level, first)
        step = int(state.step)
        if step != end or end >= stop:
            return state, sums


def _stops(run: Run, first: int, last: int, pieces: int) -> list[int]:
    """Steps of an epoch after which the compiled loop is left; the last is one.

    Sums are carried on across them, so where they lie changes no figure.
    """
    shown = np.linspace(first, last, pieces + 1)[1:].astype(int)
    probed = [step for step in run.probe_steps if first < step <= last]
    return sorted({*map(int, shown), *probed} - {first})


def _check_finite(loss, name, run, state):
    if math.isfinite(loss):
        return
    step = int(state.step)
    kept = (step - 1) // run.steps_per_epoch * run.steps_per_epoch
    raise CaejaxError(
        f"{name} is {loss} at step {step} (epoch {_epoch(run, step):g}); the "
        f"checkpoint of step {kept} is kept; try a smaller "
        "config.optimizer.learning_rate"
    )


def _stale(run, progress):
    return run.patience > 0 and progress.get("stale_epochs", 0) >= run.patience


def _advance(progress, state, loss, seconds):
    """What is stored beside the next checkpoint, and whether that is the best."""
    best = loss < progress["best_loss"]
    progress = progress | {
        "train_seconds": progress["train_seconds"] + seconds,
        "stale_epochs": 0 if best else progress["stale_epochs"] + 1,
    }
    if best:
        progress |= {"best_loss": loss, "best_step": int(state.step)}
    return progress, best


def _measure_start(run, writer):
    """Measures the untrained model; returns what is stored beside checkpoints."""
    state = devices.on_all_devices(_initial_state(run))
    quality, _ = _evaluate(run, state, "val")
    writer.write(_row(run, state, "val", quality))
    return {
        "train_seconds": 0.0,
        "best_loss": quality["loss"],
        "best_step": 0,
        "stale_epochs": 0,
        "init": probes.initial_figures(*_probed(run, state)),
    }


def _measure_end(run, state, progress, writer):
    """Measures the trained model on the test split: the run's summary, and maps."""
    quality, maps = _evaluate_test(run, state)
    writer.write(_row(run, state, "test", quality))
    sizes = jax.tree.map(jnp.size, state.params)
    figures = {
        **{f"test/{name}": value for name, value in quality.items()},
        **{f"init/{name}": value for name, value in progress["init"].items()},
        "params": int(sum(jax.tree.leaves(sizes))),
        "best_step": progress["best_step"],
        "best_val_loss": progress["best_loss"],
        "train_seconds": round(progress["train_seconds"], 3),
    }
    return figures, maps


def _evaluate_test(run, state):
    """All figures of the test split, and the maps of its residuals."""
    quality, maps = _evaluate(run, state, "test")
    return quality | probes.grad_phases(*_probed(run, state)), maps


def _probed(run, state):
    """What probes of the test split take: task, parameters, images, key and level."""
    key = _noise_key(run, "test")
    return run.task, _params(state), run.images["test"], key, run.level


def _evaluate(run, state, split):
    images, params = run.images[split], state.eval_params
    key = _noise_key(run, split)
    quality, maps = evaluation.evaluate(run.task, params, images, key, run.level)
    return quality | _ripples(run, state, split), maps


def _ripples(run, state, split):
    images = run.images[split]
    return probes.dc_ripples(run.task.model, _params(state), images)


def _params(state):
    return devices.on_one_device(state.eval_params)


def _noise_key(run, split):
    return evaluation.noise_key(run.seed, split)


def _row(run, state, split, figures):
    step = int(state.step)
    return {"step": step, "epoch": _epoch(run, step), "split": split, **figures}


def _epoch(run, step):
    return round(step / run.steps_per_epoch, 4)


def _epoch_line(run, state, figures, quality):
    epoch = _epoch(run, int(state.step))
    return (
        f"epoch {epoch:g}/{run.epochs}  loss {figures['loss']:.4f}  "
        f"val loss {quality['loss']:.4f}  val psnr {quality['psnr']:.2f} dB  "
        f"{figures['images_per_second']:,.0f} images/s"
    )


def evaluate_again(config: ConfigDict | None, workdir: Path) -> dict[str, float]:
    """Measures a folder's trained model on a test split.

    Args:
      config: its data and corruption are measured on; None for the run's own.
      workdir: the run's folder.

    Raises:
      CaejaxError: the folder holds no trained model.
    """
    own = trained_config(workdir)
    if config is not None:
        own.data, own.corruption = config.data, config.corruption
    config_lib.check(own)
    run = _create_run(own, verbose=False)
    return _evaluate_test(run, restore(workdir, own))[0]
