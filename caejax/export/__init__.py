"""Trained models as files that other programs run."""

import importlib

from caejax.errors import CaejaxError, did_you_mean
from caejax.files.folders import leaving_none_empty
from caejax.files.paths import Written, expand
from caejax.inference.trained import Trained

FORMATS = {
    "safetensors": "caejax.export.weights",
    "stablehlo": "caejax.export.stablehlo",
    "onnx": "caejax.export.onnx_file",
}
"""By name, the module whose `write(model, path)` writes the format."""


def check_format(kind: str) -> None:
    """Refuses formats that nothing is written in.

    Raises:
      CaejaxError: the name of one.
    """
    if kind not in FORMATS:
        raise CaejaxError(
            f"--format is {kind!r:.200}{did_you_mean(kind, FORMATS)}; known: "
            f"{', '.join(FORMATS)}"
        )


def export(model: Trained, kind: str, path: Written) -> str:
    """Writes a trained model as a file; returns in words what it holds.

    Args:
      model: the model.
      kind: a name of `FORMATS`.
      path: the file, which is replaced if it is there.

    Raises:
      CaejaxError: an unknown format, or a model that it cannot hold.
    """
    check_format(kind)
    path = expand(path, "the file")
    module = importlib.import_module(FORMATS[kind])
    with leaving_none_empty(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        text: str = module.write(model, path)
    return text
