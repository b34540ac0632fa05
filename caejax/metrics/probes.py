"""Metrics that look into a convolutional model: at its decoder, and at its gradient."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from caejax.losses import loss_and_image
from caejax.metrics import checkerboard
from caejax.metrics.borders import clear_of_borders
from caejax.metrics.noise import corrupt_examples
from caejax.metrics.parts import fits
from caejax.metrics.subject import Output, Subject
from caejax.metrics.table import PERIODS, Metric, function_of, readings
from caejax.models.protocol import Autoencoder
from caejax.ops.images import as_float
from caejax.runtime.ahead import program

RIPPLE_IMAGES = 32
GRADIENT_IMAGES, GRADIENT_PIXELS = 200, 2**20  # at most, in all


def decoder_values(
    metrics: tuple[Metric, ...], model: Autoencoder, params: Any, images: jax.Array
) -> dict[str, float]:
    """Metrics of a decoder, on the codes of clean images.

    Args:
      metrics: the metrics that need a decoder, its linear output or its image. They
        call it outside of programs of their own.
      model: a convolutional autoencoder.
      params: the model's parameters.
      images: clean images (N, H, W, C); the first 32 are used.
    """
    code, responses, _ = _decoded(metrics, model, params, images)
    run = _compiled_decoder(metrics, Output(model.output_activation))
    with exact():
        values = run(code, responses)
    return {name: float(value) for name, value in values.items()}


def constant_responses(
    metrics: tuple[Metric, ...], model: Autoencoder, params: Any, images: jax.Array
) -> jax.Array:
    """`constant_response` for the longest period, by the program of `decoder_values`.

    Args:
      metrics: those of `decoder_values`.
      model: a convolutional autoencoder.
      params: the model's parameters.
      images: clean images (N, H, W, C); the first 32 are used.

    Returns:
      The linear images, (n, H', W', C).
    """
    return _decoded(metrics, model, params, images)[-1]


def _decoded(metrics, model, params, images):
    """Codes, what the metrics' decoders have made of theirs, and flat responses."""
    run = _compiled_responses(metrics, model.clone(dtype=jnp.float32))
    with exact():
        return run(params, as_float(images[:RIPPLE_IMAGES]))


def exact():
    """Full float32 precision: what is 1e-7 large must not drown in TF32."""
    return jax.default_matmul_precision("highest")


@functools.cache
def _compiled_responses(metrics, model):
    """The model's part of decoders' metrics: all else they compute is left out."""
    # However often it is called, a size is traced and compiled once.
    decode = jax.jit(
        lambda params, code: model.apply({"params": params}, code, method="decode")
    )
    output = Output(model.output_activation)

    def run(params, images):
        code = model.apply({"params": params}, images, method="encode")
        made = []

        clear = clear_of_borders(functools.partial(decode, params), model.stages)

        def linear(code):
            made.append(clear(code))
            return made[-1]

        _values(metrics, code, linear, output)
        flat = checkerboard.constant_response(clear, code, max(PERIODS))
        return code, made, flat

    return program(run)


@functools.cache
def _compiled_decoder(metrics, output):
    """The rest of them, the same for all models: calls are answered in their order."""

    def run(code, responses):
        found = iter(responses)
        return _values(metrics, code, lambda _: next(found), output)

    return program(run)


def _values(metrics, code, linear, output):
    decoders = {"decoder": linear}
    if output.activation != "linear":
        decoders["image"] = lambda code: output.to_image(linear(code))
    return {
        name: function_of(metric)(decoders[metric.needs], code, *period)
        for metric in metrics
        for name, period in readings(metric)
        if metric.needs in decoders
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
      images: clean images (N, H, W, C); the first 200 are used, fewer of large ones.
      key: the random key of the split's noise.
      level: the corruption's level.
    """
    pixels = images[0, ..., 0].size
    count = max(1, min(GRADIENT_IMAGES, GRADIENT_PIXELS // pixels))
    few = as_float(images[:count])
    run = _compiled_gradient(subject.model.clone(dtype=jnp.float32), subject.loss)
    with exact():
        noisy = _compiled_corruption(subject.corruption)(key, few, level)
        gradient = run(params, noisy, few, subject.model.told(level))
        values = _compiled_gradients(metrics)(gradient)
    return {name: float(value) for name, value in values.items()}


@functools.cache
def _compiled_corruption(corruption):
    def run(key, clean, level):
        index = jnp.arange(len(clean))
        return corrupt_examples(corruption, key, clean, index, level)

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
