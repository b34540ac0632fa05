"""Convolutional denoising autoencoders, and a measure of their checkerboards."""

import importlib
from typing import TYPE_CHECKING, Any

from caejax.errors import CaejaxError

if TYPE_CHECKING:
    from caejax import diagnose, fix, measure, metrics
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

_MODULES = {"diagnose", "fix", "measure", "metrics"}
_OF_INTERFACE = {*__all__} - {*globals()} - _MODULES


def __getattr__(name: str) -> Any:
    # Imported on use: importing caejax does not import JAX.
    if name in _MODULES:
        return importlib.import_module(f"caejax.{name}")
    if name in _OF_INTERFACE:
        return getattr(importlib.import_module("caejax.interface"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
