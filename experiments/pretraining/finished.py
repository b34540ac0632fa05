"""The encoder of a finished run, and its data with labels."""

from typing import Any

import numpy as np
from ml_collections import ConfigDict

from caejax.data import Dataset, Split
from caejax.errors import CaejaxError
from caejax.inference.trained import Trained
from caejax.ops.images import as_float
from caejax.optimizers import create_optimizer
from caejax.training.images import load_split
from caejax.training.state import create_state
from caejax.training.task import task_from_config
from experiments.pretraining.classifier import ARMS, BATCH, CLASSES


def encoders(own: Trained, seed: int) -> dict[str, Any]:
    """By arm: parameters drawn from a seed as for training, and those of the run."""
    task = task_from_config(own.config, total_steps=1)
    tx = create_optimizer(task.optimizer)
    drawn = create_state(own.model, tx, seed, ema=False).params
    return dict(zip(ARMS, (drawn, own.params), strict=True))


def dataset(config: ConfigDict) -> Dataset:
    """A run's images with labels; a twelfth validates if the run had no such part.

    Raises:
      CaejaxError: they are not of ten classes, or too few of one.
    """
    config = ConfigDict(config)
    config.data.val_fraction = config.data.val_fraction or 1 / 12
    parts = [load_split(config, name) for name in Dataset._fields]
    labels = parts[0].labels
    if labels is None or set(np.unique(labels)) != set(range(CLASSES)):
        raise CaejaxError(
            f"the run's images are not of {CLASSES} classes; name a run on images with "
            f"labels from 0 to {CLASSES - 1}"
        )
    if np.bincount(labels).min() < BATCH // CLASSES:
        raise CaejaxError(
            f"the run has fewer than {BATCH // CLASSES} training images of a class; "
            "name a run on more"
        )
    return Dataset(*(Split(as_float(images), labels) for images, labels in parts))
