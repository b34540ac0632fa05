"""Pictures of a model: examples, its response to constants, and a gallery."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from caejax.metrics import evaluator, probes
from caejax.metrics.phases import without_trend
from caejax.metrics.probes import exact
from caejax.metrics.subject import Output, Subject
from caejax.metrics.table import PERIODS
from caejax.runtime.ahead import program
from caejax.runtime.devices import on_one_device

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


def samples(
    subject: Subject, params: Any, images: jax.Array, key: jax.Array, level: float
) -> dict[str, np.ndarray]:
    """A few examples to draw, from all over a split, and constant codes.

    Args:
      subject: the model and its corruption.
      params: the model's parameters.
      images: the split's images, (N, H, W, C).
      key: the random key of the split's noise.
      level: the corruption's level.

    Returns:
      Arrays by name: target, input and output, (n, H, W, C) in [0, 1]; for
      convolutional models also flat, (n, H', W', C): the linear output for each
      example's code averaged over space, which would be constant without
      checkerboards; and, if there is a size for it that the model keeps,
      gallery_input, gallery_output, gallery_ripple, (m, 32, 32, C): flat colours and
      gradients, what the model makes of them, and its linear output without the
      trend.
    """
    index, model = sample_indices(len(images)), subject.model
    arrays = examples(subject, params, images, key, level, index)
    if model.convolutional:
        params = on_one_device(params)
        flat = probes.constant_responses(model, params, images[index])
        arrays |= {"flat": flat, **_gallery(model, params)}
    return {name: np.asarray(array) for name, array in arrays.items()}


def examples(
    subject: Subject,
    params: Any,
    images: jax.Array,
    key: jax.Array,
    level: float,
    index: np.ndarray,
) -> dict[str, np.ndarray]:
    """The target, input and output of `samples`, for images of these numbers."""
    clean, noisy, linear = evaluator.outputs(subject, params, images, index, key, level)
    image = np.clip(subject.model.to_image(linear), 0, 1)
    arrays = {"target": clean, "input": noisy, "output": image}
    return {name: np.asarray(array) for name, array in arrays.items()}


def sample_indices(count: int) -> np.ndarray:
    """Places of the examples that are drawn, from all over a split of so many images.

    Neighbours may be patches of one photograph.
    """
    return np.linspace(0, count - 1, min(SAMPLES, count)).astype(int)


def _gallery(model, params):
    margin = _gallery_margin(model)
    if margin is None:
        return {}
    images = gallery_images(GALLERY_SIDE, margin, model.shape[-1])
    run = _compiled_model(model.clone(dtype=jnp.float32))
    output = Output(model.output_activation)
    with exact():
        return _compiled_gallery(output, margin)(images, run(params, images))


@functools.cache
def _compiled_model(model):
    return program(lambda params, images: model.apply({"params": params}, images))


@functools.cache
def _compiled_gallery(output, margin):
    inside = slice(margin, margin + GALLERY_SIDE)

    def run(images, linear):
        arrays = {
            "gallery_input": images,
            "gallery_output": jnp.clip(output.to_image(linear), 0, 1),
            "gallery_ripple": without_trend(linear, max(PERIODS)),
        }
        return {name: x[:, inside, inside] for name, x in arrays.items()}

    return program(run)


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
      side: side of the part to be shown, in pixels; the gradients run from 0 to 1
        across it.
      margin: number of pixels around it that continue the outermost colours.
      channels: number of channels; three give colours, any other number greys.

    Returns:
      The images, (n, side + 2 * margin, side + 2 * margin, channels), float32 in
      [0, 1].
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
