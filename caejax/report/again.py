"""A recorded command, to be given again with some of its flags changed."""

import re
import shlex
from pathlib import Path

from caejax.config.load import lasting_name
from caejax.terminal.commands import as_subcommand, without_flag

_AS_MODULE = ["python", "-m", "caejax.main"]  # of earlier records


def anywhere(command: str, directory: str) -> str:
    """The command with its config named so that it is found from any folder.

    Args:
      command: what `environment.json` has of the run or the sweep.
      directory: the folder that it was given in; "" where that is not known.
    """
    words = shlex.split(command)
    ours = words[:1] == ["caejax"] or words[:3] == _AS_MODULE
    found, rest = without_flag(words, "config")
    if not (ours and found and directory):
        return command
    named = (word.partition("=")[0] in ("-config", "--config") for word in words)
    place = [*named].index(True)
    rest.insert(place, f"--config={lasting_name(found[-1], directory)}")
    return shlex.join(rest)


def here(command: str, workdir: Path) -> str:
    """The command for the folder where it is now, if it was moved or copied.

    Args:
      command: what `environment.json` has of the run or the sweep.
      workdir: its folder.
    """
    found, rest = without_flag(shlex.split(command), "workdir")
    if not found or Path(found[-1]).expanduser().resolve() == workdir.resolve():
        return command
    return shlex.join([*rest, f"--workdir={workdir}"])


def longer(command: str, epochs: int) -> str:
    """The command that trains anew for so many epochs, in a folder of its own.

    Args:
      command: what `environment.json` has of the run or the sweep.
      epochs: how many.

    Returns:
      The command; "" where the recorded one is not one of caejax's with a folder.
    """
    folder, rest = _taken_apart(command, "config.train.epochs")
    if not folder:
        return ""
    folder = re.sub(r"-\d+-epochs$", "", folder.rstrip("/"))
    flags = f"--config.train.epochs={epochs}", f"--workdir={folder}-{epochs}-epochs"
    return shlex.join([*rest, *flags])


def with_flag(command: str, name: str, value: str) -> str:
    """The command for the same folder with another value of a flag, "" as `longer`."""
    folder, rest = _taken_apart(command, name)
    flags = f"--{name}={value}", f"--workdir={folder}"
    return shlex.join([*rest, *flags]) if folder else ""


def _taken_apart(command, name):
    """The folder of a command, "" without one, and the words but that and a flag."""
    words = shlex.split(command)
    if words[:3] == _AS_MODULE:
        words = as_subcommand(words[3:])
    found, rest = without_flag(words, "workdir")
    if words[:1] != ["caejax"] or not found:
        return "", []
    return found[-1], without_flag(rest, name)[1]
