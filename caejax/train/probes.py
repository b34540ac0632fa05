"""Looks into convolutional models: ripple, gradients, and pictures of both."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from caejax.losses import loss_and_image
from caejax.metrics import checkerboard
from caejax.metrics.checkerboard import PERIODS
from caejax.metrics.phases import BORDER, phase_ratio_db
from caejax.models.autoencoders import Autoencoder
from caejax.ops.images import as_float
from caejax.runtime.compilation import quick_jit
from caejax.train.evaluation import corrupt_examples
from caejax.train.task import Task

RIPPLE_IMAGES = 32
GRADIENT_IMAGES = 200
GALLERY_SIDE = 32
SAMPLES = 8
GREYS = (0.0, 0.25, 0.5, 0.75, 1.0)
COLOURS = (
    (0.0, 0.0, 0.0),
    (0.5, 0.5, 0.5),
    (1.0, 1.0, 1.0),
    (1.0, 0.0, 0.0),
    (0.0, 1.0, 0.0),
    (0.0, 0.0, 1.0),
    (1.0, 0.0, 1.0),
)


def initial_figures(
    task: Task, params: Any, images: jax.Array, key: jax.Array, level: float
) -> dict[str, float]:
    """Checkerboards before any training, in each way that has a meaning then.

    Args:
      task: {} for a model that is not convolutional.
      params: as initialised.
      images: (N, H, W, C); the first few are used.
      key: of the split's noise.
      level: the corruption's.

    Returns:
      Of `dc_ripples` and `grad_phases`, and with _s2, _s4, _s8
      dc_ripple_relative_db and overlap_db, but no overlap_db for a decoder that
      resizes only; that of three stages counts as that of all the decoder has.
    """
    model = task.model
    if not model.convolutional:
        return {}
    return {
        **_ripples(model, params, images),
        **grad_phases(task, params, images, key, level),
        **_overlaps(model.stages[: len(PERIODS)], model.initializer),
    }


@functools.cache
def _overlaps(kinds, initializer):
    if not kinds:
        return {}
    powers = quick_jit(
        lambda: checkerboard.overlap_powers(kinds, initializer=initializer)
    )()
    powers += (len(PERIODS) - len(kinds)) * powers[-1:]
    return {
        f"overlap_db_s{s}": float(phase_ratio_db(power))
        for s, power in zip(PERIODS, powers, strict=True)
    }


def dc_ripples(model: Autoencoder, params: Any, images: jax.Array) -> dict[str, float]:
    """`dc_ripple_db` on the codes of clean images, for all periods.

    Args:
      model: a convolutional autoencoder; {} for any other.
      params: of the model.
      images: (N, H, W, C); the first 32 are used.

    Returns:
      dc_ripple_db_s2, _s4, _s8 of the decoder's linear output; where a sigmoid
      follows, also dc_ripple_image_db_s2, _s4, _s8 of what it leaves visible: on
      black or white it hides nearly all.
    """
    if not model.convolutional:
        return {}
    figures = _ripples(model, params, images)
    return {name: x for name, x in figures.items() if "relative" not in name}


def _ripples(model, params, images):
    run = _compiled_ripples(model.clone(dtype=jnp.float32))
    with _exact():
        figures = run(params, as_float(images[:RIPPLE_IMAGES]))
    return {name: float(value) for name, value in figures.items()}


def _exact():
    """What is 1e-7 large must not drown in TF32."""
    return jax.default_matmul_precision("highest")


@functools.cache
def _compiled_ripples(model):
    def run(params, images):
        code = model.apply({"params": params}, images, method="encode")

        def linear(code):
            return model.apply({"params": params}, code, method="decode")

        def image(code):
            return model.to_image(linear(code))

        measures = {
            "dc_ripple_db": (checkerboard.dc_ripple_db, linear),
            "dc_ripple_relative_db": (checkerboard.dc_ripple_relative_db, linear),
        }
        if model.output_activation != "linear":
            measures["dc_ripple_image_db"] = (checkerboard.dc_ripple_db, image)
        return {
            f"{name}_s{s}": measure(decode, code, s)
            for name, (measure, decode) in measures.items()
            for s in PERIODS
        }

    return quick_jit(run)


def grad_phases(
    task: Task, params: Any, images: jax.Array, key: jax.Array, level: float
) -> dict[str, float]:
    """`grad_phase_db` of the loss with respect to the corrupted input.

    Args:
      task: {} for a model that is not convolutional.
      params: of its model.
      images: (N, H, W, C); the first 200 are used.
      key: of the split's noise.
      level: the corruption's.

    Returns:
      grad_phase_db_s2, _s4, _s8; none whose period does not fit.
    """
    if not task.model.convolutional:
        return {}
    model = task.model.clone(dtype=jnp.float32)
    run = _compiled_gradients(model, task.loss, task.corruption)
    with _exact():
        figures = run(params, as_float(images[:GRADIENT_IMAGES]), key, level)
    return {name: float(value) for name, value in figures.items()}


@functools.cache
def _compiled_gradients(model, loss_name, corruption):
    def run(params, clean, key, level):
        index = jnp.arange(len(clean))
        noisy = corrupt_examples(corruption, key, clean, index, level)

        def total_loss(noisy):
            linear = model.apply({"params": params}, noisy)
            return loss_and_image(model, loss_name, linear, clean)[0].sum()

        gradient = jax.grad(total_loss)(noisy)
        return {
            f"grad_phase_db_s{s}": checkerboard.grad_phase_db(gradient, s)
            for s in PERIODS
            if min(clean.shape[1:3]) >= s + 2 * BORDER
        }

    return quick_jit(run)


def samples(
    task: Task, params: Any, images: jax.Array, key: jax.Array, level: float
) -> dict[str, np.ndarray]:
    """A few examples to draw, from all over a split, and constant codes.

    Returns:
      target, input and output, (n, H, W, C) in [0, 1]; for convolutional models
      also flat, (n, H', W', C): the linear output for each example's code averaged
      over space, which would be constant without checkerboards; and, if there is a
      size for it that the model keeps, gallery_input, gallery_output,
      gallery_ripple, (m, 32, 32, C): flat colours and gradients, what the model
      makes of them, and its linear output without the trend.
    """
    # Neighbours may be patches of one photograph.
    index = np.linspace(0, len(images) - 1, min(SAMPLES, len(images))).astype(int)
    images = as_float(images[index])
    run = _compiled_samples(task.model, task.corruption)
    arrays = run(params, images, index, key, level)
    if task.model.convolutional:
        run = _compiled_patterns(task.model.clone(dtype=jnp.float32))
        with _exact():
            arrays |= run(params, images)
    return {name: np.asarray(array) for name, array in arrays.items()}


@functools.cache
def _compiled_samples(model, corruption):
    def run(params, clean, index, key, level):
        noisy = corrupt_examples(corruption, key, clean, index, level)
        image = model.to_image(model.apply({"params": params}, noisy))
        return {"target": clean, "input": noisy, "output": jnp.clip(image, 0, 1)}

    return quick_jit(run)


@functools.cache
def _compiled_patterns(model):
    def run(params, images):
        variables = {"params": params}

        def decode(code):
            return model.apply(variables, code, method="decode")

        code = model.apply(variables, images, method="encode")
        flat = checkerboard.constant_response(decode, code, max(PERIODS))
        return {"flat": flat, **_gallery(model, variables)}

    return quick_jit(run)


def _gallery(model, variables):
    margin = _gallery_margin(model)
    if margin is None:
        return {}
    images = gallery_images(GALLERY_SIDE, margin, model.shape[-1])
    linear = model.apply(variables, images)
    inside = slice(margin, margin + GALLERY_SIDE)
    arrays = {
        "gallery_input": images,
        "gallery_output": jnp.clip(model.to_image(linear), 0, 1),
        "gallery_ripple": without_trend(linear, max(PERIODS)),
    }
    return {name: x[:, inside, inside] for name, x in arrays.items()}


def _gallery_margin(model):
    """Wide enough that borders are not seen, and such that the size is kept."""
    least = 6 * max(model.stride, max(PERIODS))
    for margin in range(least, least + model.stride):
        size = (GALLERY_SIDE + 2 * margin,) * 2
        if model.output_size(size) == size:
            return margin
    return None


def gallery_images(side: int, margin: int, channels: int) -> np.ndarray:
    """Flat colours and gradients, on which every deviation is an artifact.

    Args:
      side: of the part to be shown; the gradients run from 0 to 1 across it.
      margin: pixels around it that continue the outermost colours.
      channels: three give colours, any other number greys.

    Returns:
      (n, side + 2 * margin, side + 2 * margin, channels) float32 in [0, 1].
    """
    colours = COLOURS if channels == 3 else [(grey,) * channels for grey in GREYS]
    ramp = np.clip((np.arange(side + 2 * margin) - margin) / (side - 1), 0, 1)
    across, down = np.meshgrid(ramp, ramp)
    flat = [np.broadcast_to(colour, (*across.shape, channels)) for colour in colours]
    gradients = [
        np.repeat(shade[..., None], channels, axis=-1)
        for shade in (across, down, (across + down) / 2)
    ]
    return np.stack(flat + gradients).astype(np.float32)


def without_trend(x: jax.Array, period: int) -> jax.Array:
    """Takes away the moving average over one period, so that patterns remain.

    The window is one period wide and symmetric (half weights at its ends), so
    flat and linear trends vanish exactly and patterns of the period stay whole.

    Args:
      x: (B, H, W, C).
      period: S; the S/2 outermost pixels see a window filled up with copies.

    Returns:
      (B, H, W, C).
    """
    weights = np.ones(period + 1, np.float32)
    weights[[0, -1]] = 0.5
    smooth, half = x, period // 2
    for axis in (1, 2):
        width = [(0, 0)] * 4
        width[axis] = (half, half)
        padded = jnp.pad(smooth, width, mode="edge")
        shifts = [
            jax.lax.slice_in_dim(padded, i, i + x.shape[axis], axis=axis)
            for i in range(period + 1)
        ]
        smooth = sum(w * s for w, s in zip(weights / period, shifts, strict=True))
    return x - smooth
