"""Optimisers and learning-rate schedules by name, all of them optax's."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import optax

from caejax.parameters import COUNTABLE


class OptimizerSpec(NamedTuple):
    """What makes an optimiser; hashable, so that compiled steps can be shared.

    Attributes:
      name: a name of `OPTIMIZERS`.
      learning_rate: the schedule's peak value.
      schedule: a name of `SCHEDULES`.
      warmup_steps: number of steps of linear warm-up from 0, before the schedule.
      total_steps: the step at which "cosine" and "linear" reach 0, warm-up included;
        they need it.
      momentum: the momentum of sgd.
      weight_decay: the decoupled weight decay of adamw.
      clip_norm: the norm to which larger gradients are scaled down first; 0 for none.
    """

    name: str
    learning_rate: float
    schedule: str = "constant"
    warmup_steps: int = 0
    total_steps: int = 0
    momentum: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float = 0.0


OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {
    "adam": lambda rate, spec: optax.adam(rate),
    "adamw": lambda rate, spec: optax.adamw(rate, weight_decay=spec.weight_decay),
    "sgd": lambda rate, spec: optax.sgd(rate, momentum=spec.momentum or None),
    # Keras's and Zeiler's (2012) decay.
    "adadelta": lambda rate, spec: optax.adadelta(rate, rho=0.95, eps=1e-7),
}

SCHEDULES: dict[str, Callable[[float, int], optax.Schedule]] = {
    "constant": lambda rate, steps: optax.constant_schedule(rate),
    "cosine": lambda rate, steps: optax.cosine_decay_schedule(rate, steps),
    "linear": lambda rate, steps: optax.linear_schedule(rate, 0.0, steps),
}


@functools.cache
def create_optimizer(spec: OptimizerSpec) -> optax.GradientTransformation:
    """Makes the optimiser with its schedule; the same for the same spec."""
    return trace_optimizer(spec)


def trace_optimizer(spec: OptimizerSpec) -> optax.GradientTransformation:
    """As `create_optimizer`; numbers of the spec may be traced."""
    tx = OPTIMIZERS[spec.name](create_schedule(spec), spec)
    if not spec.clip_norm:
        return tx
    return optax.chain(optax.clip_by_global_norm(spec.clip_norm), tx)


def create_schedule(spec: OptimizerSpec) -> optax.Schedule:
    """Learning rate as a function of the step."""
    after = max(1, spec.total_steps - spec.warmup_steps)
    if after > COUNTABLE:
        after = float(after)
    schedule = SCHEDULES[spec.schedule](spec.learning_rate, after)
    if not spec.warmup_steps:
        return schedule
    warmup = optax.linear_schedule(0.0, spec.learning_rate, spec.warmup_steps)
    return optax.join_schedules([warmup, schedule], [spec.warmup_steps])
