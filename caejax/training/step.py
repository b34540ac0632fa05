"""The compiled parts of training: one step, and many in one call."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from caejax.corruptions import corrupt
from caejax.losses import LOSSES, loss_and_image
from caejax.metrics import quality
from caejax.ops.colors import random_colors
from caejax.ops.crops import random_crops, random_turns, some_halved
from caejax.ops.images import as_float
from caejax.ops.sums import mean_over_pixels
from caejax.optimizers import trace_optimizer
from caejax.runtime import keys
from caejax.runtime.batches import sum_over_batch
from caejax.runtime.compilation import quick_jit
from caejax.runtime.devices import over_devices
from caejax.training.state import TrainState
from caejax.training.task import Task

Sums = dict[str, jax.Array]


def train_step(
    state: TrainState, clean: jax.Array, key: jax.Array, *, level: jax.Array, task: Task
) -> tuple[TrainState, Sums]:
    """One update from a batch of clean images, which are corrupted here.

    Args:
      state: the state before the step.
      clean: the clean images (B, H, W, C), in [0, 1].
      key: the random key of the corruption.
      level: the corruption's level, a number or (B,) of them.
      task: the static part of training.

    Returns:
      The state after the step and its metrics: the mean loss an image, with the
      code's penalty, psnr in dB, and the norms of gradient and update.
    """
    noisy = corrupt(task.corruption, key, clean, level)
    told = tuple(jnp.broadcast_to(x, (len(clean),)) for x in task.model.told(level))
    gradient = jax.grad(functools.partial(objective, task), has_aux=True)
    batch = noisy, clean, *told
    grads, sums = sum_over_batch(gradient, state.params, batch, task.chunk)
    if not LOSSES[task.loss.name].summed:
        grads = jax.tree.map(lambda x: x / len(clean), grads)
    tx = trace_optimizer(task.optimizer)
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    ema = jax.tree.map(
        lambda average, new: average + (1 - task.ema_decay) * (new - average),
        state.ema,
        params if task.ema_decay else (),
    )
    metrics = {
        **{name: x / len(clean) for name, x in sums.items()},
        "grad_norm": optax.tree.norm(grads),
        "update_norm": optax.tree.norm(updates),
    }
    return TrainState(state.step + 1, params, opt_state, ema), metrics


def objective(
    task: Task, params: Any, noisy: jax.Array, clean: jax.Array, *told: jax.Array
) -> tuple[jax.Array, Sums]:
    """What a step minimises, the sum of the images' losses, and sums of metrics.

    Args:
      task: says the model, the loss and the code's penalty.
      params: the model's parameters.
      noisy, clean: the corrupted and the clean images (B, H, W, C).
      *told: what the model takes besides noisy images.
    """
    variables, penalty = {"params": params}, None
    if task.code_penalty is None:
        linear = task.model.apply(variables, noisy, *told)
    else:
        code, linear = task.model.apply(variables, noisy, *told, method="with_code")
        penalty = task.code_penalty * mean_over_pixels(jnp.abs(code))
    losses, image = loss_and_image(task.model, task.loss, linear, clean)
    if penalty is not None:
        losses += penalty
    psnr = quality.psnr(jnp.clip(image, 0, 1), clean)
    return losses.sum(), {"loss": losses.sum(), "psnr": psnr.sum()}


def zero_sums() -> Sums:
    """Where the metrics of an epoch's steps are added up."""
    names = ("loss", "psnr", "grad_norm", "update_norm")
    return {name: jnp.float32(0) for name in names}


def epoch_order(
    seed: int, epoch: jax.Array | int, count: int, wanted: int = 0
) -> jax.Array:
    """The order in which an epoch takes images.

    Args:
      seed: the run's seed.
      epoch: the epoch's number.
      count: the number of images there are.
      wanted: the number of images that the epoch takes, which come again, as often as
        each other but for the last time; 0 for each once.

    Returns:
      Indices of the images, (count,) or (wanted,).
    """
    key = keys.stream(seed, "order", epoch)
    if not wanted:
        return jax.random.permutation(key, count)
    passes = jax.random.split(key, -(-wanted // count))
    orders = jax.vmap(lambda key: jax.random.permutation(key, count))(passes)
    return orders.reshape(-1)[:wanted]


def take_steps(
    task: Task,
    state: TrainState,
    sums: Sums,
    images: jax.Array,
    stop: jax.Array,
    seed: jax.Array,
    level: jax.Array,
    first: jax.Array | None = None,
) -> tuple[TrainState, Sums]:
    """Takes steps until so many are done in all; see `compiled_steps`."""
    if first is None:
        steps_per_epoch = task.steps_per_epoch or len(images) // task.batch_size
        first = state.step // steps_per_epoch * steps_per_epoch
        wanted = task.steps_per_epoch * task.batch_size
        order = epoch_order(seed, state.step // steps_per_epoch, len(images), wanted)
    else:
        order = jnp.arange(len(images))

    def unfinished(carry):
        state, sums = carry
        return (state.step < stop) & jnp.isfinite(sums["loss"])

    def step(carry):
        state, sums = carry
        start = (state.step - first) * task.batch_size
        batch = jax.lax.dynamic_slice(order, (start,), (task.batch_size,))
        clean = as_float(over_devices(_seen(task, images, batch, seed, state.step)))
        key = keys.stream(seed, "train_noise", state.step)
        levels = _levels(task, seed, state.step, level)
        state, metrics = train_step(state, clean, key, level=levels, task=task)
        return state, {name: sums[name] + metrics[name] for name in sums}

    return jax.lax.while_loop(unfinished, step, (state, sums))


def _seen(task, images, batch, seed, step):
    """What a step sees of its images: all, or squares; perhaps flipped and turned."""
    if task.crop_size:
        key = keys.stream(seed, "crops", step)
        seen = random_crops(key, images, batch, task.crop_size)
    else:
        seen = images[batch]
    if task.halved:
        key = keys.stream(seed, "halved", step)
        seen = some_halved(key, seen, images, batch, task.halved)
    if task.augment:
        seen = random_turns(keys.stream(seed, "turns", step), seen)
    if task.recolored:
        key = keys.stream(seed, "colors", step)
        seen = random_colors(key, as_float(seen), task.recolored)
    return seen


def _levels(task, seed, step, level):
    if task.levels is None:
        return level
    low, high = task.levels
    key = keys.stream(seed, "levels", step)
    return jax.random.uniform(key, (task.batch_size,), minval=low, maxval=high)


@functools.cache
def compiled_steps(task: Task) -> Callable[..., tuple[TrainState, Sums]]:
    """Makes the function that runs many steps of one epoch in one call.

    `run(state, sums, images, stop, seed, level)` takes steps until `stop` steps
    are done in all, but none after a loss that is not finite. It returns the
    state and the sums of the metrics, whose loss then is not finite either.
    `stop` is traced: the same program runs a whole epoch, a part of one, and
    with stop = 0, nothing, which compiles it. With a further argument `first`,
    images are batches in the order of the steps, from step `first` on: see
    `caejax.training.shards`.
    """
    return quick_jit(functools.partial(take_steps, task), donate_argnums=(0, 1))
