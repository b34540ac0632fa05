"""How large a model is: its parameters and the FLOPs of a forward pass."""

import functools
import math
from collections.abc import Callable, Iterator
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


def largest_product(function: Callable[..., Any], *args: Any) -> int:
    """Numbers in the largest array that a product in a function takes or makes.

    That is, a convolution or a matrix product: these arrays are in memory at some time,
    whatever else a compiler leaves out.

    Args:
      function: a function of arrays.
      args: its arguments, or their shapes; nothing is computed.
    """
    sizes = [
        x.aval.size
        for eqn in equations(jax.make_jaxpr(function)(*args).jaxpr)
        if eqn.primitive.name in ("conv_general_dilated", "dot_general")
        for x in (*eqn.invars, *eqn.outvars)
    ]
    return max(sizes, default=0)


def equations(jaxpr: Any) -> Iterator[Any]:
    """The equations of a jaxpr, those of loops and functions inside of it, too."""
    for eqn in jaxpr.eqns:
        yield eqn
        for value in jax.tree.leaves(list(eqn.params.values())):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from equations(inner)
