"""Whether a run fits into memory, by its shapes, before anything is allocated.

What is reckoned is the least that a run needs: its images, a batch, the largest layer
and the model's state. Runs that need no more may still fail, and then it is said, too.
"""

import contextlib
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from caejax import config as config_lib
from caejax.config.values import shown
from caejax.data import SOURCES
from caejax.errors import CaejaxError
from caejax.metrics.evaluator import batch_size
from caejax.metrics.probes import AT_A_TIME
from caejax.metrics.responses import TILES
from caejax.models.size import variable_shapes
from caejax.optimizers import create_optimizer
from caejax.runtime.batches import chunk_size
from caejax.runtime.memory import device_bytes, host_bytes
from caejax.training.task import Task, task_from_config

_FLOAT = 4  # bytes
_MANY = 2**16  # images, whose divisors take long to find
_NARROW = 256  # units of layers up to which a model is small, whatever else it is

# Fields that memory depends on, and what makes it small.
_LEAST: dict[str, Any] = {
    "data.image_size": 8,
    "data.channels": 1,
    "data.train_size": 2,
    "data.test_size": 1,
    "data.patches_per_image": 1,
    "train.batch_size": 1,
    "model.latent_channels": 1,
    "model.widths": (1,),
    "model.decoder_widths": (1,),
    "model.encoder_layers": ("conv1 1",),
    "model.decoder_layers": ("conv1 1",),
}
_TOGETHER = {"widths": "decoder_widths", "encoder_layers": "decoder_layers"}


class Need(NamedTuple):
    """The least bytes that a run needs at a time.

    Attributes:
      data: its images.
      step: a batch and what is computed of it.
      state: parameters, their gradient, what the optimiser keeps, and averages.
    """

    data: int
    step: int
    state: int = 0


def check_memory(config: ConfigDict) -> None:
    """Checks that a run may fit into the memory of this machine and of its device.

    Args:
      config: a run's config, checked already.

    Raises:
      CaejaxError: it cannot; names the field that is the most to blame.
    """
    device = device_bytes()
    for need in (_need(config, deep=False), _need(config, deep=True)):
        if device is None:
            _check_fits(config, "data", sum(need), host_bytes())
        else:
            _check_fits(config, "data", need.data, host_bytes(), "this machine")
            computed = need.step + need.state
            _check_fits(config, "step", computed, device, "the device")


def _check_fits(config, part, needed, there, whose="this machine"):
    if needed <= there:
        return
    field = _to_blame(config, part if whose == "this machine" else "step")
    raise CaejaxError(
        f"config.{field} is {shown(config_lib.get(config, field))}: the run takes at "
        f"least {_size(needed)} of memory, and {whose} has {_size(there)}; "
        "make it smaller"
    )


def _to_blame(config, part):
    """The field whose least value leaves the least to be done."""
    left = {}
    for field, least in _LEAST.items():
        section, _, name = field.partition(".")
        if name not in config[section] or config[section][name] == ():
            continue
        other = config.copy_and_resolve_references()
        with other.ignore_type():
            for also in (name, _TOGETHER.get(name, name)):
                if other[section].get(also):
                    other[section][also] = least
        # Other sizes may not go with the layers.
        with contextlib.suppress(ValueError, CaejaxError):
            shallow = sum(_need(other, deep=False))
            left[field] = shallow
            if shallow <= host_bytes():
                left[field] = sum(_need(other, deep=True))
    return min(left, key=left.__getitem__)


def _need(config: ConfigDict, *, deep: bool) -> Need:
    """What a run needs; deep: with its model's parameters, for which it is traced."""
    task = task_from_config(config, total_steps=0)
    height, width, channels = task.model.shape
    image = height * width * channels
    data = config.data
    batch, drawn = config.train.batch_size, SOURCES[data.source].drawn
    count = data.train_size + data.test_size if drawn else 1 + data.patches_per_image
    if drawn:  # a larger batch is another error
        batch = min(batch, data.train_size)
    images = count * image * (_FLOAT if drawn else 1)
    # Clean and corrupted; the largest layer and its gradient.
    seen, crop = task.model, task.crop_size
    if crop:
        seen = seen.clone(shape=(crop, crop, channels))
    step = _FLOAT * (
        2 * batch * math.prod(seen.shape)
        + 2 * _at_a_time(task, batch) * seen.largest_map
    )
    # Clean, corrupted and output.
    at_once = 3 * batch_size(height * width)
    measured = _FLOAT * max(at_once * image, _constant_response(task.model, count))
    state = _state_bytes(task) if deep and _may_be_large(config, task.model) else 0
    return Need(images, max(step, measured), state)


def _at_a_time(task: Task, batch: int) -> int:
    """How many images of a batch are computed at a time, or fewer."""
    if not task.chunk:
        return batch
    each = batch // jax.device_count() if batch % jax.device_count() == 0 else batch
    return chunk_size(each, task.chunk) if each < _MANY else 1


def _constant_response(model, count) -> int:
    """Numbers in the images that a decoder makes of constants."""
    if not model.convolutional:
        return 0
    images = min(AT_A_TIME, max(1, count // 20))
    return images * (TILES * model.stride) ** 2 * model.shape[-1]


def _may_be_large(config, model):
    """Whether parameters count; a model is traced for nothing otherwise."""
    flat = 0 if model.convolutional else model.largest_map
    numbers = [flat // _NARROW, model.shape[-1]]
    for value in config_lib.resolve(config).model.to_dict().values():
        for x in value if isinstance(value, tuple) else (value,):
            words = x.split() if isinstance(x, str) else [x]
            numbers += [int(n) for n in words if str(n).isdecimal()]
    return max(numbers) > _NARROW


def _state_bytes(task: Task) -> int:
    params = variable_shapes(task.model)["params"]
    kept = jax.eval_shape(create_optimizer(task.optimizer).init, params)
    copies = 3 if task.ema_decay else 2  # with the gradient
    return copies * _bytes(params) + _bytes(kept)


def _bytes(tree):
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB", "TB", "PB"):
        if count < 1000 or unit == "PB":
            return f"{count:,.3g} {unit}"
        count /= 1000
    raise AssertionError


@contextlib.contextmanager
def explained(config: ConfigDict) -> Iterator[None]:
    """Turns a lack of memory, wherever it shows, into one line.

    Raises:
      CaejaxError: there was not enough memory.
    """
    try:
        yield
    except Exception as error:
        lacking = isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)
        if not lacking:
            raise
        field = _to_blame(config, "step")
        raise CaejaxError(
            f"memory ran out ({' '.join(str(error).split()):.200}); config.{field} is "
            f"{shown(config_lib.get(config, field))}: make it smaller"
        ) from error
