"""A recorded command, to be given again with some of its flags changed."""

import re
import shlex

_OURS = ["python", "-m", "caejax.main"]


def longer(command: str, epochs: int) -> str:
    """The command that trains anew for so many epochs, in a folder of its own.

    Args:
      command: what `environment.json` has of the run or the sweep.
      epochs: how many.

    Returns:
      The command; "" where the recorded one is not one of `caejax.main` with a folder.
    """
    words = shlex.split(command)
    found, rest = _without(words, "workdir")
    if words[:3] != _OURS or not found:
        return ""
    _, rest = _without(rest, "config.train.epochs")
    folder = re.sub(r"-\d+-epochs$", "", found[-1].rstrip("/"))
    flags = f"--config.train.epochs={epochs}", f"--workdir={folder}-{epochs}-epochs"
    return shlex.join([*rest, *flags])


def _without(words, name):
    """The values of a flag, which may be words of their own, and the other words."""
    found, rest, words = [], [], list(words)
    while words:
        word = words.pop(0)
        flag, sign, value = word.partition("=")
        if flag not in (f"-{name}", f"--{name}"):
            rest.append(word)
        elif sign or words:
            found.append(value if sign else words.pop(0))
    return found, rest
