"""Pictures of a model: examples, its response to constants, and a gallery."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from caejax.metrics.noise import corrupt_examples
from caejax.metrics.phases import without_trend
from caejax.metrics.probes import exact
from caejax.metrics.responses import constant_response
from caejax.metrics.subject import Subject
from caejax.metrics.table import PERIODS
from caejax.ops.images import as_float
from caejax.runtime.compilation import quick_jit
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
    params = on_one_device(params)
    # Neighbours may be patches of one photograph.
    index = np.linspace(0, len(images) - 1, min(SAMPLES, len(images))).astype(int)
    images = as_float(images[index])
    run = _compiled_samples(subject.model, subject.corruption)
    arrays = run(params, images, index, key, level)
    if subject.model.convolutional:
        run = _compiled_patterns(subject.model.clone(dtype=jnp.float32))
        with exact():
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
        flat = constant_response(decode, code, max(PERIODS))
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
