"""From a config to what a compiled step depends on."""

from typing import NamedTuple

import jax
from ml_collections import ConfigDict

from caejax.config import choice, image_size, resolve
from caejax.corruptions import Chosen
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
      steps_per_epoch: the number of steps an epoch; 0 for as many as there are whole
        batches of images.
      crop_size: the side of the squares that are cut from images; 0 for whole images.
      augment: whether images are flipped and turned.
      halved: the share of squares that are cut twice as large and halved.
      recolored: the share of images whose colours are changed.
      levels: (lowest, highest) of the corruption's levels, drawn for each image; None
        for the run's level.
      ema_decay: the decay of the parameters' moving average; 0 for none.
      chunk: about how many images a device takes at a time; 0 for all of the batch.
      code_penalty: the weight of the mean absolute code in the loss; None for none.
    """

    model: Autoencoder
    loss: Choice
    corruption: Chosen
    optimizer: OptimizerSpec
    batch_size: int
    steps_per_epoch: int = 0
    crop_size: int = 0
    augment: bool = False
    halved: float = 0.0
    recolored: float = 0.0
    levels: tuple[float, float] | None = None
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
        corruption=corruption_from_config(config),
        optimizer=optimizer,
        batch_size=config.train.batch_size,
        steps_per_epoch=config.train.steps_per_epoch,
        crop_size=config.train.crop_size,
        augment=config.train.augment,
        halved=config.train.halved,
        recolored=config.train.recolored,
        levels=tuple(config.corruption.train_range) or None,
        ema_decay=config.train.ema_decay,
        chunk=_chunk(model, config.train.crop_size),
        code_penalty=config.code_penalty or None,
    )


def corruption_from_config(config: ConfigDict) -> Chosen:
    """A run's corruption with its parameters."""
    chosen = choice(config, "corruption.name")
    return Chosen(*chosen, clip=config.corruption.clip)


def _chunk(model, crop_size):
    if jax.default_backend() != "cpu" or not model.convolutional:
        return 0
    if paths.resolve(model.path) != "matmul":
        return 0
    if crop_size:
        model = model.clone(shape=(crop_size, crop_size, model.shape[-1]))
    return cache_chunk(model.largest_map)


def model_from_config(config: ConfigDict) -> Autoencoder:
    """Makes a run's autoencoder; one that was trained on crops fills images up."""
    settings = resolve(config).model.to_dict()
    settings["dtype"] = DTYPES[settings["dtype"]]
    shape = (*image_size(config), config.data.channels)
    encoder, crops = settings.pop("encoder"), bool(config.train.crop_size)
    return create_model(encoder, shape=shape, filled_up=crops, **settings)


def subject_of(task: Task) -> Subject:
    """What of a task is measured."""
    return Subject(task.model, task.loss, task.corruption, task.chunk)
