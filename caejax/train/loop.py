"""One run, from its config to its summary; it goes on where it was stopped.

What a run does besides steps is a generator that asks for them (`course`): so that
one run takes them by itself, and many in one program (`caejax.train.group`).
"""

import contextlib
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from caejax.config.check import check
from caejax.errors import CaejaxError
from caejax.files.atomic import write_json
from caejax.runtime import devices
from caejax.terminal.bars import progress_bar
from caejax.train import folder, measure, probes
from caejax.train.checkpoint import Checkpoints
from caejax.train.metrics_log import MetricsWriter
from caejax.train.restore import restore, trained_config
from caejax.train.run import (
    Answer,
    Course,
    Request,
    Run,
    create_run,
    initial_state,
    new_state,
)
from caejax.train.step import compiled_steps, zero_sums


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
    return alone(course(config, workdir, verbose=verbose))


def alone(course: Course, request: Request | None = None) -> Any:
    """Takes the steps that a course asks for, and returns what it does.

    Args:
      course: is closed whatever happens.
      request: what it has asked for already.
    """
    with contextlib.closing(course):
        try:
            request = request or next(course)
            while True:
                request = go_on(course, _answer(request))
        except StopIteration as end:
            return end.value


def go_on(course: Course, answer: Answer | Exception) -> Request:
    """Sends a course what came of its steps, or raises an error where it is."""
    if isinstance(answer, Exception):
        return course.throw(answer)
    return course.send(answer)


def _answer(request):
    began = time.perf_counter()
    try:
        state, sums = _steps(*request)
        sums["loss"].block_until_ready()
    except Exception as error:
        return error
    return state, sums, time.perf_counter() - began


def course(config: ConfigDict, workdir: Path, *, verbose: bool = True) -> Course:
    """Trains as `train`, but asks for steps instead of taking them."""
    check(config)
    folder.claim(workdir, config)
    if figures := folder.read_summary(workdir, config):
        return figures
    run = create_run(config, verbose=verbose)
    if not run.steps_per_epoch:
        raise CaejaxError(
            f"config.train.batch_size is {config.train.batch_size}, more than the "
            f"{len(run.images['train'])} training images; make it smaller"
        )
    with Checkpoints(
        workdir / "checkpoints", keep=config.train.keep_checkpoints
    ) as checkpoints:
        figures = yield from _train(run, workdir, checkpoints)
    write_json(workdir / "summary.json", figures)
    return figures


def _train(run, workdir, checkpoints):
    restored = checkpoints.restore(new_state(run))
    state, progress = restored or (initial_state(run), {})
    if restored is None:
        checkpoints.save(state, progress, best=True)
    step = int(state.step) if progress else None
    with MetricsWriter(workdir, step) as writer:
        if progress and run.verbose:
            print(f"resuming from step {step}", flush=True)
        state = devices.on_all_devices(state)
        state, progress = yield from _train_epochs(
            run, state, progress, writer, checkpoints
        )
        steps = int(state.step)
        if run.patience:
            state, _ = checkpoints.restore_best(state)
        figures, maps = measure.trained(run, state, progress, writer)
        figures |= {"epochs": run.epochs, "steps": steps}
    arrays = probes.samples(*measure.probed(run, state)) | maps
    np.savez_compressed(workdir / "samples.npz", **arrays)
    return figures


def _train_epochs(run, state, progress, writer, checkpoints):
    total = run.epochs * run.steps_per_epoch
    # No step is taken: this compiles, so that speeds leave compilation out.
    state, _, _ = yield Request(run, state, _zero_sums(), stop=0)
    title = f"{run.epochs} epochs"
    bar = progress_bar(total, title) if run.verbose else contextlib.nullcontext()
    with bar as update:
        if run.verbose and update is None:
            print(f"training for {total:,} steps", flush=True)
        while int(state.step) < total and not _stale(run, progress):
            state, progress, figures, seconds = yield from _train_epoch(
                run, state, progress, writer, update
            )
            writer.write(measure.row(run, state, "train", figures))
            quality, _ = measure.evaluate(run, state, "val")
            _check_finite(quality["loss"], "validation loss", run, state)
            writer.write(measure.row(run, state, "val", quality))
            progress, best = _advance(progress, state, quality["loss"], seconds)
            checkpoints.save(state, progress, best=best)
            if run.verbose and update is None:
                print(_epoch_line(run, state, figures, quality), flush=True)
    return state, progress


def _train_epoch(run, state, progress, writer, update):
    """Asks for an epoch at once, or in parts where something is looked at."""
    sums, seconds = _zero_sums(), 0.0
    first = int(state.step)
    last = first + run.steps_per_epoch
    for stop in _stops(run, first, last, pieces=1 if update is None else 20):
        state, sums, lasted = yield Request(run, state, sums, stop)
        seconds += lasted
        # Looked at only now, so that training starts at once.
        progress = progress or _measure_start(run, writer)
        loss = float(sums["loss"])
        _check_finite(loss, "loss", run, state)
        speed = (stop - first) * run.task.batch_size / seconds
        if update is not None:
            done = stop - first
            update(stop, loss / done, float(sums["psnr"]) / done, speed)
        if stop in run.probe_steps and stop < last:
            ripples = measure.ripples(run, state, "val")
            if ripples:
                writer.write(measure.row(run, state, "val", ripples))
    figures = {k: float(v) / run.steps_per_epoch for k, v in sums.items()}
    return state, progress, figures | {"images_per_second": speed}, seconds


def _measure_start(run, writer):
    return measure.untrained(run, devices.on_all_devices(initial_state(run)), writer)


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
        f"{name} is {loss} at step {step} (epoch {measure.epoch(run, step):g}); the "
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


def _epoch_line(run, state, figures, quality):
    epoch = measure.epoch(run, int(state.step))
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
    check(own)
    run = create_run(own, verbose=False)
    return measure.evaluate_test(run, restore(workdir, own))[0]
