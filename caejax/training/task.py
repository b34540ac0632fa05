"""From a config to what a compiled step depends on."""

from typing import NamedTuple

import jax
from ml_collections import ConfigDict

from caejax.config import choice, image_size, resolve
from caejax.metrics.subject import Subject
from caejax.models.autoencoders import Autoencoder, create_model
from caejax.models.layers import DTYPES
from caejax.ops import paths
from caejax.optimizers import OptimizerSpec
from caejax.parameters import Choice
from caejax.runtime.batches import cache_chunk


class Task(NamedTuple):
    """The static part of training; runs that share it share compiled programs.

    Attributes:
      model: the Linen module.
      loss: one of `caejax.losses`, with its parameters.
      corruption: one of `caejax.corruptions`, with its parameters.
      optimizer: the optimiser's description.
      batch_size: the number of images a step.
      ema_decay: the decay of the parameters' moving average; 0 for none.
      chunk: about how many images a device takes at a time; 0 for all of the batch.
      code_penalty: the weight of the mean absolute code in the loss; None for none.
    """

    model: Autoencoder
    loss: Choice
    corruption: Choice
    optimizer: OptimizerSpec
    batch_size: int
    ema_decay: float = 0.0
    chunk: int = 0
    code_penalty: float | None = None


def task_from_config(config: ConfigDict, total_steps: int) -> Task:
    """Makes a run's task; total_steps is where decaying learning rates end."""
    model = model_from_config(config)
    constant = config.optimizer.schedule == "constant"
    optimizer = OptimizerSpec(
        **config.optimizer.to_dict(), total_steps=0 if constant else total_steps
    )
    return Task(
        model=model,
        loss=choice(config, "loss"),
        corruption=choice(config, "corruption.name"),
        optimizer=optimizer,
        batch_size=config.train.batch_size,
        ema_decay=config.train.ema_decay,
        chunk=_chunk(model),
        code_penalty=config.code_penalty or None,
    )


def _chunk(model):
    if jax.default_backend() != "cpu" or not model.convolutional:
        return 0
    if paths.resolve(model.path) != "matmul":
        return 0
    return cache_chunk(model.largest_map)


def model_from_config(config: ConfigDict) -> Autoencoder:
    """Makes a run's autoencoder."""
    settings = resolve(config).model.to_dict()
    settings["dtype"] = DTYPES[settings["dtype"]]
    shape = (*image_size(config), config.data.channels)
    return create_model(settings.pop("encoder"), shape=shape, **settings)


def subject_of(task: Task) -> Subject:
    """What of a task is measured."""
    return Subject(task.model, task.loss, task.corruption, task.chunk)
