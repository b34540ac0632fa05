"""What is measured on a trained model, over a split of the data."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from caejax.corruptions import corrupt
from caejax.losses import loss_and_image
from caejax.metrics import checkerboard, quality
from caejax.metrics.checkerboard import PERIODS
from caejax.metrics.lattice import peak_db, spectrum
from caejax.metrics.phases import (
    BORDER,
    phase_means,
    phase_ratio_db,
    phase_variance,
    phase_variation,
)
from caejax.ops.images import as_float
from caejax.parameters import Choice
from caejax.runtime import keys
from caejax.runtime.batches import sum_over_batch
from caejax.runtime.compilation import quick_jit
from caejax.runtime.devices import over_devices
from caejax.train.task import Task

BATCH = 200
SMALL = 32 * 32  # pixels; of such images five batches are one, for fewer calls

Arrays = dict[str, jax.Array]


class Evaluation(NamedTuple):
    """What a split says about a model.

    Attributes:
      figures: loss, mse, bce, psnr, ssim; psnr_noisy and ssim_noisy of the
        corrupted input itself; lattice_peak_db, lattice_peak_unpaired_db,
        lattice_power, phase_var_db and phase_var_cv, each with _s2, _s4, _s8. No
        ssim below 11 pixels a side, no lattice below two periods, no phase_var
        below one period inside its border.
      maps: of the longest period S that fits: residual_spectrum (H', W'), mean
        share of power, and residual_phase_means (S, S, C).
    """

    figures: dict[str, float]
    maps: dict[str, np.ndarray]


def corrupt_examples(
    corruption: Choice,
    key: jax.Array,
    images: jax.Array,
    index: jax.Array,
    level: float,
) -> jax.Array:
    """Corrupts each example with a key of its own, folded from its index.

    So the result for an example is the same in any batch and for every model.

    Args:
      corruption: of `caejax.corruptions.choose`.
      key: of the split's noise.
      images: (B, H, W, C).
      index: (B,) of each example in its split.
      level: the corruption's.
    """

    def one(i, image):
        own = jax.random.fold_in(key, i)
        return corrupt(corruption, own, image[None], level)[0]

    return jax.vmap(one)(index, images)


def noise_key(seed: int, split: str) -> jax.Array:
    """The key of the noise that a split, "val" or "test", is measured under."""
    return keys.stream(seed, f"{split}_noise")


@functools.cache
def compiled_corruption(corruption: Choice) -> Callable[..., jax.Array]:
    """Makes the function (key, images, index, level) of `corrupt_examples`.

    Images may be uint8.
    """

    def run(key, images, index, level):
        return corrupt_examples(corruption, key, as_float(images), index, level)

    return quick_jit(run)


def evaluate(
    task: Task, params: Any, images: jax.Array, key: jax.Array, level: float
) -> Evaluation:
    """Mean metrics over a split.

    Args:
      task: model, loss and corruption.
      params: of the model.
      images: (N, H, W, C) in [0, 1].
      key: of the split's noise.
      level: the corruption's.
    """
    run = _compiled_evaluation(task.model, task.loss, task.corruption, task.chunk)
    return _evaluation(run, (params, key, level), images)


def compare(output: np.ndarray, noisy: np.ndarray, clean: np.ndarray) -> Evaluation:
    """What `evaluate` says of a model, but for the loss, of any estimator's images.

    Args:
      output: (N, H, W, C), clipped to [0, 1] here.
      noisy: what it was made of.
      clean: (N, H, W, C), uint8 or in [0, 1].
    """
    return _evaluation(_compiled_comparison(), (), clean, noisy, output)


def _evaluation(run, shared, *arrays):
    """Means of what a compiled function adds up over batches of (N, ...) arrays."""
    count, parts = len(arrays[0]), []
    small = arrays[0][0, ..., 0].size <= SMALL and count > BATCH
    size = 5 * BATCH if small else BATCH
    for first in range(0, count, size):
        batch = [x[first : first + size] for x in arrays]
        missing = size - len(batch[0])
        batch = [jnp.pad(x, ((0, missing), (0, 0), (0, 0), (0, 0))) for x in batch]
        parts.append(run((shared, count), first, *batch))
    # On the host: one by one, sums of small arrays would take longer than the rest.
    parts = jax.device_get(parts)
    means = jax.tree.map(lambda *x: np.sum(x, axis=0) / count, *parts)
    patterns = means.pop("patterns")
    for period, parts in patterns.items():
        figures = pattern_figures(parts, period, count)
        means |= {f"{name}_s{period}": value for name, value in figures.items()}
    figures = {name: float(value) for name, value in means.items()}
    return Evaluation(figures, _maps(patterns))


@functools.cache
def _compiled_evaluation(model, loss_name, corruption, chunk):
    def values(shared, index, clean):
        params, key, level = shared
        clean = as_float(clean)
        noisy = corrupt_examples(corruption, key, clean, index, level)
        linear = model.apply({"params": params}, noisy)
        loss, image = loss_and_image(model, loss_name, linear, clean)
        return {"loss": loss, **_values(jnp.clip(image, 0, 1), noisy, clean)}

    return _compiled_sums(values, chunk)


@functools.cache
def _compiled_comparison():
    def values(_, index, clean, noisy, output):
        return _values(jnp.clip(output, 0, 1), noisy, as_float(clean))

    return _compiled_sums(values, chunk=0)


def _compiled_sums(values, chunk):
    """Makes a function that adds up values(shared, index, *arrays) of images."""

    def chunk_sums(shared, index, *arrays):
        shared, count = shared
        mask = index < count  # the last batch is filled up
        return jax.tree.map(
            lambda x: jnp.tensordot(mask.astype(x.dtype), x, 1),
            values(shared, index, *arrays),
        )

    def run(shared, first, *arrays):
        batch = first + jnp.arange(len(arrays[0])), *arrays
        batch = tuple(map(over_devices, batch))
        return sum_over_batch(chunk_sums, shared, batch, chunk)

    return quick_jit(run)


def _values(output, noisy, clean):
    """What is averaged over images besides the loss, for each image."""
    values = {
        "mse": quality.mse(output, clean),
        "bce": quality.bce(output, clean),
        "psnr": quality.psnr(output, clean),
        "psnr_noisy": quality.psnr(noisy, clean),
    }
    if min(clean.shape[1:3]) >= quality.WINDOW:
        values["ssim"] = quality.ssim(output, clean)
        values["ssim_noisy"] = quality.ssim(noisy, clean)
    values["patterns"] = {
        s: pattern_parts(output, clean, s)
        for s in PERIODS
        if min(clean.shape[1:3]) >= 2 * s
    }
    return values


def pattern_parts(output: jax.Array, clean: jax.Array, period: int) -> Arrays:
    """What the checkerboard metrics average over images, for each image.

    Args:
      output, clean: (B, H, W, C).
      period: S.

    Returns:
      Spectra (B, H', W') of residual, output and target; the residual's phase
      means (B, S, S, C), their variance (B,) and, where its border leaves
      something, its detail (B, S, S).
    """
    residual = checkerboard.residual(output, clean)
    parts = {
        "residual": spectrum(residual, period),
        "output": spectrum(output, period),
        "target": spectrum(clean, period),
        "phase_means": phase_means(residual, period),
        "phase_variance": phase_variance(residual, period).mean(-1),
    }
    if min(clean.shape[1:3]) >= period + 2 * BORDER:
        parts["detail"] = checkerboard.detail_power(output, clean, period)
    return parts


def pattern_figures(parts: Arrays, period: int, count: int) -> Arrays:
    """The checkerboard metrics from the means of `pattern_parts` over images."""
    peaks = {
        name: peak_db(parts[name], period) for name in ("residual", "output", "target")
    }
    figures = {
        "lattice_peak_db": peaks["residual"],
        "lattice_peak_unpaired_db": peaks["output"] - peaks["target"],
    }
    if count > 1:
        figures["lattice_power"] = checkerboard.shared_power(
            parts["phase_means"], parts["phase_variance"], count
        )
    if "detail" in parts:
        figures["phase_var_db"] = phase_ratio_db(parts["detail"])
        figures["phase_var_cv"] = phase_variation(parts["detail"])
    return figures


def _maps(patterns):
    """Pictures of the longest period that fits."""
    if not patterns:
        return {}
    parts = patterns[max(patterns)]
    names = {"residual": "residual_spectrum", "phase_means": "residual_phase_means"}
    return {name: np.asarray(parts[part]) for part, name in names.items()}
