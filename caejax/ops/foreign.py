"""Arrays of other libraries, PyTorch's above all, as NumPy's; none is imported."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from caejax.errors import CaejaxError

Function = TypeVar("Function", bound=Callable[..., Any])

_OWN = ("numpy", "jax", "jaxlib")
_MARKS = ("__array__", "__array_interface__", "__dlpack__")


def is_array(value: Any) -> bool:
    """Whether a value is an array of any library, or gives itself as one."""
    if isinstance(value, type):
        return False
    marked = any(hasattr(value, mark) for mark in _MARKS)
    return marked or isinstance(value, memoryview) or is_tensor(value)


def is_tensor(value: Any) -> bool:
    """Whether a value is a tensor of PyTorch."""
    return "torch" in libraries(value) and hasattr(value, "detach")


def libraries(value: Any) -> set[str]:
    """The packages that the type of a value, and what it is made from, are of."""
    return {base.__module__.split(".")[0] for base in type(value).__mro__}


def as_numpy(array: Any, name: str) -> NDArray[Any]:
    """Any library's array as NumPy's.

    Args:
      array: PyTorch's may need gradients and lie on any device.
      name: what the array is called in errors.

    Raises:
      CaejaxError: it is no array, or none that NumPy can read.
    """
    if not is_array(array):
        raise CaejaxError(
            f"{name}: {type(array).__name__} is no array; give an array of NumPy, JAX "
            "or PyTorch"
        )
    try:
        if is_tensor(array):
            return _of_torch(array)
        if hasattr(array, "__dlpack__") and not hasattr(array, "__array__"):
            return np.from_dlpack(array)
        return np.asarray(array)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise CaejaxError(
            f"{name}: a {type(array).__name__} that cannot be made an array of NumPy: "
            f"{error}"
        ) from error


def _of_torch(tensor):
    tensor = tensor.detach().cpu()
    if str(tensor.dtype) == "torch.bfloat16":  # which NumPy does not have
        tensor = tensor.float()
    return tensor.numpy()


def taking_any(function: Function) -> Function:
    """A function of arrays that takes those of any library, and lists of them.

    Arrays of NumPy and JAX are handed on as they are, and so is what is no array.
    """

    @functools.wraps(function)
    def take(*args, **named):
        args = [_taken(x, f"argument {i}") for i, x in enumerate(args, 1)]
        named = {name: _taken(x, name) for name, x in named.items()}
        return function(*args, **named)

    return cast(Function, take)


def _taken(value, name):
    if isinstance(value, list) and value and (is_array(value[0]) or _numbers(value)):
        return _stacked(value, name)
    if is_array(value) and not libraries(value) & {*_OWN}:
        return as_numpy(value, name)
    return value


def _numbers(value):
    """Whether a list holds numbers with a point, or lists of such."""
    while isinstance(value, list) and value:
        value = value[0]
    return isinstance(value, float)


def _stacked(value, name):
    items = [as_numpy(x, name) if is_array(x) else np.asarray(x, float) for x in value]
    if shapes := {x.shape for x in items[1:]} - {items[0].shape}:
        raise CaejaxError(
            f"{name}: a list of arrays of shapes {items[0].shape} and {min(shapes)}; "
            "give such of one shape"
        )
    return np.stack(items)
