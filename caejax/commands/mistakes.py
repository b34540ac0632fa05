"""What is said of words on the command line that are no flags, or not of the mode."""

import difflib
import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from absl import flags

from caejax.commands import flag_table
from caejax.config import command_line
from caejax.config.load import config_names
from caejax.errors import CaejaxError

_MOST = 3  # things that may have been meant


def check_mode(mode: str) -> None:
    """Refuses flags that are given and not for the mode.

    Raises:
      CaejaxError: there is one.
    """
    known = {*flag_table.names(mode), *flag_table.ignored(mode), "mode"}
    for name in flag_table.names():
        flag = flags.FLAGS[name]
        if name not in known and flag.present and flag.value is not False:
            whose = " and ".join(f"`caejax {x}`" for x in flag_table.modes(name))
            value = flag.value
            text = ",".join(value) if isinstance(value, list) else str(value)
            hint = _question(_fields(command_line.fields_like(name), text, mode))
            raise CaejaxError(f"--{name} is for {whose}{hint and f'; {hint}'}")


def no_flag(words: Sequence[str], mode: str, program: str) -> str:
    """The line that says a word is no flag, and what it may have been meant as.

    Args:
      words: the word, and those behind it.
      mode: one of `caejax.commands.modes.MODES`.
      program: how the mode is called, as "caejax run".
    """
    word, *behind = words
    name, sign, value = word.lstrip("-").partition("=")
    if not sign and word.startswith("-") and behind and not behind[0].startswith("-"):
        value = behind[0]
    hint = _question(_meant(word, name, value, mode))
    shown = word if word.startswith("-") else repr(word)
    return (
        f"{shown} is no flag{hint and f' ({hint})'}; flags look like --workdir=DIR, "
        f"and {program} --help lists all"
    )


def bad_value(error: Exception) -> str:
    """The line of a value that a flag does not take, by what absl says of it."""
    text = str(error).splitlines()[0].removeprefix("ERROR:: ")
    if found := re.match(r"Missing value for flag --?([\w-]+)", text):
        return _no_value(found[1])
    if found := re.match(r"flag --(\w+)=.*Non-boolean argument", text):
        text = f"--{found[1]} is a switch"
    elif found := re.match(r"--?no([\w-]+)=.* does not take an argument", text):
        text = f"--no{found[1]} is a switch"
    else:
        return text
    return f"{text}, which has no value: --{found[1]}, or --no{found[1]}"


def check_values(words: Sequence[str]) -> None:
    """Refuses a flag that takes the next flag for its value, and two configs.

    Args:
      words: the command line without the fields of the config.

    Raises:
      CaejaxError: there is one.
    """
    for word, behind in pairwise(words):
        name = re.sub("^--?", "", word)
        known = word.startswith("-") and name in flag_table.names()
        if known and behind.startswith("--") and not flags.FLAGS[name].boolean:
            raise CaejaxError(f"{_no_value(name)}, not {behind}")
    # Of fields the last one counts, so that scripts may add their own; no config is
    # half of each of two.
    if sum(re.match(r"--?config(=|$)", word) is not None for word in words) > 1:
        raise CaejaxError("--config is given twice; leave one out")


def _no_value(name: str) -> str:
    value = flag_table.value(name) if name in flag_table.names() else "VALUE"
    return f"--{name} has no value; give --{name}={value}"


def _question(flags_meant: Iterable[str]) -> str:
    *others, last = [*flags_meant][:_MOST] or [""]
    if not last:
        return ""
    return f"did you mean {', '.join(others)}{' or ' * bool(others)}{last}?"


def _meant(word: str, name: str, value: str, mode: str) -> list[str]:
    """Flags that a word may have been meant as, the likeliest first."""
    known = _spelled(mode)
    if same := known.get(name.replace("_", "-").lower()):
        return [_flag(same, value)]
    if not word.startswith("-") and "=" not in word:
        return _config_or_folder(word)
    if found := _fields(command_line.fields_like(name), value, mode):
        return found
    if near := difflib.get_close_matches(name.replace("_", "-"), known, n=1):
        return [_flag(known[near[0]], value)]
    return _fields(command_line.near_fields(name), value, mode)


def _spelled(mode: str) -> dict[str, str]:
    """Flags of a mode, and how switches are turned off, by a spelling with dashes."""
    known = flag_table.names(mode)
    known += [f"no{name}" for name in known if flags.FLAGS[name].boolean]
    return {name.replace("_", "-"): name for name in known}


def _config_or_folder(word: str) -> list[str]:
    if word.endswith(".py") or word in config_names():
        return [_flag("config", word)]
    return [_flag("workdir", word)] if os.path.isdir(word) else []


def _fields(found: Mapping[str, Any], value: str, mode: str) -> list[str]:
    """The flags of fields, those alone that the mode looks at."""
    return [
        _flag(f"config.{field}", _as_tuple(value, default))
        for field, default in found.items()
        if command_line.looks_at(mode, field)
    ]


def _as_tuple(value: str, default: Any) -> str:
    if not value or value.startswith("(") or not isinstance(default, tuple):
        return value
    return repr(tuple(value.split(",")))


def _flag(name: str, value: str) -> str:
    if value:
        return f"--{name}={_quoted(value)}"
    return f"--{name}{'=VALUE' * name.startswith('config.')}"


def _quoted(value: str) -> str:
    """A value as shells take it; tuples, which hold ', in " for the eye."""
    plain = "'" in value and not re.search(r'["$`\\!]', value)
    return f'"{value}"' if plain else shlex.quote(value)
