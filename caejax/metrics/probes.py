"""Metrics that look into a convolutional model: at its decoder, and at its gradient."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from caejax.losses import loss_and_image
from caejax.metrics.noise import corrupt_examples
from caejax.metrics.parts import fits
from caejax.metrics.subject import Subject
from caejax.metrics.table import Metric, function_of, readings
from caejax.models.protocol import Autoencoder
from caejax.ops.images import as_float
from caejax.runtime.compilation import quick_jit

RIPPLE_IMAGES = 32
GRADIENT_IMAGES, GRADIENT_PIXELS = 200, 2**20  # at most, in all


def decoder_values(
    metrics: tuple[Metric, ...], model: Autoencoder, params: Any, images: jax.Array
) -> dict[str, float]:
    """Metrics of a decoder, on the codes of clean images.

    Args:
      metrics: the metrics that need a decoder, its linear output or its image.
      model: a convolutional autoencoder.
      params: the model's parameters.
      images: clean images (N, H, W, C); the first 32 are used.
    """
    run = _compiled_decoder(metrics, model.clone(dtype=jnp.float32))
    with exact():
        values = run(params, as_float(images[:RIPPLE_IMAGES]))
    return {name: float(value) for name, value in values.items()}


def exact():
    """Full float32 precision: what is 1e-7 large must not drown in TF32."""
    return jax.default_matmul_precision("highest")


@functools.cache
def _compiled_decoder(metrics, model):
    def run(params, images):
        code = model.apply({"params": params}, images, method="encode")

        def linear(code):
            return model.apply({"params": params}, code, method="decode")

        def image(code):
            return model.to_image(linear(code))

        decoders = {"decoder": linear}
        if model.output_activation != "linear":
            decoders["image"] = image
        return {
            name: function_of(metric)(decoders[metric.needs], code, *period)
            for metric in metrics
            for name, period in readings(metric)
            if metric.needs in decoders
        }

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
      images: clean images (N, H, W, C); the first 200 are used, fewer of large ones.
      key: the random key of the split's noise.
      level: the corruption's level.
    """
    model = subject.model.clone(dtype=jnp.float32)
    run = _compiled_gradients(metrics, model, subject.loss, subject.corruption)
    pixels = images[0, ..., 0].size
    count = max(1, min(GRADIENT_IMAGES, GRADIENT_PIXELS // pixels))
    with exact():
        values = run(params, as_float(images[:count]), key, level)
    return {name: float(value) for name, value in values.items()}


@functools.cache
def _compiled_gradients(metrics, model, loss, corruption):
    def run(params, clean, key, level):
        index = jnp.arange(len(clean))
        noisy = corrupt_examples(corruption, key, clean, index, level)

        def total_loss(noisy):
            linear = model.apply({"params": params}, noisy, *model.told(level))
            return loss_and_image(model, loss, linear, clean)[0].sum()

        gradient = jax.grad(total_loss)(noisy)
        return {
            name: function_of(metric)(gradient, *period)
            for metric in metrics
            for name, period in readings(metric)
            if fits(metric.room, clean.shape[1:3], *period)
        }

    return quick_jit(run)
