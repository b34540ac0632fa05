"""Metrics that look into a convolutional model: at its decoder, and at its gradient."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from caejax.losses import loss_and_image
from caejax.metrics.noise import corrupt_examples
from caejax.metrics.parts import fits
from caejax.metrics.responses import responses
from caejax.metrics.subject import Subject
from caejax.metrics.table import PERIODS, Metric, finish_of, function_of, readings
from caejax.models.protocol import Autoencoder
from caejax.ops.images import as_float
from caejax.runtime.compilation import quick_jit

PROBE_IMAGES = 512  # spread over the split: neighbours may be of one photograph
CURVE_IMAGES = 128  # along training, where a curve is drawn
AT_A_TIME = 32  # images, of which large maps are decoded
GRADIENT_IMAGES = 200

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
) -> Each:
    """What metrics of a decoder find of the codes of clean images, for `finished`.

    Args:
      metrics: the metrics that need a decoder, its linear output or its image.
      model: a convolutional autoencoder.
      params: the model's parameters.
      images: clean images (N, H, W, C).
      most: how many of them are used, or all where there are fewer; see `spread`.
    """
    run = _compiled_decoder(metrics, model.clone(dtype=jnp.float32))
    index = spread(len(images), most)
    return _each(functools.partial(run, params), images, index)


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
    run = _compiled_model(metrics, subject._replace(loss=None, chunk=0))

    def values(images, index):
        return run(params, images, index, key, level)

    return _each(values, images, spread(len(images)), indexed=True)


def _each(values, images, index, *, indexed=False):
    """What a function finds of chosen images, a value each.

    All calls have one shape, so that one program serves every split; what it finds of
    the zeros that the last one is filled up with is dropped.
    """
    chosen, parts = np.asarray(images[index]), []
    with exact():
        for first in range(0, len(chosen), AT_A_TIME):
            batch = chosen[first : first + AT_A_TIME]
            missing = AT_A_TIME - len(batch)
            batch = np.pad(batch, ((0, missing), (0, 0), (0, 0), (0, 0)))
            where = [np.pad(index[first:][:AT_A_TIME], (0, missing))] if indexed else []
            parts.append(values(batch, *where))
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
def _compiled_decoder(metrics, model):
    def run(params, images):
        images = as_float(images)
        code = model.apply({"params": params}, images, method="encode")

        def decode(code):
            return model.apply({"params": params}, code, method="decode")

        linear = responses(decode, code, max(PERIODS))

        def behind(function):
            return linear._replace(
                flat=function(linear.flat), ramp=function(linear.ramp)
            )

        seen = {
            "decoder": linear,
            "shown": behind(lambda x: jnp.clip(model.to_image(x), 0, 1)),
        }
        if model.output_activation != "linear":
            seen["image"] = behind(model.to_image)
        values = {
            name: function_of(metric)(seen[metric.needs], *period)
            for metric in metrics
            for name, period in readings(metric)
            if metric.needs in seen
        }
        return values

    return quick_jit(run)


@functools.cache
def _compiled_model(metrics, subject):
    model = subject.model.clone(dtype=jnp.float32)

    def run(params, clean, index, key, level):
        clean = as_float(clean)
        noisy = corrupt_examples(subject.corruption, key, clean, index, level)

        def restore(images):
            linear = model.apply({"params": params}, images)
            return jnp.clip(model.to_image(linear), 0, 1)

        values = {
            name: function_of(metric)(restore, noisy, *period)
            for metric in metrics
            for name, period in readings(metric)
        }
        return values

    return quick_jit(run)


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
      images: clean images (N, H, W, C); the first 200 are used.
      key: the random key of the split's noise.
      level: the corruption's level.
    """
    model = subject.model.clone(dtype=jnp.float32)
    run = _compiled_gradients(metrics, model, subject.loss, subject.corruption)
    with exact():
        values = run(params, as_float(images[:GRADIENT_IMAGES]), key, level)
    return {name: float(value) for name, value in values.items()}


@functools.cache
def _compiled_gradients(metrics, model, loss, corruption):
    def run(params, clean, key, level):
        index = jnp.arange(len(clean))
        noisy = corrupt_examples(corruption, key, clean, index, level)

        def total_loss(noisy):
            linear = model.apply({"params": params}, noisy)
            return loss_and_image(model, loss, linear, clean)[0].sum()

        gradient = jax.grad(total_loss)(noisy)
        return {
            name: function_of(metric)(gradient, *period)
            for metric in metrics
            for name, period in readings(metric)
            if fits(metric.room, clean.shape[1:3], *period)
        }

    return quick_jit(run)
