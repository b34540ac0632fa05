"""A model's parameters by name, "encoder.Conv_0.kernel" and so on."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from caejax.errors import CaejaxError


def named_shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """Shapes of a model's parameters by name."""
    image = jax.ShapeDtypeStruct((1, *model.shape), jnp.float32)
    shapes = jax.eval_shape(model.init, jax.random.key(0), image)["params"]
    return {".".join(path): x.shape for path, x in flatten_dict(shapes).items()}


def named_arrays(params: Any) -> dict[str, np.ndarray]:
    """A model's parameters by name, as `named_shapes` names them."""
    flat = flatten_dict(params)
    return {".".join(path): np.asarray(x) for path, x in flat.items()}


def from_arrays(model: nn.Module, arrays: Mapping[str, np.ndarray], whose: str) -> Any:
    """A model's parameters, float32, from arrays by the names of `named_shapes`.

    Args:
      model: the module.
      arrays: the parameters by name.
      whose: where they are from, for errors.

    Raises:
      CaejaxError: they are not those of the model, or not finite.
    """
    shapes = named_shapes(model)
    if others := sorted(set(shapes) ^ set(arrays)):
        what = "lacks" if others[0] in shapes else "has besides"
        raise CaejaxError(f"{whose}: not of the config's model: it {what} {others[0]}")
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise CaejaxError(
                f"{whose}: not of the config's model: {name} has the shape "
                f"{arrays[name].shape} instead of {shape}"
            )
        if not np.isfinite(arrays[name].astype(np.float32)).all():
            raise CaejaxError(
                f"{whose}: {name} holds values that are NaN or infinite; take a model "
                "whose training has not failed"
            )
    flat = {
        tuple(name.split(".")): jnp.asarray(array, jnp.float32)
        for name, array in arrays.items()
    }
    return unflatten_dict(flat)
