"""Models that ship with caejax: files of weights, and where they are."""

from pathlib import Path

from caejax.errors import CaejaxError
from caejax.files.safetensors import SUFFIX

# By number of channels, the denoiser of such images.
DENOISERS = {1: "denoiser_gray", 3: "denoiser_color"}
NAMES = tuple(DENOISERS.values())


def place(name: str) -> Path:
    """The file of a shipped model, whether it is there or not.

    Args:
      name: one of `NAMES`.
    """
    return Path(__file__).parent / f"{name}{SUFFIX}"


def find(name: str) -> Path:
    """The file of a shipped model.

    Raises:
      CaejaxError: this installation has none.
    """
    path = place(name)
    if not path.is_file():
        raise CaejaxError(
            f"the weights {name!r} are not in this version of caejax ({path} is "
            "missing); name a run that you have trained: --run=DIR, or "
            "caejax.load(DIR)"
        )
    return path
