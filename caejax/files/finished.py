"""What training leaves in a run's folder: read, or said in one line what is wrong."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from caejax.errors import CaejaxError, lacks_memory
from caejax.files.atomic import damaged, is_number, read_json

_AGAIN = "`caejax run` makes it again from the last checkpoint"
# Axes of the arrays that figures are drawn from.
_AXES = {
    "target": 4,
    "input": 4,
    "output": 4,
    "flat": 4,
    "gallery_input": 4,
    "gallery_output": 4,
    "gallery_ripple": 4,
    "residual_spectrum": 2,
    "residual_phase_means": 3,
}
_ALIKE = (
    ("target", "input", "output"),
    ("gallery_input", "gallery_output", "gallery_ripple"),
)


def read_summary(workdir: Path) -> dict[str, Any]:
    """Reads a run's summary.json: numbers by name.

    Raises:
      FileNotFoundError: there is none.
      CaejaxError: it is damaged.
    """
    path = workdir / "summary.json"
    summary = read_json(path, _AGAIN)
    for name, value in summary.items():
        if not is_number(value):
            raise damaged(path, f"{name} is {str(value)[:40]!r}, no number", _AGAIN)
    if not summary:
        raise damaged(path, "it is empty", _AGAIN)
    return summary


def read_samples(workdir: Path) -> dict[str, np.ndarray]:
    """Reads a run's samples.npz: pictures by name.

    Raises:
      FileNotFoundError: there is none.
      CaejaxError: it is damaged.
    """
    path = workdir / "samples.npz"
    try:
        # NumPy leaves a file open that is no archive.
        with path.open("rb") as file, np.load(file) as archive:
            arrays = dict(archive)
        _check_samples(arrays)
    except (FileNotFoundError, PermissionError):
        raise
    except NotADirectoryError as error:
        raise FileNotFoundError(error.errno, error.strerror, str(path)) from None
    # Every part of an archive has errors of its own.
    except Exception as error:
        if lacks_memory(error):
            raise
        why = "it holds no arrays of numbers" if "pickle" in str(error) else error
        raise damaged(path, why, _AGAIN) from error
    return arrays


def reference_samples(workdir: Path, row: Mapping[str, Any]) -> Path:
    """The file of what a reference made of the examples that runs show.

    Args:
      workdir: the folder of the run or the sweep.
      row: the reference's row of references.csv.
    """
    size = f"_{row['latent_size']}" if row.get("latent_size") else ""
    return workdir / "references" / row["setting"] / f"{row['reference']}{size}.npz"


def _check_samples(arrays):
    for name, axes in _AXES.items():
        array = arrays.get(name)
        if array is None:
            continue
        fine = array.ndim == axes and array.size and array.dtype.kind in "fiu"
        if not fine:
            raise ValueError(f"{name} has shape {array.shape} of {array.dtype}")
    for first, *others in _ALIKE:
        if first == "target" or any(name in arrays for name in (first, *others)):
            shapes = {arrays[name].shape for name in (first, *others)}
            if len(shapes) > 1:
                raise ValueError(f"{first} and others have shapes {shapes}")


def lacks_samples(workdir: Path) -> bool:
    """Whether a run's samples.npz is lost or damaged, though it could be made again."""
    try:
        read_samples(workdir)
    except (CaejaxError, FileNotFoundError):
        return bool(checkpoint_folders(workdir / "checkpoints"))
    return False


def checkpoint_folders(folder: Path) -> list[Path]:
    """A run's checkpoints, newest first; each is named after its step.

    Args:
      folder: the run's checkpoint folder, which holds last/, best/ and stopped/.
    """
    # Half-written ones have longer names, and anything may lie beside them.
    names = ("last", "best", "stopped")
    found = [path for name in names for path in (folder / name).glob("*")]
    named = [p for p in found if p.name.isascii() and p.name.isdigit() and p.is_dir()]
    return sorted(named, key=lambda path: int(path.name), reverse=True)
