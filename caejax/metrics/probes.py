"""Metrics that look into a convolutional model: at its decoder, and at its gradient.

Each is two programs: the model's part, and the metrics', the same for many models.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from caejax.losses import loss_and_image
from caejax.metrics.borders import clear_of_borders
from caejax.metrics.noise import corrupt_examples
from caejax.metrics.parts import fits
from caejax.metrics.responses import RISE, flat_inside, response
from caejax.metrics.subject import Output, Subject
from caejax.metrics.table import PERIODS, Metric, finish_of, function_of, readings
from caejax.models.protocol import Autoencoder
from caejax.ops.images import as_float
from caejax.runtime import stopping
from caejax.runtime.ahead import program

PROBE_IMAGES = 512  # spread over the split: neighbours may be of one photograph
CURVE_IMAGES = 128  # along training, where a curve is drawn
AT_A_TIME = 32  # images, of which large maps are decoded
GRADIENT_IMAGES, GRADIENT_PIXELS = 200, 2**20  # at most, in all

# By column what a metric's function has found of single images: trees of (n,) arrays.
Each = dict[str, Any]


def spread(count: int, most: int = PROBE_IMAGES) -> np.ndarray:
    """Indices of at most so many images, evenly over a split from first to last.

    They depend on nothing else, so that all models are looked at with the same images.
    """
    chosen = min(count, most)
    return np.arange(chosen) * (count - 1) // max(1, chosen - 1)


def decoder_values(
    metrics: tuple[Metric, ...],
    model: Autoencoder,
    params: Any,
    images: jax.Array,
    most: int = PROBE_IMAGES,
    *,
    ramps: bool = True,
) -> Each:
    """What metrics of a decoder find of the codes of clean images, for `finished`.

    Args:
      metrics: the metrics that need a decoder: its linear output, also to ramps, or
        its image.
      model: a convolutional autoencoder.
      params: the model's parameters.
      images: clean images (N, H, W, C).
      most: how many of them are used, or all where there are fewer; see `spread`.
      ramps: whether metrics of ramps are wanted, which take as much time again.
    """
    respond = _compiled_responses(model.clone(dtype=jnp.float32))
    judge = _compiled_decoder(metrics, Output(model.output_activation))
    index = spread(len(images), most)

    def values(images, _):
        found = respond(params, images, np.float32(0))
        if ramps:
            rising = respond(params, images, np.float32(RISE))
            found = dataclasses.replace(found, ramp=rising.flat)
        return judge(found)

    return _each(values, images, index)


def constant_responses(model: Autoencoder, params: Any, images: jax.Array) -> Any:
    """`constant_response` for the longest period, by the program of `decoder_values`.

    Args:
      model: a convolutional autoencoder.
      params: the model's parameters.
      images: clean images (n, H, W, C).

    Returns:
      The linear images, (n, H', W', C).
    """
    respond = _compiled_responses(model.clone(dtype=jnp.float32))

    def flat(images, _):
        # On the host: a program for this alone would be one more for each model.
        found = jax.device_get(respond(params, images, np.float32(0)))
        return flat_inside(found, max(PERIODS))

    return _each(flat, images, np.arange(len(images)))


def model_values(
    metrics: tuple[Metric, ...],
    subject: Subject,
    params: Any,
    images: jax.Array,
    key: jax.Array,
    level: float,
) -> Each:
    """What metrics find of a model on corrupted images, for `finished`.

    Args:
      metrics: the metrics that need a model; left out where images have no room.
      subject: the model, its loss and its corruption.
      params: the model's parameters.
      images: clean images (N, H, W, C); 512 are used, or all where there are fewer.
      key: the random key of the split's noise.
      level: the corruption's level.
    """
    metrics = tuple(m for m in metrics if fits(m.room, images.shape[1:3]))
    if not metrics:
        return {}
    model = subject.model
    corrupted = _compiled_corruption(subject.corruption)
    restored = _compiled_restored(metrics, model.clone(dtype=jnp.float32))
    judge = _compiled_restorations(metrics)

    def values(images, index):
        noisy = corrupted(key, images, index, level)
        return judge(noisy, restored(params, noisy, model.told(level)))

    return _each(values, images, spread(len(images)))


def _each(values, images, index):
    """What a function of images and their indices finds of chosen ones, a value each.

    All calls have one shape, so that one program serves every split; what it finds of
    the zeros that the last one is filled up with is dropped.
    """
    chosen, parts = np.asarray(images[index]), []
    with exact():
        for first in range(0, len(chosen), AT_A_TIME):
            stopping.check()
            batch = chosen[first : first + AT_A_TIME]
            missing = AT_A_TIME - len(batch)
            batch = np.pad(batch, ((0, missing), (0, 0), (0, 0), (0, 0)))
            where = np.pad(index[first : first + AT_A_TIME], (0, missing))
            parts.append(values(batch, where.astype(np.int32)))
    parts = jax.device_get(parts)
    return jax.tree.map(lambda *x: np.concatenate(x)[: len(chosen)], *parts)


def finished(metrics: tuple[Metric, ...], each: Each) -> dict[str, float]:
    """The values of metrics, by column, from those of single images."""
    means = {
        name: jax.tree.map(lambda x: np.mean(x, dtype=np.float64), x)
        for name, x in each.items()
    }
    return {
        name: float(finish_of(metric)(means[name]))
        for metric in metrics
        for name, _ in readings(metric)
        if name in means
    }


def exact():
    """Full float32 precision: what is 1e-7 large must not drown in TF32."""
    return jax.default_matmul_precision("highest")


@functools.cache
def _compiled_responses(model):
    """The model's part of decoders' metrics, the same for flat and rising codes."""
    # However often it is called, a size is traced and compiled once.
    decode = jax.jit(
        lambda params, code: model.apply({"params": params}, code, method="decode")
    )

    def run(params, images, rise):
        variables = {"params": params}
        code = model.apply(variables, as_float(images), method="encode")
        clear = clear_of_borders(functools.partial(decode, params), model.stages)
        return response(clear, code, max(PERIODS), rise)

    return program(run)


@functools.cache
def _compiled_decoder(metrics, output):
    """The rest of them, the same for all models of a scale."""

    def run(linear):
        seen = {
            "decoder": linear,
            "shown": linear.behind(lambda x: jnp.clip(output.to_image(x), 0, 1)),
        }
        if linear.ramp is not None:
            seen["ramps"] = linear
        if output.activation != "linear":
            seen["image"] = linear.behind(output.to_image)
        return {
            name: function_of(metric)(seen[metric.needs], *period)
            for metric in metrics
            for name, period in readings(metric)
            if metric.needs in seen
        }

    return program(run)


@functools.cache
def _compiled_restored(metrics, model):
    """What a model answers metrics: all else that they compute is left out."""

    def run(params, noisy, told):
        made = []

        @jax.jit
        def image(images):
            linear = model.apply({"params": params}, images, *told)
            return jnp.clip(model.to_image(linear), 0, 1)

        def restore(images):
            made.append(image(images))
            return made[-1]

        _restorations(metrics, restore, noisy)
        return made

    return program(run)


@functools.cache
def _compiled_restorations(metrics):
    """The rest of them, the same for all models: calls are answered in their order."""

    def run(noisy, made):
        found = iter(made)
        return _restorations(metrics, lambda _: next(found), noisy)

    return program(run)


def _restorations(metrics, restore, noisy):
    return {
        name: function_of(metric)(restore, noisy, *period)
        for metric in metrics
        for name, period in readings(metric)
    }


def gradient_values(
    metrics: tuple[Metric, ...],
    subject: Subject,
    params: Any,
    images: jax.Array,
    key: jax.Array,
    level: float,
) -> dict[str, float]:
    """Metrics of the loss's gradient with respect to the corrupted input.

    Args:
      metrics: the metrics that need a gradient; left out where a period does not
        fit.
      subject: the model, its loss and its corruption.
      params: the model's parameters.
      images: clean images (N, H, W, C); 200 are used, or all where there are fewer,
        and fewer of large ones; see `spread`.
      key: the random key of the split's noise.
      level: the corruption's level.
    """
    pixels = images[0, ..., 0].size
    count = max(1, min(GRADIENT_IMAGES, GRADIENT_PIXELS // pixels))
    index = spread(len(images), count).astype(np.int32)
    few = as_float(images[index])
    run = _compiled_gradient(subject.model.clone(dtype=jnp.float32), subject.loss)
    with exact():
        noisy = _compiled_corruption(subject.corruption)(key, few, index, level)
        gradient = run(params, noisy, few, subject.model.told(level))
        values = _compiled_gradients(metrics)(gradient)
    return {name: float(value) for name, value in values.items()}


@functools.cache
def _compiled_corruption(corruption):
    def run(key, clean, index, level):
        return corrupt_examples(corruption, key, as_float(clean), index, level)

    return program(run)


@functools.cache
def _compiled_gradient(model, loss):
    def run(params, noisy, clean, told):
        def total_loss(noisy):
            linear = model.apply({"params": params}, noisy, *told)
            return loss_and_image(model, loss, linear, clean)[0].sum()

        return jax.grad(total_loss)(noisy)

    return program(run)


@functools.cache
def _compiled_gradients(metrics):
    def run(gradient):
        return {
            name: function_of(metric)(gradient, *period)
            for metric in metrics
            for name, period in readings(metric)
            if fits(metric.room, gradient.shape[1:3], *period)
        }

    return program(run)
