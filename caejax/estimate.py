"""How much work runs are: FLOPs, and the time by a short calibration here."""

import functools
import heapq
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from caejax.data import split_indices
from caejax.models.autoencoders import Autoencoder
from caejax.optimizers import create_optimizer
from caejax.train import devices
from caejax.train.images import load_images
from caejax.train.state import create_state
from caejax.train.step import compiled_steps, zero_sums
from caejax.train.task import Task, model_from_config, task_from_config

_DRAWN = ("glyphs", "dead_leaves")  # as many images as the config says
_LONG_ENOUGH = 0.5  # seconds
_MOST_STEPS = 64


class Work(NamedTuple):
    """What a run's training computes.

    Attributes:
      flops: of the forward passes of all images that it sees, epoch by epoch.
      task: runs that share it share compiled programs.
    """

    flops: float
    task: Task


class Calibration(NamedTuple):
    """What training takes here.

    Attributes:
      compiling: seconds for the steps' program.
      per_flop: seconds of training a FLOP of the forward pass.
      seconds: that finding out has taken.
    """

    compiling: float
    per_flop: float
    seconds: float


@functools.cache
def variable_shapes(model: Autoencoder) -> dict[str, Any]:
    """A model's variables with shapes for arrays; nothing is computed."""
    images = jax.ShapeDtypeStruct((1, *model.shape), jnp.float32)
    return jax.eval_shape(model.init, jax.random.key(0), images)


@functools.cache
def image_flops(model: Autoencoder) -> float:
    """FLOPs of one image's forward pass, as the model's path computes it.

    XLA's count for the program before it is optimised: a multiplication and an
    addition are two, zeros at borders are left out where the path leaves them out.
    Nothing is compiled.
    """

    def forward(variables, images):
        return model.to_image(model.apply(variables, images))

    images = jax.ShapeDtypeStruct((1, *model.shape), jnp.float32)
    lowered = jax.jit(forward).lower(variable_shapes(model), images)
    return lowered.cost_analysis()["flops"]


def training_images(config: ConfigDict) -> int:
    """How many images a run trains on; loads them where the config does not say.

    Raises:
      CaejaxError: data that is missing or cannot be used; nothing is downloaded.
    """
    data = config.data
    if data.source not in _DRAWN:
        config = config.copy_and_resolve_references()
        config.data.download = False
        return len(load_images(config)["train"])
    count = min(data.train_size, data.limit or data.train_size)
    if not data.val_fraction:
        return count
    return len(split_indices(count, data.val_fraction, data.seed, "images")[0])


def work(config: ConfigDict) -> Work:
    """A run's work if it does all its epochs; raises as `training_images`."""
    batch_size, epochs = config.train.batch_size, config.train.epochs
    steps = epochs * (training_images(config) // batch_size)
    flops = steps * batch_size * image_flops(model_from_config(config))
    return Work(flops, task_from_config(config, steps))


def calibrate(task: Task) -> Calibration:
    """Takes some training steps of a task, half a second or more, on random images."""
    began = time.perf_counter()
    # A learning rate of 0, for steps end where a loss is not finite.
    task = task._replace(optimizer=task.optimizer._replace(learning_rate=0.0))
    shape = (task.batch_size, *task.model.shape)
    images = jnp.asarray(np.random.default_rng(0).random(shape, np.float32))
    tx = create_optimizer(task.optimizer)
    state = create_state(task.model, tx, 0, ema=task.ema_decay > 0)
    state, sums = devices.on_all_devices((state, zero_sums()))

    def timed(count):
        nonlocal state, sums
        start = time.perf_counter()
        stop = int(state.step) + count
        state, sums = compiled_steps(task)(state, sums, images, stop, 0, 0.1)
        jax.block_until_ready(sums)
        return time.perf_counter() - start

    compiling, count, seconds = timed(0), 1, timed(1)
    while seconds < _LONG_ENOUGH and count < _MOST_STEPS:
        count *= 2
        seconds = timed(count)
    per_flop = seconds / (count * task.batch_size * image_flops(task.model))
    return Calibration(compiling, per_flop, time.perf_counter() - began)


def total_seconds(
    works: Sequence[Work], calibration: Calibration, workers: int
) -> float:
    """How long runs take, each by whoever is free first.

    Args:
      works: in the order in which they are begun; the first of a task compiles.
      calibration: of one of them.
      workers: runs at a time.
    """
    free, compiled = [0.0] * workers, set()
    for flops, task in works:
        seconds = flops * calibration.per_flop
        if task not in compiled:
            seconds += calibration.compiling
        compiled.add(task)
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)
