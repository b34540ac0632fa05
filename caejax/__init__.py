"""Convolutional denoising autoencoders, and a measure of their checkerboards.

Models are trained (`train`), loaded (`load`) and applied to images of any size
(`denoise`, `reconstruct`, `encode`, `decode`). `diagnose` finds what draws a grid in
any model, `fix` takes it out, `measure` finds it in images alone. `help(caejax.NAME)`
says more of each. A mistake of the user raises a `CaejaxError`, whose line says what to
change.
"""

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

from caejax.errors import CaejaxError

if TYPE_CHECKING:
    from caejax import metrics
    from caejax.diagnose import diagnose
    from caejax.fix import fix
    from caejax.interface import (
        Model,
        decode,
        default_config,
        denoise,
        encode,
        from_torch,
        load,
        load_config,
        load_data,
        reconstruct,
        train,
    )
    from caejax.measure import measure

__version__ = "0.2.0"

__all__ = [
    "CaejaxError",
    "Model",
    "__version__",
    "decode",
    "default_config",
    "denoise",
    "diagnose",
    "encode",
    "fix",
    "from_torch",
    "load",
    "load_config",
    "load_data",
    "measure",
    "metrics",
    "reconstruct",
    "train",
]

_FUNCTIONS = {"diagnose", "fix", "measure"}  # of the rooms of these names
_MODULES = {*_FUNCTIONS, "metrics"}
_OF_INTERFACE = {*__all__} - {*globals()} - _MODULES


def __getattr__(name: str) -> Any:
    # Imported on use: importing caejax does not import JAX.
    if name in _MODULES:
        importlib.import_module(f"caejax.{name}")  # which sets it
        return globals()[name]
    if name in _OF_INTERFACE:
        return getattr(importlib.import_module("caejax.interface"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(types.ModuleType):
    """The package, whose rooms of one function are that function."""

    def __setattr__(self, name: str, value: Any) -> None:
        # Importing a room sets it here. As the function, `help` shows what it takes; it
        # has the room's names, so that `caejax.fix.fix_file` is found.
        if name in _FUNCTIONS and isinstance(value, types.ModuleType):
            function = getattr(value, name)
            function.__dict__ = vars(value)
            value = function
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
