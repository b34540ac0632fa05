"""How large a model is: its parameters and the FLOPs of a forward pass."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp

from caejax.models.protocol import Autoencoder


@functools.cache
def variable_shapes(model: Autoencoder) -> dict[str, Any]:
    """A model's variables with shapes for arrays; nothing is computed."""
    images = jax.ShapeDtypeStruct((1, *model.shape), jnp.float32)
    return jax.eval_shape(model.init, jax.random.key(0), images)


@functools.cache
def image_flops(model: Autoencoder) -> float:
    """FLOPs of one image's forward pass, as the model's path computes it.

    XLA's count for the program before it is optimised: a multiplication and an
    addition are two, zeros at borders are left out where the path leaves them out.
    Nothing is compiled.
    """

    def forward(variables, images):
        return model.to_image(model.apply(variables, images))

    images = jax.ShapeDtypeStruct((1, *model.shape), jnp.float32)
    lowered = jax.jit(forward).lower(variable_shapes(model), images)
    return lowered.cost_analysis()["flops"]


def parameter_shapes(model: Autoencoder) -> dict[str, tuple[int, ...]]:
    """Shapes of a model's parameters by path; nothing is computed."""
    leaves = jax.tree_util.tree_leaves_with_path(variable_shapes(model)["params"])
    return {"/".join(key.key for key in path): leaf.shape for path, leaf in leaves}


def parameter_count(model: Autoencoder) -> int:
    """Numbers in a model's parameters."""
    return sum(math.prod(shape) for shape in parameter_shapes(model).values())
