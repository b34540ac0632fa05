"""A model as a safetensors file: its parameters by name, its config in the header."""

from collections.abc import Mapping
from pathlib import Path

import caejax
from caejax.config import to_json
from caejax.files import safetensors
from caejax.inference.trained import Trained
from caejax.models.named import named_arrays


def write(model: Trained, path: Path, more: Mapping[str, str] | None = None) -> str:
    """Writes the file, which `caejax.load` reads; returns in words what it holds.

    Args:
      model: the model.
      path: the file.
      more: further texts of the header by name.
    """
    arrays = named_arrays(model.params)
    texts = {"caejax": caejax.__version__, "config": to_json(model.config)}
    safetensors.write(path, arrays, {**texts, **(more or {})})
    count = sum(array.size for array in arrays.values())
    return f"safetensors: {len(arrays)} arrays, {count:,} parameters, and the config"
