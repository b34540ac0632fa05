"""Models that ship with caejax: files of weights, and where they are."""

import os
from pathlib import Path

from caejax.errors import CaejaxError
from caejax.files.safetensors import SUFFIX

# By number of channels, the denoiser of such images.
DENOISERS = {1: "denoiser_gray", 3: "denoiser_color"}
NAMES = tuple(DENOISERS.values())
KINDS = {1: "grey", 3: "colour"}


def place(name: str) -> Path:
    """The file of a shipped model, whether it is there or not.

    Args:
      name: one of `NAMES`.
    """
    return Path(__file__).parent / f"{name}{SUFFIX}"


def shipped() -> dict[int, str]:
    """The denoisers whose files are there, by number of channels."""
    return {n: name for n, name in DENOISERS.items() if place(name).is_file()}


def what_ships() -> str:
    """What this version ships, in words that stand behind its name."""
    found = [f"{name} for {KINDS[n]} images" for n, name in shipped().items()]
    return f"ships {' and '.join(found)}" if found else "ships no model"


def models() -> str:
    """What a trained model can be named by, in words."""
    known = ["the folder of a run", "a safetensors file of caejax export"]
    known += shipped().values()
    return f"{', '.join(known[:-1])} or {known[-1]}"


def is_meant(written: str | os.PathLike[str], path: Path) -> bool:
    """Whether a model that ships is named, and no file or folder of the user's.

    Args:
      written: what the user has written.
      path: the path that this is, which is before a shipped model.
    """
    return str(written) in NAMES and not path.exists()


def find(name: str) -> Path:
    """The file of a shipped model.

    Raises:
      CaejaxError: this installation has none.
    """
    path = place(name)
    if not path.is_file():
        raise CaejaxError(
            f"the weights {name!r} are not there ({path} is missing): this version of "
            f"caejax {what_ships()}; name a run that you have trained, --run=DIR, or "
            "caejax.load(DIR)"
        )
    return path
