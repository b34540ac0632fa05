"""Finds out whether a model draws checkerboards, where, and what mends it.

`caejax.diagnose(model, inputs)` is the function `diagnose`; on the command line it is
`caejax diagnose MODEL`.
"""

import importlib
import os
import sys
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from caejax import weights
from caejax.diagnose.inspect import inspect
from caejax.diagnose.result import THRESHOLD_DB, Diagnosis
from caejax.errors import CaejaxError, did_you_mean, refuse_unknown
from caejax.files.paths import expand
from caejax.files.safetensors import SUFFIX
from caejax.ops.foreign import as_numpy, is_array, libraries
from caejax.parameters import threshold

__all__ = ["Diagnosis", "diagnose"]


@refuse_unknown
def diagnose(
    model: Any,
    inputs: Any = None,
    *,
    threshold_db: float = THRESHOLD_DB,
    behind: str | None = None,
    examples: Sequence[Any] = (),
) -> Diagnosis:
    """Finds the places where a model enlarges, and measures what they draw.

    Args:
      model: the path of an ONNX file, of a finished run of caejax or of its exported
        weights; the name of a model that ships; a model that `caejax.load` gives; a
        `torch.nn.Module`, whose mode and weights are left as they are; or a JAX
        function from (B, n1, ..., nd, C) to such an array, for instance
        `lambda x: model.apply(params, x)`.
      inputs: an array that the model takes, or a list of them: of PyTorch and ONNX
        (B, C, n1, ..., nd), of JAX (B, n1, ..., nd, C). Their shapes are used, and
        the mean and spread of their channels. Of files they may be left out.
      threshold_db: what the model draws of flat inputs, relative to its response to
        the constant itself, is a fault above this.
      behind: a layer's name, or a tensor's of ONNX: only the part behind it is probed,
        with flat features of the mean and spread that the inputs give them there. Of
        what has no spatial axes, as a dense layer, the first map behind it is meant.
        None for the whole model.
      examples: more inputs, each like `inputs`: flat colours, or features behind a
        layer, then have the mean and spread that all of them give.

    Returns:
      A record, a `dict` that prints as a table; `.clean` says whether all is well.

    Raises:
      CaejaxError: a model that cannot be used or run, or inputs that are missing.

    Example:
      >>> found = caejax.diagnose(run)
      >>> [place["stride"] for place in found["places"]], found.clean
      ([[2.0, 2.0]], False)
    """
    threshold_db = threshold(threshold_db)
    if isinstance(model, str | os.PathLike):
        found = expand(model, "model")
        check_there(found, "the model")
        return _of_file(found, inputs, threshold_db, behind, examples)
    if _is_loaded(model):
        return _of_trained(model.trained, inputs, threshold_db, behind, examples)
    if _is_module(model):
        return _of_torch(model, _listed(inputs), threshold_db, behind, examples)
    if callable(model):
        _check_function(model)
        return _of_jax(model, _listed(inputs), threshold_db, behind, examples)
    raise CaejaxError(
        "a model is the path of an ONNX file or of a run, what caejax.load gives, a "
        f"torch.nn.Module or a JAX function, and this is {type(model).__name__}"
        f"{without_its_module(model)}"
    )


def without_its_module(model: Any) -> str:
    """What to do about weights in place of a model; "" of anything else."""
    weights_alone = isinstance(model, Mapping)
    return "; give the module that these weights are of" * weights_alone


def check_there(model: Path, what: str) -> None:
    """Refuses a model that is no file, no folder and none that ships.

    Args:
      model: its path, or name.
      what: what it is called in the error.

    Raises:
      CaejaxError: there is none.
    """
    if not (model.exists() or is_own(model)):
        near = did_you_mean(model, weights.shipped().values())
        raise CaejaxError(
            f"{what} is {model}, and there is no such file or folder{near}"
        )


def read_inputs(model: Path, folder: Path) -> list[np.ndarray]:
    """What a model in a file takes, of each image of a folder.

    Args:
      model: an ONNX file of one input, or a model of caejax's as `diagnose` takes it.
      folder: of images, or of .npy files; see `caejax.diagnose.examples.read`.

    Returns:
      An input an image, all of one size.

    Raises:
      CaejaxError: a file that cannot be read, or images that do not fit.
    """
    examples = importlib.import_module("caejax.diagnose.examples")
    if is_own(model):
        runs = importlib.import_module("caejax.diagnose.runs")
        takes = (runs.input_shape(model),)
    else:
        reading = load_extra("caejax.diagnose.onnx_file", "onnx")
        file = reading.read(model)
        takes = reading.input_shape(file), reading.input_type(file)
    read = [examples.read(x, *takes) for x in examples.find(folder)]
    arrays: list[np.ndarray] = examples.of_one_size(read)
    return [np.moveaxis(x, 1, -1) for x in arrays] if is_own(model) else arrays


def is_own(path: Path) -> bool:
    """Whether it is a run of caejax, a file of its weights, or a model that ships."""
    return path.is_dir() or path.suffix == SUFFIX or weights.is_meant(path, path)


def _is_loaded(model):
    """Whether it is a `caejax.Model`, which lies in a room below."""
    return "caejax" in libraries(model) and hasattr(model, "trained")


def _check_function(model):
    """Refuses what can be called and is no function of inputs alone."""
    if isinstance(model, type):
        raise CaejaxError(
            f"{model.__name__} is a class; give a model that it makes, "
            f"{model.__name__}(...)"
        )
    if _is_loaded(getattr(model, "__self__", None)):
        raise CaejaxError(
            f"{model.__name__} of a loaded model cannot be followed; give the model "
            "itself, caejax.diagnose(model)"
        )
    unbound = hasattr(model, "apply") and getattr(model, "scope", None) is None
    if "flax" in libraries(model) and unbound:
        raise CaejaxError(
            f"{type(model).__name__} is a module of Flax without its parameters; give "
            "a function, caejax.diagnose(lambda x: model.apply(variables, x), x)"
        )


def _is_module(model):
    # Who has not imported torch has no module of it.
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)


def _listed(inputs):
    found = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
    if inputs is None or not found:
        raise CaejaxError(
            "a model in memory is diagnosed with inputs: diagnose(model, x), with an "
            "array that the model takes"
        )
    if all(isinstance(x, int | float) for x in found):
        shape = ", ".join(map(str, found))
        raise CaejaxError(
            f"inputs are the numbers {shape}, and no array; if they are its shape, "
            f"give one of that shape, of PyTorch for instance torch.rand({shape})"
        )
    return found


def _arrays(inputs):
    """One input or several as NumPy's arrays; numbers become some, too."""
    return [
        as_numpy(x, f"input {i}") if is_array(x) else np.asarray(x)
        for i, x in enumerate(_listed(inputs))
    ]


def as_tensors(inputs: Any) -> list[Any]:
    """One input or several as tensors of PyTorch, without gradients.

    Args:
      inputs: an array of any library, or a list of such.
    """
    torch = sys.modules["torch"]

    def tensor(value):
        if isinstance(value, torch.Tensor):
            return value.detach()
        if not is_array(value):
            return _of_numbers(torch, value)
        array = as_numpy(value, "an input")
        if array.dtype.kind == "V":  # bfloat16, which is none of NumPy's own
            array = array.astype(np.float32)
        return torch.from_numpy(np.array(array, order="C"))  # JAX's are read-only

    return [tensor(x) for x in _listed(inputs)]


def _of_numbers(torch, value):
    try:
        return torch.as_tensor(value)
    except (RuntimeError, TypeError, ValueError) as error:
        raise CaejaxError(
            f"an input is {type(value).__name__}, and no array; give one that the "
            "model takes"
        ) from error


def _of_torch(module, inputs, threshold_db, behind, examples):
    watching = load_extra("caejax.diagnose.torch_module", "torch")
    tensors = as_tensors(inputs)
    trace = watching.trace_module(module, tensors)

    def arrays(tensors):
        found = [x.float() if x.is_floating_point() else x for x in tensors]
        return [x.cpu().numpy() for x in found]

    more = [arrays(as_tensors(x)) for x in examples]
    return inspect(trace, arrays(tensors), threshold_db, behind, more)


def _of_jax(function, inputs, threshold_db, behind, examples, form="jax"):
    watching = importlib.import_module("caejax.diagnose.jax_function")
    arrays = _arrays(inputs)
    trace = watching.trace_function(function, arrays)._replace(form=form)
    more = [channels_second(_arrays(x)) for x in examples]
    return inspect(trace, channels_second(arrays), threshold_db, behind, more)


def _of_trained(model, inputs, threshold_db, behind, examples):
    runs = importlib.import_module("caejax.diagnose.runs")
    function, example = runs.as_layers(model)
    given = [example] if inputs is None else _listed(inputs)
    found = _of_jax(function, given, threshold_db, behind, examples, "run")
    activation = model.config.model.output_activation
    if found["places"] and activation != "linear":
        found["about"].append(
            f"probed before the output activation ({activation}), which changes how "
            "strong a pattern is in the images"
        )
    if inputs is None and found["places"]:
        found["about"].append(f"{_IMAGES}, {_OTHERS}")
    return found


def _of_file(path: Path, inputs, threshold_db, behind, examples):
    if is_own(path):
        found = _own(path)
        return _of_trained(found, inputs, threshold_db, behind, examples)
    watching = load_extra("caejax.diagnose.onnx_file", "onnx")
    model = watching.read(path)
    given = None if inputs is None else _arrays(inputs)
    more = [_arrays(x) for x in examples]
    found = watching.inspect_model(model, given, threshold_db, behind, more)
    if given is None and found["places"]:
        bytes_ = watching.input_type(model).kind == "u"
        kind = "bytes from 0 to 255" if bytes_ else "mean 0 and spread 1"
        told = f"probed with flat inputs of {kind}"
        if watching.is_exported(model):
            told = _IMAGES
            found["about"].append(_WITH_BIASES)
        found["about"].append(f"{told}, {_OTHERS}")
    return found


def _own(path):
    loading = importlib.import_module("caejax.inference.trained")
    try:
        return loading.find(path)
    except CaejaxError as error:
        if path.suffix != SUFFIX:
            raise
        raise CaejaxError(
            f"{error}; of another program's model give an ONNX file, as "
            "torch.onnx.export writes it"
        ) from error


_WITH_BIASES = (
    "what each layer draws is measured with its biases here, and in a run before they "
    "are added, so those numbers differ; those of the whole model may be compared"
)
_IMAGES = "probed with flat images between 0 and 1"
_OTHERS = "of others it may draw more or less: --images=DIR takes those of your images"


def load_extra(module: str, extra: str) -> types.ModuleType:
    """A module of caejax that needs packages of an extra.

    Raises:
      CaejaxError: one of them is missing.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise CaejaxError(
            f"the module {error.name} is missing; pip install 'caejax[{extra}]'"
        ) from error


def channels_second(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """(B, n1, ..., nd, C) as (B, C, n1, ..., nd); flat arrays stay as they are."""
    return [np.moveaxis(x, -1, 1) if x.ndim > 2 else x for x in arrays]
