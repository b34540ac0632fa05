"""A model whose weights come from PyTorch."""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from caejax.errors import CaejaxError
from caejax.inference.trained import Trained, with_arrays
from caejax.models.named import named_shapes
from caejax.models.torch_kernels import from_torch
from caejax.ops.foreign import as_numpy
from caejax.training.task import model_from_config


def load(state: Mapping[str, Any], config: ConfigDict) -> Trained:
    """A config's model with the weights of a PyTorch module of the same architecture.

    Args:
      state: The module's `state_dict()`: the names of caejax's parameters, with
        "weight" for "kernel"; PyTorch's own layouts.
      config: The config.

    Raises:
      CaejaxError: No such names and arrays, or not those of the model.
    """
    if not isinstance(state, Mapping) or not all(isinstance(x, str) for x in state):
        raise CaejaxError(
            f"the PyTorch weights are {type(state).__name__}; give a module's "
            "state_dict(), arrays by name"
        )
    arrays = {}
    model = model_from_config(config)
    shapes = named_shapes(model)
    kinds = dict(_kinds(model, shapes))
    for name, value in state.items():
        owner, _, last = name.rpartition(".")
        array = as_numpy(value, f"the PyTorch weights: {name}")
        if last != "weight":
            arrays[name] = array
            continue
        try:
            arrays[f"{owner}.kernel"] = _kernel(array, kinds.get(owner))
        except ValueError as error:
            raise CaejaxError(f"the PyTorch weights: {name}: {error}") from error
    for name in arrays:
        if name in shapes and arrays[name].shape == (1, 1, *shapes[name]):
            arrays[name] = arrays[name][0, 0]  # a skip has no window
    return with_arrays(config, arrays, "the PyTorch weights")


def _kernel(weight, kind):
    if kind is not None:
        return from_torch(weight, kind)
    # (F, C, k, k) of a convolution, (F, K) of a dense layer.
    axes = range(2, weight.ndim)
    return weight.transpose(*axes, 1, 0)


def _kinds(model, shapes):
    """The kind of each upsampling layer by its name."""
    owners = {name.rpartition(".")[0] for name in shapes}
    for stage, kind in enumerate(model.stages):
        name = f"decoder.Upsample_{stage}"
        if name in owners:
            yield name, kind
