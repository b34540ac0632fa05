"""Measures a model on a split: whatever the table of metrics says, and nothing else.

Three programs follow each other: the first corrupts, the second is the model, the third
makes the metrics. So the model is all that has to be compiled for another model.
"""

import functools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from caejax.losses import loss_and_image
from caejax.metrics import probes, units
from caejax.metrics.groups import group_means
from caejax.metrics.noise import corrupt_examples
from caejax.metrics.parts import MAPS, Arrays, Means, fits, parts_of
from caejax.metrics.subject import Output, Subject
from caejax.metrics.table import (
    METRICS,
    PERIODS,
    Metric,
    column,
    find,
    function_of,
    readings,
    when_measured,
)
from caejax.ops.images import as_float
from caejax.runtime import stopping
from caejax.runtime.ahead import program
from caejax.runtime.batches import cache_chunk, map_over_batch, sum_over_batch
from caejax.runtime.devices import on_one_device, over_devices

BATCH = 200
LARGE = 2048 * 2048  # pixels in a batch, at most
_DECODERS = ("decoder", "ramps", "image", "shown")
SMALL = 32 * 32  # pixels; of such images five batches are one, for fewer calls
_MAPS = 8  # as large as an image, that measuring one takes, about

Values = dict[str, float]


class Evaluation(NamedTuple):
    """What a split says about a model.

    Attributes:
      values: values by column: the loss, and all metrics of the occasion for which
        the images have room.
      maps: arrays by name, of the longest period S that fits: residual_spectrum
        (H', W'), mean share of power, and residual_phase_means (S, S, C).
    """

    values: Values
    maps: dict[str, np.ndarray]


def evaluate(
    subject: Subject,
    params: Any,
    images: jax.Array,
    key: jax.Array,
    level: float,
    when: str,
    together: int = 1,
) -> Evaluation:
    """All metrics of an occasion, over a split.

    Args:
      subject: the model, its loss and its corruption.
      params: the model's parameters.
      images: the split's images, (N, H, W, C), in [0, 1] or uint8.
      key: the random key of the split's noise.
      level: the corruption's level.
      when: the occasion's name; see `caejax.metrics.table.Metric`.
      together: how many neighbouring images are patches of one photograph. At the
        occasion "test", means over photographs are among the maps.
    """
    metrics = due(when)
    values, maps, each = {}, {}, {}
    if chosen := _having(metrics, "output", "input", "residual"):
        run = functools.partial(_model_sums, subject, chosen, (params, key, level))
        values, maps, each = _over_split(run, chosen, images)
    if when == "test":
        maps |= group_means(each, np.arange(len(images)), len(images), together)
    if chosen := _having(metrics, "model"):
        few = on_one_device(params)
        each = probes.model_values(chosen, subject, few, images, key, level)
        values |= probes.finished(chosen, each)
    found, ripples = _probe(subject, params, images, key, level, when)
    if when == "test":
        maps |= _group_ripples(ripples, len(images), together)
    return Evaluation(values | found, maps)


def _group_ripples(each, count, together):
    """The DC ripple's RMS in grey levels by photograph, of the images looked at."""
    sizes = {
        reading.column: each[reading.column]
        for reading in readings(METRICS["dc_ripple_grey"])
        if reading.column in each
    }
    means = group_means(sizes, probes.spread(count), count, together)
    return {name: units.GREYS * np.sqrt(power) for name, power in means.items()}


def probe(
    subject: Subject,
    params: Any,
    images: jax.Array,
    key: jax.Array,
    level: float,
    when: str,
) -> Values:
    """As `evaluate`, without metrics of outputs: those of a few images, or of none."""
    return _probe(subject, params, images, key, level, when)[0]


def _probe(subject, params, images, key, level, when) -> tuple[Values, probes.Each]:
    """Values, and what the decoder's metrics found of single images."""
    metrics, model = due(when), subject.model
    if not model.convolutional:
        return {}, {}
    few, values, each = on_one_device(params), {}, {}
    # One program whatever the occasion, of which not all may be wanted.
    every = _having(METRICS.values(), *_DECODERS)
    if wanted := _columns(_having(metrics, *_DECODERS)):
        most = probes.CURVE_IMAGES if when in ("val", "probe") else probes.PROBE_IMAGES
        ramps = bool(_having(metrics, "ramps"))
        each = probes.decoder_values(every, model, few, images, most, ramps=ramps)
        found = probes.finished(every, each)
        values |= {name: x for name, x in found.items() if name in wanted}
    if chosen := _having(metrics, "gradient"):
        values |= probes.gradient_values(chosen, subject, few, images, key, level)
    for metric in _having(metrics, "layers"):
        stages = model.stages, model.initializer
        for name, period in readings(metric):
            value = function_of(metric)(*stages, *period)
            if value is not None:
                values[name] = float(value)
    return values, each


def compare(output: np.ndarray, noisy: np.ndarray, clean: np.ndarray) -> Evaluation:
    """What `evaluate` says of a model, but for the loss, of any estimator's images.

    Args:
      output: the estimator's images, (N, H, W, C); clipped to [0, 1] here.
      noisy: the corrupted images that the output was made of, (N, H, W, C).
      clean: the uncorrupted images, (N, H, W, C), uint8 or in [0, 1].
    """
    chosen = _having(due("level"), "output", "input", "residual")
    run = _compiled_comparison(chosen)
    values, maps, _ = _over_split(run, chosen, clean, noisy, output)
    return Evaluation(values, maps)


def due(when: str) -> tuple[Metric, ...]:
    """The metrics that are measured at an occasion, in the order of the table."""
    return tuple(m for m in METRICS.values() if when in when_measured(m))


def _having(metrics, *needs):
    return tuple(metric for metric in metrics if metric.needs in needs)


def _columns(metrics):
    return {reading.column for metric in metrics for reading in readings(metric)}


def _over_split(run, metrics, *arrays):
    """Values, maps and single images' values, from what a function finds of batches.

    Args:
      run: what `_compiled_sums` returns, or a function like it.
      metrics: the metrics that it was made for.
      arrays: arrays (N, ...) that are taken apart into batches.
    """
    count, sums = len(arrays[0]), []
    size = _batch_size(arrays[0])
    for first in range(0, count, size):
        stopping.check()
        batch = [_filled_up(x[first : first + size], size) for x in arrays]
        sums.append(run(count, first, *batch))
    # On the host: one by one, sums of small arrays would take longer than the rest.
    sums = jax.device_get(sums)
    each = [batch.pop("each") for batch in sums]
    each = jax.tree.map(lambda *x: np.concatenate(x)[:count], *each)
    means = jax.tree.map(lambda *x: np.sum(x, axis=0) / count, *sums)
    patterns = means.pop("patterns")
    for period, parts in patterns.items():
        means |= _pattern_values(metrics, Means(parts, count, period))
    values = {name: _at_most(name, float(value)) for name, value in means.items()}
    return values, _maps(patterns), each


def batch_size(pixels: int) -> int:
    """How many images of so many pixels are measured at a time.

    A power of two of large ones, so that devices can share them.
    """
    return min(BATCH, 2 ** max(0, (LARGE // pixels).bit_length() - 1))


def _batch_size(images):
    # A split that fits one batch is not padded to five.
    pixels = math.prod(images.shape[1:3])
    small = pixels <= SMALL and len(images) > BATCH
    return 5 * BATCH if small else batch_size(pixels)


def _filled_up(images, size):
    """(N, H, W, C) with zeros behind, to keep one shape, hence one program."""
    missing = size - len(images)
    if not missing:
        return images
    stack = np if isinstance(images, np.ndarray) else jnp
    return stack.pad(images, ((0, missing), (0, 0), (0, 0), (0, 0)))


def _at_most(column, value):
    found = find(column)
    return min(value, found.metric.highest) if found else value


def _pattern_values(metrics, means: Means):
    """Metrics of residuals whose parts are there and that have enough images."""
    return {
        column(metric, means.period): function_of(metric)(means)
        for metric in _having(metrics, "residual")
        if means.period in metric.periods
        and means.count >= metric.images
        and set(metric.parts) <= set(means.parts)
    }


def _maps(patterns):
    """Pictures of the longest period that fits."""
    if not patterns:
        return {}
    parts = patterns[max(patterns)]
    return {name: np.asarray(parts[part]) for part, name in MAPS.items()}


def outputs(
    subject: Subject,
    params: Any,
    images: jax.Array,
    index: np.ndarray,
    key: jax.Array,
    level: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Some of a split's images, as they are when `evaluate` measures them.

    Args:
      subject: the model and its corruption.
      params: the model's parameters.
      images: the split's images, (N, H, W, C), in [0, 1] or uint8.
      index: the images' numbers in the split, (n,), at most `BATCH`.
      key: the random key of the split's noise.
      level: the corruption's level.

    Returns:
      The clean images, the corrupted ones and the model's linear outputs,
      (n, H, W, C) each.
    """
    few, size = len(index), _batch_size(images)
    clean = _filled_up(images[index], size)
    index = np.resize(index, size).astype(np.int32)
    found = jax.device_get(_outputs(subject, (params, key, level), index, clean))
    clean, noisy, linear = (x[:few] for x in found)
    return clean, noisy, linear


def _outputs(subject, shared, index, clean):
    params, key, level = shared
    corrupted = _compiled_inputs(subject.corruption, _chunk(subject))
    clean, noisy = corrupted((key, level), index, clean)
    run = _compiled_model(subject.model, subject.chunk)
    return clean, noisy, run(params, noisy, subject.model.told(level))


def _model_sums(subject, metrics, shared, count, first, clean):
    """What `_compiled_sums` says of a model's batch."""
    index = first + np.arange(len(clean), dtype=np.int32)
    clean, noisy, linear = _outputs(subject, shared, index, clean)
    output = Output(subject.model.output_activation)
    run = _compiled_judgement(metrics, subject.loss, output, _chunk(subject))
    return run(count, first, clean, noisy, linear)


def _chunk(subject):
    """How many images are measured at a time, whatever the model."""
    return subject.chunk and cache_chunk(_MAPS * math.prod(subject.model.shape))


@functools.cache
def _compiled_inputs(corruption, chunk):
    def inputs(shared, index, clean):
        key, level = shared
        clean = as_float(clean)
        return clean, corrupt_examples(corruption, key, clean, index, level)

    def run(shared, index, clean):
        return map_over_batch(inputs, shared, _spread(index, clean), chunk)

    return program(run)


@functools.cache
def _compiled_model(model, chunk):
    def run(params, noisy, told):
        def linear(shared, noisy):
            params, told = shared
            return model.apply({"params": params}, noisy, *told)

        return map_over_batch(linear, (params, told), _spread(noisy), chunk)

    return program(run)


@functools.cache
def _compiled_judgement(metrics, loss, output, chunk):
    def values(clean, noisy, linear):
        losses, image = loss_and_image(output, loss, linear, clean)
        return {"loss": losses, **_values(metrics, jnp.clip(image, 0, 1), noisy, clean)}

    return _compiled_sums(values, chunk)


@functools.cache
def _compiled_comparison(metrics: tuple[Metric, ...]):
    def values(clean, noisy, output):
        return _values(metrics, jnp.clip(output, 0, 1), noisy, as_float(clean))

    return _compiled_sums(values, chunk=0)


def _compiled_sums(values, chunk):
    """Makes a function (count, first, *arrays) that adds up values of images.

    Values that are numbers are also there one by one, as "each".

    Args:
      values: function of arrays (B, H, W, C) to a tree of values an image.
      chunk: about how many images are taken at a time; 0 for all.
    """

    def chunk_sums(shared, index, *arrays):
        count, place = shared
        found = values(*arrays)
        # The last batch is filled up with zeros; what they give must not be added up.
        mask = index < count
        sums = jax.tree.map(lambda x: jnp.tensordot(mask.astype(x.dtype), x, 1), found)
        # Zeros but at the chunk's places, since chunks are added up.
        here = place[:, None] == index[None]
        each = {
            name: jnp.where(here, x, 0).sum(1)
            for name, x in found.items()
            if name != "patterns"
        }
        return {**sums, "each": each}

    def run(count, first, *arrays):
        place = first + jnp.arange(len(arrays[0]))
        return sum_over_batch(
            chunk_sums, (count, place), _spread(place, *arrays), chunk
        )

    return program(run)


def _spread(*arrays):
    return tuple(map(over_devices, arrays))


def _values(metrics, output, noisy, clean) -> Mapping[str, Any]:
    """What is averaged over images besides the loss, for each image."""
    size = clean.shape[1:3]
    values = {
        name: function_of(metric)(
            noisy if metric.needs == "input" else output, clean, *period
        )
        for metric in _having(metrics, "output", "input")
        for name, period in readings(metric)
        if fits(metric.room, size, *period)
    }
    residual = _having(metrics, "residual")
    periods = {s for metric in residual for s in metric.periods} | set(PERIODS)
    values["patterns"] = {
        s: _parts(residual, output, clean, s)
        for s in sorted(periods)
        if fits((2, 0), size, s)
    }
    return values


def _parts(metrics, output, clean, period) -> Arrays:
    names = {part for m in metrics if period in m.periods for part in m.parts}
    # Those of maps are wanted in any case; sorted, so that programs are the same.
    return parts_of(tuple(sorted(names | set(MAPS))), output, clean, period)
