"""Paths as people write them."""

import os
import re
from pathlib import Path

from caejax.errors import CaejaxError

# What `os.path.expandvars` leaves where there is no such variable.
_VARIABLE = re.compile(r"\$(\w+|\{[^}]*\})")


def expand(path: str | os.PathLike[str], what: str) -> Path:
    """Replaces `~`, `~user` and environment variables at the places where shells do.

    A path that exists as it is written is taken so. Relative paths are relative to the
    working directory of the command.

    Args:
      path: the path as the user has written it.
      what: the flag or field that holds it, for the error.

    Raises:
      CaejaxError: a variable or a home that there is not.
    """
    text = os.fspath(path)
    if os.path.lexists(text):
        return Path(text)
    full = os.path.expanduser(os.path.expandvars(text))
    if unset := _VARIABLE.search(full):
        raise CaejaxError(
            f"{what} is {text!r}, but the environment has no variable "
            f"{unset[1].strip('{}')}; set it, or write the path out"
        )
    if full.startswith("~"):
        raise CaejaxError(
            f"{what} is {text!r}, but there is no such home folder; write the path out"
        )
    return Path(full)
