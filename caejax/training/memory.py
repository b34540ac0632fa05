"""Whether a run fits into memory, by its shapes, before anything is allocated.

What is reckoned is the least that a run needs: its images, a batch, the largest layer
and the model's state. Runs that need no more may still fail, and then it is said, too.
"""

import contextlib
import functools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from caejax import config as config_lib
from caejax.config.values import shown
from caejax.data import SOURCES
from caejax.errors import CaejaxError, lacks_memory
from caejax.metrics.evaluator import batch_size
from caejax.metrics.probes import AT_A_TIME
from caejax.metrics.responses import TILES
from caejax.models.size import largest_product, variable_shapes
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
# Whose numbers of stages go together.
_TOGETHER = (
    ("model.widths", "model.decoder_widths"),
    ("model.encoder_layers", "model.decoder_layers"),
)


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
            _check_fits(config, sum(need), host_bytes())
        else:
            _check_fits(config, need.data, host_bytes())
            _check_fits(config, need.step + need.state, device, "the device")


def _check_fits(config, needed, there, whose="this machine"):
    if needed <= there:
        return
    field = _to_blame(config, there)
    raise CaejaxError(
        f"config.{field} is {shown(config_lib.get(config, field))}: the run takes at "
        f"least {_size(needed)} of memory, and {whose} has {_size(there)}; "
        "make it smaller"
    )


def _to_blame(config, there):
    """The field whose least value leaves the least to be done."""
    left = _left(config, there, [(field,) for field in _LEAST])
    if min(left.values()) > there:  # one field alone is not enough
        left |= _left(config, there, _TOGETHER)
    return min(left, key=left.__getitem__)


def _left(config, there, choices):
    """What is left to be done with the least values of fields, by the first of them."""
    left = {}
    for fields in choices:
        least = {
            field: _least(config, field, alone=len(fields) == 1) for field in fields
        }
        if least[fields[0]] is None:
            continue
        other = config.copy_and_resolve_references()
        for field, value in least.items():
            section, _, name = field.partition(".")
            if value is not None:
                with other.ignore_type():
                    other[section][name] = value
        # Other sizes may not go with the layers.
        with contextlib.suppress(ValueError, CaejaxError):
            left[fields[0]] = sum(_need(other, deep=False))
            if left[fields[0]] <= there:
                left[fields[0]] = sum(_need(other, deep=True))
    return left


def _least(config, field, *, alone):
    """A field's least value, alone for as many stages; None where it is not set."""
    section, _, name = field.partition(".")
    value = config[section].get(name, ())
    if value == ():
        return None
    stages = len(value) if alone and name.endswith("widths") else 1
    return _LEAST[field] * stages


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
    at_once = batch_size(height * width)
    measured = max(3 * at_once * image, _flat_images(task.model))
    state = 0
    if deep and _may_be_large(config, task.model):
        state = _state_bytes(task)
        measured = max(measured, _largest_measured(task, at_once))
    return Need(images, max(step, _FLOAT * measured), state)


def _at_a_time(task: Task, batch: int) -> int:
    """How many images of a batch are computed at a time, or fewer."""
    if not task.chunk:
        return batch
    each = batch // jax.device_count() if batch % jax.device_count() == 0 else batch
    return chunk_size(each, task.chunk) if each < _MANY else 1


def _flat_images(model) -> int:
    """Numbers in the images that a decoder makes of constants, for its ripple."""
    if not model.convolutional:
        return 0
    return AT_A_TIME * (TILES * model.stride) ** 2 * model.shape[-1]


def _largest_measured(task: Task, at_once: int) -> int:
    """Numbers in the largest map of what evaluates a model, or looks for its ripple."""
    model, variables = task.model, variable_shapes(task.model)
    code = (TILES, TILES) if model.convolutional else ()
    code = jax.ShapeDtypeStruct((AT_A_TIME, *code, model.code_shape[-1]), jnp.float32)
    images = jax.ShapeDtypeStruct(
        (_at_a_time(task, at_once), *model.shape), jnp.float32
    )
    decode = functools.partial(model.apply, method="decode")
    return max(
        largest_product(decode, variables, code),
        largest_product(model.apply, variables, images, *model.told(1.0)),
    )


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
        if not lacks_memory(error):
            raise
        field = _to_blame(config, host_bytes())
        raise CaejaxError(
            f"memory ran out ({' '.join(str(error).split()):.200}); config.{field} is "
            f"{shown(config_lib.get(config, field))}: make it smaller"
        ) from error
