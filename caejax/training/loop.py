"""One run, from its config to its summary; it goes on where it was stopped.

What a run does besides steps is a generator that asks for them (`course`): so that
one run takes them by itself, and many in one program (`caejax.training.group`).
"""

import contextlib
import functools
import math
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from caejax.config import image_size, resolve
from caejax.config.check import check
from caejax.errors import CaejaxError
from caejax.files.atomic import replacing, write_json
from caejax.files.paths import Written, expand
from caejax.runtime import ahead, devices, stopping, together
from caejax.terminal.bars import run_view
from caejax.terminal.numbers import counted
from caejax.training import across, folder, memory, recorded
from caejax.training.board import load_tensorboard
from caejax.training.checkpoint import Checkpoints
from caejax.training.images import data_of
from caejax.training.metrics_log import MetricsWriter
from caejax.training.pace import Pace
from caejax.training.progress import Begun, Progress
from caejax.training.recorded import Recorded
from caejax.training.restore import restore, trained_config
from caejax.training.run import (
    Answer,
    Course,
    Request,
    Run,
    create_run,
    epoch_of,
    initial_state,
    new_state,
)
from caejax.training.state import TrainState
from caejax.training.step import Sums, compiled_steps, zero_sums
from caejax.training.task import model_from_config, subject_of
from caejax.training.values import (
    examples,
    look_at,
    measured,
    row,
    samples,
    summary,
)

_CURVE = 5  # points of the training's curve an epoch, of so many steps each at least
_APART = 20


def train(
    config: ConfigDict, workdir: Written, *, verbose: bool = True
) -> dict[str, Any]:
    """Trains one model, or what is left to do of it, and returns its summary.

    Args:
      config: the config of one run; its sweep is not looked at.
      workdir: the run's folder. If it holds part of this run, the run goes on from
        the last checkpoint, to the same end.
      verbose: whether to show progress: a bar on a terminal, else a line an epoch.

    Raises:
      CaejaxError: a config or data that cannot be used, a folder of another run,
        or a loss that is not finite.
    """
    workdir = expand(workdir, "workdir")
    return alone(course(config, workdir, verbose=verbose))


def alone(course: Course, request: Request | None = None) -> Any:
    """Takes the steps that a course asks for, and returns what it does.

    Args:
      course: the run's course, which is closed whatever happens.
      request: the steps that the course has asked for already.
    """
    with contextlib.closing(course):
        pace = Pace()
        try:
            request = request or next(course)
            while True:
                request = go_on(course, _answer(request, pace))
        except StopIteration as end:
            return end.value


def go_on(course: Course, answer: Answer | Exception) -> Request:
    """Sends a course what came of its steps, or raises an error where it is."""
    if isinstance(answer, Exception):
        return course.throw(answer)
    return course.send(answer)


def _answer(request, pace):
    """Takes a request's steps in short calls, fewer where the process is to stop."""
    run, state, sums, stop = request
    began, step = time.perf_counter(), int(state.step)
    if stopping.asked():
        return state, sums, 0.0
    try:
        while True:
            before, started = step, time.perf_counter()
            state, sums = _steps(run, state, sums, min(stop, step + pace.steps))
            step, loss = int(state.step), float(sums["loss"])
            pace.learn(step - before, time.perf_counter() - started)
            # After a loss that is not finite no step is taken.
            if step >= stop or not math.isfinite(loss) or stopping.asked():
                return state, sums, time.perf_counter() - began
    except Exception as error:
        return error


def course(
    config: ConfigDict,
    workdir: Path,
    *,
    verbose: bool = True,
    data: Recorded | None = None,
) -> Course:
    """Trains as `train`, but asks for steps instead of taking them.

    Args:
      config: as for `train`.
      workdir: as for `train`.
      verbose: as for `train`.
      data: the data that a run that begins is to have; None for what there is.
    """
    stopping.check()
    check(config)
    with memory.explained(config):
        return (yield from _course(config, workdir, verbose, data))


def _course(config, workdir, verbose, data):
    folder.claim(workdir, config)
    data = recorded.read(workdir) if folder.is_started(workdir) else data
    done = folder.read_summary(workdir, config)
    if done and (data is None or recorded.named_alike(config.data, data)):
        return done
    memory.check_memory(config)
    within = folder.paths_of(workdir)
    run = create_run(config, data, verbose=verbose, within=within)
    settle = functools.cache(lambda: folder.settle(workdir, config, run.data))
    if done:
        settle()
        return done
    if not run.steps_per_epoch:
        raise CaejaxError(
            f"config.train.batch_size is {config.train.batch_size}, more than the "
            f"{len(run.images['train'])} training images; make it smaller"
        )
    with Checkpoints(
        workdir / "checkpoints", keep=config.train.keep_checkpoints
    ) as checkpoints:
        values = yield from _train(run, config, workdir, checkpoints, settle)
    write_json(workdir / "summary.json", values)
    return values


def _train(run, config, workdir, checkpoints, settle):
    save = functools.partial(_save, workdir, checkpoints, settle)
    state, progress, step = _beginning(run, checkpoints)
    reached = None if step is None else int(state.step)
    with MetricsWriter(workdir, step, config.to_dict(), reached) as log:
        state, progress = yield from _train_epochs(
            run, devices.on_all_devices(state), progress, log, save
        )
        settle()
        steps = int(state.step)
        if run.patience:
            state, _ = checkpoints.restore_best(state)
        test, maps = measured(run, state, "test", "test")
        log.write(row(run, int(state.step), "test", test))
        log.pictures(int(state.step), examples(run, state, maps))
        with replacing(workdir / "samples.npz") as file:
            np.savez_compressed(file, **samples(run, state) | maps)
    return summary(run, state, progress, test, steps)


def _beginning(run, checkpoints):
    """Where a run begins or goes on.

    Returns:
      The state, the progress, and the step up to which rows have been written: None
      where the model has not been measured yet, as at a fresh start.
    """
    restored = checkpoints.restore(new_state(run), with_best=run.patience > 0)
    if restored is None:
        return initial_state(run), Progress(), None
    state, progress = restored
    if not progress.measured:
        return state, progress, None
    step = int(state.step)
    if run.verbose:
        print(f"resuming from step {step}", flush=True)
    if begun := progress.begun:
        # The rows of an epoch's end have been written only after its checkpoint.
        step = min(
            begun.looked, _first_step(run, state, progress) + run.steps_per_epoch - 1
        )
    return state, progress, step


def _train_epochs(run, state, progress, log, save):
    total = _total(run)
    # No step is taken: this compiles, so that speeds leave compilation out.
    with ahead.compiling(lambda: _look_ahead(run), subject_of(run.task)):
        state, _, _ = yield Request(run, state, _zero_sums(), stop=0)
    stopping.check()
    with run_view(total, run.epochs, verbose=run.verbose) as view:
        left = total - int(state.step)
        if left and not _stale(run, progress):
            more = f" more, of {total:,} in all" * (left < total)
            view.say(f"training for {counted(left, 'step')}{more}")
        # An epoch may have been stopped between its last step and its end.
        while progress.begun or int(state.step) < total:
            if not progress.begun and _stale(run, progress):
                break
            with stopping.needing_time():
                state, progress = yield from _train_epoch(
                    run, state, progress, log, save, view
                )
                best = progress.best_step == int(state.step)
                save(state, progress, best=best)
            stopping.check()
    return state, progress


def _look_ahead(run):
    look_at(run, new_state(run))
    load_tensorboard()


def _train_epoch(run, state, progress, log, save, view):
    """Asks for an epoch at once, or in parts where something is looked at.

    Where the process is to stop, what there is of the epoch is saved.
    """
    first, saved = _first_step(run, state, progress), int(state.step)
    last = first + run.steps_per_epoch
    sums, seconds, looked = _so_far(progress.begun, first)
    start = _start_of(run, state) if not progress.measured else None
    seen = saved, float(sums["loss"]), float(sums["psnr"])
    try:
        for stop in _stops(run, first, last, view.pieces):
            if stop <= looked:
                continue
            state, sums, lasted = yield Request(run, state, sums, stop)
            seconds += lasted
            # Looked at only now, so that training starts at once.
            if not progress.measured:
                progress = _measure_start(run, start, log, save)
            step, loss = int(state.step), float(sums["loss"])
            _check_finite(loss, "loss", run, step)
            if step < stop:
                stopping.check()
            done = stop - first
            speed = done * run.task.batch_size / seconds
            now = stop, loss, float(sums["psnr"])
            view.update(stop, loss / done, now[2] / done, speed)
            if stop > seen[0]:
                log.curve(stop, *_means_between(seen, now))
            # Where there is one epoch only, none ends in the middle.
            if seen[0] < last / 2 <= stop < last == _total(run):
                maps = measured(run, state, "val", "val").maps
                log.pictures(stop, examples(run, state, maps))
            seen = now
            if stop in run.probe_steps and stop < last:
                probed = measured(run, state, "val", "probe").values
                if probed:
                    log.write(row(run, stop, "val", probed))
            looked = stop
            stopping.check()
        val, maps = measured(run, state, "val", "val")
        if first < _total(run) / 2 <= last < _total(run):
            log.pictures(last, examples(run, state, maps))
    except stopping.Stopped:
        if int(state.step) > saved:
            values = {name: float(x) for name, x in sums.items()}
            begun = Begun(values, seconds, looked)
            save(state, progress._replace(begun=begun), best=False)
        raise
    train = {name: float(x) / run.steps_per_epoch for name, x in sums.items()}
    speed = run.steps_per_epoch * run.task.batch_size / seconds
    train["images_per_second"] = speed
    _write_epoch(run, last, train, val, log, view)
    return state, progress.after_epoch(last, val["loss"], seconds)


def _write_epoch(run, step, train, val, log, view):
    log.write(row(run, step, "train", train))
    _check_finite(val["loss"], "validation loss", run, step)
    log.write(row(run, step, "val", val))
    view.say(*_epoch_line(run, step, train, val))


def _total(run):
    return run.epochs * run.steps_per_epoch


def _first_step(run, state, progress):
    """The number of steps before the epoch that a state is in, or begins."""
    step = int(state.step) - (progress.begun is not None)
    return step // run.steps_per_epoch * run.steps_per_epoch


def _so_far(begun, first):
    if begun is None:
        return _zero_sums(), 0.0, first
    sums = {name: np.float32(x) for name, x in begun.sums.items()}
    return devices.on_all_devices(sums), begun.seconds, begun.looked


def _means_between(before, after):
    """Means of loss and PSNR over the steps between two (step, sum, sum)."""
    steps = after[0] - before[0]
    return [(b - a) / steps for a, b in zip(before[1:], after[1:], strict=True)]


def _start_of(run, state):
    """What a run began from, copied to the host: steps are given the state itself."""
    start = initial_state(run) if int(state.step) else state
    return jax.tree.map(np.array, start)


def _measure_start(run, start, log, save):
    """Measures and saves the untrained model; what it draws is kept."""
    state = devices.on_all_devices(start)
    val, maps = measured(run, state, "val", "val")
    log.write(row(run, int(state.step), "val", val))
    log.pictures(int(state.step), examples(run, state, maps))
    init = measured(run, state, "test", "init").values
    progress = Progress(measured=True, best_loss=val["loss"], init=init)
    save(state, progress, best=True)
    return progress


def _save(workdir, checkpoints, settle, state, progress, *, best):
    """Saves a checkpoint, along with what the run is.

    Where a run has begun, what it is changes only after the checkpoint; where not, no
    checkpoint is without.
    """
    if not folder.is_started(workdir):
        settle()
    if progress.begun:
        checkpoints.save_stopped(state, progress)
    else:
        checkpoints.save(state, progress, best=best)
    settle()


def _zero_sums():
    return devices.on_all_devices(zero_sums())


def _steps(run, state, sums, stop):
    """Takes steps until so many are done, along with other processes if any."""
    if together.count() == 1:
        return take(run, state, sums, stop)
    across.announce(run, state, sums, stop)
    state, sums = take(run, state, sums, stop)
    across.took(state, sums)
    return state, sums


def take(run: Run, state: TrainState, sums: Sums, stop: int) -> tuple[TrainState, Sums]:
    """Takes steps until so many are done, from one shard after the other if any.

    Args:
      run: the run.
      state, sums: before the steps; both are donated.
      stop: the number of steps done in all at which to stop.
    """
    several = together.count() > 1
    steps = across.spread_steps(run) if several else compiled_steps(run.task)
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

    Sums are carried on across them, so where they lie changes no value.
    """
    drawn = min(_CURVE, (last - first) // _APART)  # points of TensorBoard's curves
    shown = np.linspace(first, last, max(pieces, drawn) + 1)[1:].astype(int)
    probed = [step for step in run.probe_steps if first < step <= last]
    middle = [-(-last // 2)] if run.epochs == 1 else []
    return sorted({*map(int, shown), *probed, *middle} - {first})


def _check_finite(loss, name, run, step):
    if math.isfinite(loss):
        return
    kept = (step - 1) // run.steps_per_epoch * run.steps_per_epoch
    raise CaejaxError(
        f"{name} is {loss} at step {step} (epoch {epoch_of(run, step):g}); the "
        f"checkpoint of step {kept} is kept; try a smaller "
        "config.optimizer.learning_rate"
    )


def _stale(run, progress):
    return run.patience > 0 and progress.stale_epochs >= run.patience


def _epoch_line(run, step, train, val):
    return (
        f"epoch {epoch_of(run, step):g}/{run.epochs}",
        f"loss {train['loss']:.4f}",
        f"val loss {val['loss']:.4f}",
        f"val psnr {val['psnr']:.2f} dB",
        f"{train['images_per_second']:,.0f} images/s",
    )


def evaluate_again(config: ConfigDict | None, workdir: Written) -> dict[str, float]:
    """Measures a folder's trained model on a test split.

    Args:
      config: the config whose data and corruption are measured on; None for the
        run's own.
      workdir: the run's folder.

    Raises:
      CaejaxError: the folder holds no trained model, or its data are no longer what
        it was trained on.
    """
    workdir = expand(workdir, "workdir")
    own, data = trained_config(workdir), recorded.read(workdir)
    if config is not None:
        _check_size(own, config)
        own.data, own.corruption = config.data, config.corruption
    check(own)
    run = create_run(own, data_of(own, data), verbose=False)
    return measured(run, restore(workdir, own), "test", "test").values


def _check_size(own, config):
    """Refuses images of a size or of channels that a trained model cannot take."""
    trained, given = (
        (*image_size(x), x.data.channels) for x in (resolve(own), resolve(config))
    )
    # Convolutions take images of any size; what layers give is checked with them.
    if trained == given or (
        model_from_config(own).convolutional and trained[-1] == given[-1]
    ):
        return
    was, now = ("x".join(map(str, x)) for x in (trained, given))
    raise CaejaxError(
        f"the model was trained on images of {was}, and config.data has images of "
        f"{now}; give data like those it was trained on"
    )
