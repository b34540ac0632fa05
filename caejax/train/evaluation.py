"""What is measured on a trained model: quality on a split, and checkerboards."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from caejax.corruptions import CORRUPTIONS
from caejax.metrics import checkerboard, quality
from caejax.metrics.checkerboard import PERIODS
from caejax.train.step import loss_and_image
from caejax.train.task import Task

BATCH = 200
RIPPLE_IMAGES = 32


def corrupt_examples(
    corruption: str, key: jax.Array, images: jax.Array, first: int, level: float
) -> jax.Array:
    """Corrupts each example with a key of its own, folded from its index.

    So the result for an example is the same in any batch and for every model.

    Args:
      corruption: a name of `CORRUPTIONS`.
      key: of the split's noise.
      images: (B, H, W, C), examples first, first + 1, ...
      first: index of the first example in its split.
      level: the corruption's.
    """
    corrupt = CORRUPTIONS[corruption]

    def one(index, image):
        own = jax.random.fold_in(key, index)
        return corrupt(own, image[None], level=level)[0]

    return jax.vmap(one)(first + jnp.arange(len(images)), images)


def evaluate(
    task: Task, params: Any, images: jax.Array, key: jax.Array, level: float
) -> dict[str, float]:
    """Mean metrics over a split.

    Args:
      task: model, loss and corruption.
      params: of the model.
      images: (N, H, W, C) in [0, 1].
      key: of the split's noise.
      level: the corruption's.

    Returns:
      loss, mse, bce, psnr, ssim; psnr_noisy and ssim_noisy of the corrupted input
      itself; lattice_peak_db_s2, _s4, _s8. No ssim below 11 pixels a side, no
      lattice peak below two periods.
    """
    run, total = _compiled_evaluation(task.model, task.loss, task.corruption), None
    for first in range(0, len(images), BATCH):
        batch = images[first : first + BATCH]
        used = len(batch)
        batch = jnp.pad(batch, ((0, BATCH - used), (0, 0), (0, 0), (0, 0)))
        sums = run(params, batch, used, key, first, level)
        total = sums if total is None else jax.tree.map(jnp.add, total, sums)
    means = jax.tree.map(lambda x: x / len(images), total)
    spectra = means.pop("spectra")
    peaks = {
        f"lattice_peak_db_s{s}": checkerboard.peak_db(spectrum, s)
        for s, spectrum in spectra.items()
    }
    return {name: float(value) for name, value in (means | peaks).items()}


@functools.cache
def _compiled_evaluation(model, loss_name, corruption):
    def run(params, clean, used, key, first, level):
        noisy = corrupt_examples(corruption, key, clean, first, level)
        linear = model.apply({"params": params}, noisy)
        loss, image = loss_and_image(model, loss_name, linear, clean)
        output = jnp.clip(image, 0, 1)
        values = {
            "loss": loss,
            "mse": quality.mse(output, clean),
            "bce": quality.bce(output, clean),
            "psnr": quality.psnr(output, clean),
            "psnr_noisy": quality.psnr(noisy, clean),
        }
        if min(clean.shape[1:3]) >= quality.WINDOW:
            values["ssim"] = quality.ssim(output, clean)
            values["ssim_noisy"] = quality.ssim(noisy, clean)
        values["spectra"] = {
            s: checkerboard.residual_spectrum(output, clean, s)
            for s in PERIODS
            if min(clean.shape[1:3]) >= 2 * s
        }
        mask = jnp.arange(len(clean)) < used
        return jax.tree.map(lambda x: jnp.tensordot(mask.astype(x.dtype), x, 1), values)

    return jax.jit(run)


def has_lattice(model: nn.Module) -> bool:
    """Whether the model's decoder can draw checkerboards at all."""
    return hasattr(model, "upsampling")


def dc_ripples(model: nn.Module, params: Any, images: jax.Array) -> dict[str, float]:
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
    if not has_lattice(model):
        return {}
    run = _compiled_ripples(model.clone(dtype=jnp.float32))
    with _exact():
        figures = run(params, images[:RIPPLE_IMAGES])
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

        outputs = {"dc_ripple_db": linear}
        if model.output_activation != "linear":
            outputs["dc_ripple_image_db"] = image
        return {
            f"{name}_s{s}": checkerboard.dc_ripple_db(decode, code, s)
            for name, decode in outputs.items()
            for s in PERIODS
        }

    return jax.jit(run)


def samples(
    task: Task, params: Any, images: jax.Array, key: jax.Array, level: float
) -> dict[str, np.ndarray]:
    """A few examples to draw: first images of a split, and a constant code.

    Returns:
      target, input and output, (n, H, W, C) in [0, 1]; for convolutional models
      also flat, (n, H', W', C): the linear output for each example's code averaged
      over space, which would be constant without checkerboards.
    """
    clean = images[:8]
    noisy = corrupt_examples(task.corruption, key, clean, 0, level)
    model, variables = task.model, {"params": params}
    arrays = {
        "target": clean,
        "input": noisy,
        "output": jnp.clip(model.to_image(model.apply(variables, noisy)), 0, 1),
    }
    if has_lattice(model):
        with _exact():
            arrays["flat"] = _flat(model.clone(dtype=jnp.float32), variables, clean)
    return {name: np.asarray(array) for name, array in arrays.items()}


def _flat(model, variables, images):
    def decode(code):
        return model.apply(variables, code, method="decode")

    code = model.apply(variables, images, method="encode")
    return checkerboard.constant_response(decode, code, max(PERIODS))
