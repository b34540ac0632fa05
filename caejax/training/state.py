"""What training carries from step to step."""

import functools
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from caejax.runtime import keys
from caejax.runtime.compilation import quick_jit


class TrainState(NamedTuple):
    """Everything that a step changes; random keys are derived, not carried.

    Attributes:
      step: the number of steps done, an int32 scalar.
      params: the model's parameters, float32.
      opt_state: the optimiser's state.
      ema: the exponential moving average of params, or an empty tuple.
    """

    step: jax.Array
    params: Any
    opt_state: optax.OptState
    ema: Any

    @property
    def eval_params(self) -> Any:
        """The parameters to use: the average where there is one."""
        return self.ema if jax.tree.leaves(self.ema) else self.params


def create_state(
    model: nn.Module, tx: optax.GradientTransformation, seed: int, *, ema: bool
) -> TrainState:
    """Initialises a model and its optimiser from a seed."""
    params = _compiled_init(model)(keys.stream(seed, "params"))
    return first_state(params, tx, ema=ema)


def first_state(
    params: Any, tx: optax.GradientTransformation, *, ema: bool
) -> TrainState:
    """The state before any step, of given parameters."""
    # A copy, because a donated buffer must not appear twice.
    average = jax.tree.map(jnp.copy, params) if ema else ()
    return TrainState(jnp.int32(0), params, _compiled_start(tx)(params), average)


@functools.cache
def _compiled_start(tx):
    """Makes the optimiser's state, all of it in one call."""
    return quick_jit(tx.init)


@functools.cache
def _compiled_init(model):
    """Draws parameters; compiled, nothing else of the forward pass is left."""
    return quick_jit(
        lambda key: model.init(key, jnp.zeros((1, *model.shape)))["params"]
    )
