"""A trained model and its compiled functions, images and codes in batches."""

import functools
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.errors import FlaxError
from ml_collections import ConfigDict

from caejax import weights
from caejax.errors import CaejaxError, did_you_mean
from caejax.files import safetensors
from caejax.files.paths import Written, expand
from caejax.metrics.noise import compiled_corruption, noise_key
from caejax.models.named import from_arrays
from caejax.ops.images import as_float
from caejax.runtime.compilation import quick_jit
from caejax.training import recorded
from caejax.training.recorded import Recorded
from caejax.training.restore import config_in, restore, trained_config
from caejax.training.task import corruption_from_config, model_from_config

BATCH = 256

Function = Callable[..., jax.Array]


class Trained(NamedTuple):
    """A run's trained model.

    Attributes:
      config: The config of the run.
      model: The Linen module.
      params: The module's parameters; their average where the run kept one.
      data: What the run was trained on, if it is known.
    """

    config: ConfigDict
    model: nn.Module
    params: Any
    data: Recorded | None = None


def load(workdir: Written) -> Trained:
    """Reads the trained model of a run's folder.

    Raises:
      CaejaxError: the folder holds no trained model.
    """
    workdir = expand(workdir, "the run")
    config = trained_config(workdir)
    params = restore(workdir, config).eval_params
    model = model_from_config(config)
    return Trained(config, model, params, recorded.read(workdir))


def find(run_or_name: str | os.PathLike[str]) -> Trained:
    """Reads a model by the folder of its run, its file, or its name if it ships.

    A folder or a file of that name is before a shipped model.

    Raises:
      CaejaxError: there is none.
    """
    path = expand(run_or_name, "the run")
    if path.is_dir():
        return load(path)
    if path.is_file() and path.suffix == safetensors.SUFFIX:
        return load_file(path)
    if weights.is_meant(run_or_name, path):
        return load_file(weights.find(str(run_or_name)))
    if path.exists():
        raise CaejaxError(
            f"{path} is a file, and of files only those of caejax export "
            "--format=safetensors are loaded, weights of PyTorch by caejax.from_torch; "
            f"name {weights.models()}"
        )
    near = did_you_mean(run_or_name, weights.shipped().values())
    raise CaejaxError(
        f"{str(run_or_name)!r} is no model: the folder {path.absolute()} does not "
        f"exist, and none of that name ships with caejax{near}; name {weights.models()}"
    )


def load_file(path: Written) -> Trained:
    """Reads a model from a safetensors file, as `caejax export` writes it.

    Raises:
      CaejaxError: the file is damaged, or holds no model of caejax's.
    """
    path = expand(path, "the model's file")
    arrays, texts = safetensors.read(path)
    config = config_in(texts, path)
    if config is None:
        raise CaejaxError(
            f"{path} has no config in its header, so it is no model of caejax's; "
            "weights of PyTorch are taken by caejax.from_torch"
        )
    return with_arrays(config, arrays, str(path))


def with_arrays(
    config: ConfigDict, arrays: Mapping[str, np.ndarray], whose: str
) -> Trained:
    """A config's model with parameters given by name.

    Args:
      config: The config.
      arrays: The parameters by the names of `named_shapes`.
      whose: Where they are from, for errors.

    Raises:
      CaejaxError: they are not those of the model.
    """
    model = model_from_config(config)
    return Trained(config, model, from_arrays(model, arrays, whose))


def reconstruct(trained: Trained) -> Function:
    """Images (B, H, W, C), uint8 or float, to the model's, float32 in [0, 1].

    Those for a model with a noise map have it as their last channel, C + 1 in all.
    """
    return functools.partial(_compiled(trained.model, "__call__"), trained.params)


def encode(trained: Trained) -> Function:
    """Images (B, H, W, C), uint8 or float, to codes (B, ...)."""
    return functools.partial(_compiled(trained.model, "encode"), trained.params)


def decode(trained: Trained) -> Function:
    """Codes (B, ...) to images (B, H, W, C) in [0, 1]."""
    return functools.partial(_compiled(trained.model, "decode"), trained.params)


@functools.cache
def _compiled(model, method):
    def run(params, x):
        x, told = as_float(x), ()
        if model.noise_map and x.shape[-1] > model.shape[-1]:
            # The same at every pixel, so any will do.
            x, told = x[..., :-1], model.told(x[:, 0, 0, -1])
        y = model.apply({"params": params}, x, *told, method=method)
        return y if method == "encode" else visible(model, y)

    return quick_jit(run)


def visible(model: nn.Module, linear: jax.Array) -> jax.Array:
    """What a model decodes as an image in [0, 1]."""
    return jnp.clip(model.to_image(linear), 0, 1)


def interpolate(trained: Trained, weights: tuple[float, ...]) -> Function:
    """Pairs of images to what lies between their codes.

    The function takes (B, H, W, 2C), the second image's channels behind the
    first's, and returns (B, H, W, TC): for each weight t in turn the decoded code
    (1 - t) a + t b.
    """
    sizeless = bool(trained.config.train.crop_size)
    run = _compiled_interpolation(trained.model, weights, sizeless)
    return functools.partial(run, trained.params)


@functools.cache
def _compiled_interpolation(model, weights, sizeless):
    def run(params, pairs):
        variables = {"params": params}
        # A code does not say where in its last stride the images end.
        shape = (*pairs.shape[1:3], model.shape[-1])
        own = model.clone(shape=shape) if sizeless else model
        a, b = (
            own.apply(variables, images, method="encode")
            for images in jnp.split(pairs, 2, axis=-1)
        )
        between = [
            own.apply(variables, (1 - t) * a + t * b, method="decode") for t in weights
        ]
        return jnp.concatenate([visible(model, x) for x in between], axis=-1)

    return quick_jit(run)


def corrupt(trained: Trained, split: str) -> Function:
    """Images (B, H, W, C) of a split and their indices (B,) to the corrupted ones.

    The noise is the one that the run was measured with.
    """
    config = trained.config
    key = noise_key(config.seed, split)
    run = compiled_corruption(corruption_from_config(config))
    return lambda images, indices: run(key, images, indices, config.corruption.level)


def takes_side(trained: Trained, side: int) -> bool:
    """Whether the model works on images of side x side, as a convolution does."""
    if trained.config.train.crop_size:
        return True  # it fills up what its stride does not divide

    def run(params, images):
        model, variables = trained.model, {"params": params}
        code = model.apply(variables, images, method="encode")
        return model.apply(variables, code, method="decode")

    images = jnp.zeros((1, side, side, trained.model.shape[-1]))
    try:
        return jax.eval_shape(run, trained.params, images).shape == images.shape
    except (FlaxError, TypeError, ValueError):  # what other sizes raise
        return False


def in_batches(
    function: Function,
    *streams: Iterable[np.ndarray],
    size: int = BATCH,
    advance: Callable[[int], None] = lambda count: None,
) -> Iterator[np.ndarray]:
    """Applies a function of batches to items, always to equally many at a time.

    Args:
      function: Takes the stacked items of a batch, an array a stream, and returns
        one output an item.
      *streams: Equally many items each. The last batch is filled up with copies.
      size: The number of items in a batch.
      advance: Is told how many items are done, after each batch.

    Yields:
      The output of every item.
    """
    items = zip(*streams, strict=True)
    while batch := list(itertools.islice(items, size)):
        filled = batch + batch[-1:] * (size - len(batch))
        stacked = [np.stack(parts) for parts in zip(*filled, strict=True)]
        outputs = np.asarray(function(*stacked))
        advance(len(batch))
        yield from outputs[: len(batch)]
