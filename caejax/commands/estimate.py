"""How long runs take: their work, and a short calibration here."""

import functools
import heapq
import tempfile
import time
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
from ml_collections import ConfigDict

from caejax.data import SOURCES, split_indices
from caejax.errors import CaejaxError
from caejax.models.size import image_flops
from caejax.runtime import devices
from caejax.sweep.spec import SweepRun
from caejax.terminal.lines import duration
from caejax.terminal.numbers import counted
from caejax.training.images import load_images
from caejax.training.loop import train
from caejax.training.run import Run, create_run, initial_state
from caejax.training.state import TrainState
from caejax.training.step import compiled_steps, zero_sums
from caejax.training.task import model_from_config, task_from_config
from caejax.training.values import measured
from caejax.training.varied import Recipe, shared

_FEW = 600  # images of the calibration's runs
_LONG_ENOUGH = 0.5  # seconds
_MOST_STEPS = 64
_SHORT = 8  # steps of the calibration's runs, where a config says how many


class Work(NamedTuple):
    """What a run computes.

    Attributes:
      flops: the FLOPs of the forward passes of all images that it trains on, epoch
        by epoch.
      evaluated: the number of images, each counted as often as it is evaluated.
      program: what is equal for runs that share their compiled programs.
    """

    flops: float
    evaluated: int
    program: Hashable


class Calibration(NamedTuple):
    """What runs take here.

    Attributes:
      compiling: the seconds for compiling all programs of a run.
      fixed: the seconds that any run takes, however short.
      per_flop: the seconds of training for each FLOP of the forward pass.
      per_image: the seconds of evaluating an image.
      seconds: the seconds that the calibration has taken.
    """

    compiling: float
    fixed: float
    per_flop: float
    per_image: float
    seconds: float


def image_counts(config: ConfigDict) -> tuple[int, int, int]:
    """Images for training, validation and test; loads them where that takes it.

    Raises:
      CaejaxError: data that is missing or cannot be used; nothing is downloaded.
    """
    data = config.data
    if not SOURCES[data.source].drawn:
        config = config.copy_and_resolve_references()
        config.data.download = False
        images = load_images(config)
        return len(images["train"]), len(images["val"]), len(images["test"])
    count, test = (
        min(size, data.limit or size) for size in (data.train_size, data.test_size)
    )
    if not data.val_fraction:
        return count, test, test
    parts = split_indices(count, data.val_fraction, data.seed, "images")
    return *map(len, parts), test


def work(config: ConfigDict, *, together: bool = False) -> Work:
    """A run's work if it does all its epochs; raises as `image_counts`.

    Args:
      config: the run's config.
      together: whether it shares its program with runs that are alike, as in a group.
    """
    batch_size, epochs = config.train.batch_size, config.train.epochs
    training, validation, test = image_counts(config)
    steps = epochs * (config.train.steps_per_epoch or training // batch_size)
    flops = steps * batch_size * image_flops(model_from_config(config))
    evaluated = (1 + epochs) * validation + test
    task = task_from_config(config, steps)
    program = shared(Recipe(task, config.seed, config.corruption.level))
    return Work(flops, evaluated, program if together else task)


def calibrate(config: ConfigDict) -> Calibration:
    """Does two short runs of a config, then times its steps and its evaluation.

    Raises:
      CaejaxError: the run cannot be done.
    """
    began = time.perf_counter()
    config = _short(config)
    with tempfile.TemporaryDirectory() as folder:
        # The second finds all programs compiled.
        first, fixed = (
            _seconds(lambda name=name: train(config, Path(folder, name), verbose=False))
            for name in ("first", "second")
        )
    run = create_run(config, verbose=False)
    state = devices.on_all_devices(initial_state(run))
    return Calibration(
        compiling=first - fixed,
        fixed=fixed,
        per_image=_seconds_per_image(run, state),
        per_flop=_seconds_per_flop(run, state),
        seconds=time.perf_counter() - began,
    )


def _short(config):
    """The config for one epoch of few images, half of which validate."""
    few = max(_FEW, 4 * config.train.batch_size)
    many = image_counts(config)[0] > few
    config = config.copy_and_resolve_references()
    config.train.epochs, config.data.download = 1, False
    config.train.steps_per_epoch = min(config.train.steps_per_epoch, _SHORT)
    config.train.start_from = ""  # which may be a run that is still to be done
    if many:
        config.data.limit = config.data.train_size = few
        config.data.test_size = min(config.data.test_size, few)
        # So many as are evaluated by the same program as the test images.
        config.data.val_fraction = 0.5 if config.data.val_fraction else 0.0
    return config


def _seconds(do: Callable[[], object]) -> float:
    start = time.perf_counter()
    jax.block_until_ready(do())
    return time.perf_counter() - start


def _seconds_per_flop(run: Run, state: TrainState) -> float:
    """Of training, from half a second of steps or more; the program is compiled.

    The state's arrays are given away.
    """
    steps, images = compiled_steps(run.task), run.images["train"]
    sums = devices.on_all_devices(zero_sums())

    def take(count):
        nonlocal state, sums
        stop = int(state.step) + count
        state, sums = steps(state, sums, images, stop, run.seed, run.level)
        return sums

    count = 1
    while (seconds := _seconds(functools.partial(take, count))) < _LONG_ENOUGH:
        if count == _MOST_STEPS:
            break
        count *= 2
    return seconds / (count * run.task.batch_size * image_flops(run.task.model))


def _seconds_per_image(run: Run, state: TrainState) -> float:
    seconds = _seconds(lambda: measured(run, state, "test", "val"))
    return seconds / len(run.images["test"])


def total_seconds(
    works: Sequence[Work], calibration: Calibration, workers: int
) -> float:
    """How long runs take, each by whoever is free first.

    Args:
      works: the runs' work, in the order in which they are begun; the first run of a
        program compiles.
      calibration: the calibration of one of the runs.
      workers: the number of runs at a time.
    """
    free, compiled = [0.0] * workers, set()
    for flops, images, program in works:
        seconds = flops * calibration.per_flop + images * calibration.per_image
        seconds += calibration.fixed
        if program not in compiled:
            seconds += calibration.compiling
        compiled.add(program)
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)


def measure(
    runs: Sequence[SweepRun], *, together: bool = False
) -> tuple[list[Work], Calibration]:
    """What `total_seconds` needs; takes some seconds.

    Args:
      runs: one run, or the runs of a sweep.
      together: whether runs that share a program are trained by `vmap`.

    Raises:
      CaejaxError: the first run cannot be done.
    """
    works = [work(run.config, together=together) for run in runs]
    return works, calibrate(runs[0].config)


def time_line(runs: list[SweepRun], workers: int, *, together: bool = False) -> str:
    """A sentence on how long the runs take, or why that is not known.

    Args:
      runs: one run, or the runs of a sweep.
      workers: the number of runs at a time.
      together: whether runs that share a program are trained by `vmap`.
    """
    try:
        works, calibration = measure(runs, together=together)
    except CaejaxError as error:
        return f"no estimate of the time: {error}"
    seconds = total_seconds(works, calibration, workers)
    how = f", {workers} runs at a time" if workers > 1 else ""
    if together:
        how = ", run after run; together they take less on an accelerator"
    return (
        f"takes about {duration(seconds)} on this machine ({_hardware(workers)}{how}), "
        f"from a calibration of {calibration.seconds:.1f} s"
    )


def _hardware(workers):
    device, count = jax.devices()[0], jax.device_count()
    if device.platform != "cpu":
        return f"{count} x {device.device_kind}"
    cores = workers * count
    return counted(cores, "core")
