"""Models with random parameters, which need no training."""

import numpy as np

from caejax.config.sections import choose
from caejax.inference import trained
from caejax.models.named import named_shapes
from caejax.training.task import model_from_config
from helpers.tiny import tiny_config


def random_model(encoder="conv", *, channels=1, crop=0, **fields):
    """A model of a config with random parameters, biases too.

    Args:
      encoder: its kind.
      channels: those of its images.
      crop: the side of the crops that it would have been trained on.
      **fields: fields of config.model.
    """
    config = tiny_config()
    if encoder != "conv":
        choose(config, "model.encoder", encoder)
    config.data.channels = channels
    config.train.crop_size = crop
    config.model.update(fields)
    choose(config, "loss", "mse")
    rng = np.random.default_rng(0)
    shapes = named_shapes(model_from_config(config))
    arrays = {
        name: np.float32(rng.normal(0, 0.2, shape)) for name, shape in shapes.items()
    }
    return trained.with_arrays(config, arrays, "the test")
