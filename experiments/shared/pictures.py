"""Pictures of a study in 8 bits, to a small file beside it and back."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from caejax.files.atomic import replacing

Pictures = Mapping[str, np.ndarray]


def as_bytes(images: np.ndarray) -> np.ndarray:
    """Images as uint8; what leaves [0, 1] is clipped."""
    return np.uint8(np.rint(255 * np.clip(images, 0, 1)))


def write(pictures: Pictures, path: Path) -> None:
    """Writes arrays by name."""
    with replacing(path) as file:
        np.savez_compressed(file, **pictures)


def read(path: Path) -> dict[str, np.ndarray] | None:
    """Reads what `write` wrote; None where there is nothing."""
    if not path.exists():
        return None
    with np.load(path) as arrays:
        return dict(arrays)
