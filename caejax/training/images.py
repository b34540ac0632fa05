"""The images of a run: held once, on the device where they fit."""

import contextlib
import functools
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from caejax import config as config_lib
from caejax import data
from caejax.errors import CaejaxError
from caejax.files.stamp import stamp
from caejax.training.recorded import (
    Recorded,
    are_at,
    by_part,
    located,
    origins_of,
    place_of,
    record,
)

Images = dict[str, jax.Array | np.ndarray]


class Loaded(NamedTuple):
    """A config's data.

    Attributes:
      images: the images by split, as `load_images` has them.
      recorded: what they were read from, and where.
    """

    images: Images
    recorded: Recorded


def load_images(config: ConfigDict, recorded: Recorded | None = None) -> Images:
    """Loads a config's data, or takes what an earlier run loaded.

    Args:
      config: the config.
      recorded: the data of the run whose data they are to be, if there is one: images
        are split as they were then, whatever has come into the folder since.

    Returns:
      The images by split, (N, H, W, C): uint8 where the source is, else float32 in
      [0, 1]; for `as_float`. A split of more than data.budget_mib stays on the host, a
      NumPy array.

    Raises:
      CaejaxError: the data cannot be read, or are not what was recorded.
    """
    return load_data(config, recorded).images


def load_data(
    config: ConfigDict, recorded: Recorded | None = None, within: Path = Path()
) -> Loaded:
    """Loads as `load_images` does, and says what was read.

    Args:
      config: as for `load_images`.
      recorded: as for `load_images`.
      within: the folder to which the relative paths of a new run are; by default the
        working directory.
    """
    named, config = config, located(config, recorded, within)
    place = place_of(config)
    load = functools.partial(
        _load_images, budget(config), stamp(place), **_settings(config)
    )
    if recorded is None:
        images, found = load()
        return Loaded(images, record(named, found, place))
    # Mostly all is as it was, and then these are the images that new runs share.
    with contextlib.suppress(CaejaxError):
        images, found = load()
        if origins_of(found) == recorded.origins:
            return Loaded(images, recorded._replace(place=place))
    images, found = load(recorded=recorded.origins)
    return Loaded(images, recorded._replace(place=place, note=found.note))


def budget(config: ConfigDict) -> float:
    """Bytes that a split may take on the device."""
    return config.data.budget_mib * 2**20


def data_of(config: ConfigDict, recorded: Recorded | None) -> Recorded | None:
    """A run's data where a config means them, to be measured on; None for others.

    Data elsewhere are the same if their contents are.

    Args:
      config: the config.
      recorded: the data that the run was trained on, if they are known.
    """
    if recorded is None or are_at(config, recorded):
        return recorded
    if recorded.source != config.data.source:
        return None
    try:
        load_data(config, recorded)
    except CaejaxError:
        return None
    return recorded


def load_split(
    config: ConfigDict, name: str, recorded: Recorded | None = None
) -> data.Split:
    """Loads one part of a config's data, "train", "val" or "test", with its labels.

    Args:
      config: the config.
      name: the part.
      recorded: as for `load_images`.

    Returns:
      Images (N, H, W, C) on the host, uint8 or float32 as in `load_images`.
    """
    settings = _settings(located(config, recorded))
    origins = by_part(recorded.origins) if recorded else None
    return getattr(data.load(**settings, keep_bytes=True, recorded=origins), name)


def load_dataset(config: ConfigDict) -> data.Dataset:
    """Loads all parts of a config's data on the host, float32 in [0, 1], and labels."""
    return data.load(**_settings(config))


def _settings(config):
    settings = config.data.to_dict() | {"image_size": config_lib.image_size(config)}
    settings["params"] = config_lib.choice(config, "data.source").params
    del settings["budget_mib"]
    return settings


# A sweep's runs mostly share their data; two sets are enough for axes over it. Files
# that have changed meanwhile have another stamp.
@functools.lru_cache(maxsize=2)
def _load_images(budget, stamp, *, recorded=(), **settings):
    """The images by split, and what was found without them."""
    del stamp
    origins = by_part(recorded) or None
    found = data.find(**settings, keep_bytes=True, recorded=origins)
    images = {name: getattr(found.dataset, name).images for name in data.PARTS}
    return {
        split: part if part.nbytes > budget else jnp.asarray(part)
        for split, part in images.items()
    }, found._replace(dataset=None)
