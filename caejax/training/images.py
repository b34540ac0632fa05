"""The images of a run: held once, on the device where they fit."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from caejax import config as config_lib
from caejax import data

Images = dict[str, jax.Array | np.ndarray]


def load_images(config: ConfigDict) -> Images:
    """Loads a config's data, or takes what an earlier run loaded.

    Returns:
      The images by split, (N, H, W, C): uint8 where the source is, else float32 in
      [0, 1]; for `as_float`. A split of more than data.budget_mib stays on the host, a
      NumPy array.
    """
    return _load_images(budget(config), **_settings(config))


def budget(config: ConfigDict) -> float:
    """Bytes that a split may take on the device."""
    return config.data.budget_mib * 2**20


def load_split(config: ConfigDict, name: str) -> data.Split:
    """Loads one part of a config's data, "train", "val" or "test", with its labels.

    Returns:
      Images (N, H, W, C) on the host, uint8 or float32 as in `load_images`.
    """
    return getattr(data.load(**_settings(config), keep_bytes=True), name)


def load_dataset(config: ConfigDict) -> data.Dataset:
    """Loads all parts of a config's data on the host, float32 in [0, 1], and labels."""
    return data.load(**_settings(config))


def _settings(config):
    settings = config.data.to_dict() | {"image_size": config_lib.image_size(config)}
    settings["params"] = config_lib.choice(config, "data.source").params
    del settings["budget_mib"]
    return settings


# A sweep's runs mostly share their data; two sets are enough for axes over it.
@functools.lru_cache(maxsize=2)
def _load_images(budget, **settings):
    dataset = data.load(**settings, keep_bytes=True)
    images = {split: part.images for split, part in dataset._asdict().items()}
    return {
        split: part if part.nbytes > budget else jnp.asarray(part)
        for split, part in images.items()
    }
