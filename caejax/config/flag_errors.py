"""What is wrong with the command line or the config file, in one line."""

import re
from collections.abc import Sequence

from absl import flags

from caejax import config as config_lib

_KINDS = {int: "a whole number", float: "a number", bool: "True or False"}


def flag_error(error: Exception, argv: Sequence[str]) -> str:
    """Explains what parsing the flags raised.

    Args:
      error: by absl, ml_collections or the config file.
      argv: the command line.
    """
    config = config_lib.default()
    known = config_lib.field_names(config)
    overrides = re.findall(r"--?(?:no)?config\.([\w.]+)", " ".join(argv))
    for field in overrides:
        if field not in known and field not in config and field[:6] != "sweep.":
            return config_lib.unknown_field(field)
    message = str(error)
    if bad := re.match(r"flag --config\.([\w.]+)=(.*?): ", message, re.DOTALL):
        return _bad_value(*bad.groups())
    file = (re.findall(r"--?config[= ](\S+)", " ".join(argv)) or ["?"])[-1]
    if isinstance(error, OSError):
        return f"cannot read the config file {file}: {_last_line(error)}"
    if unknown := re.search(r'Key "(\w+)" does not exist', message):
        return f"{file}: {config_lib.unknown_field(unknown.group(1))}"
    if isinstance(error, flags.Error) and not message.startswith("flag --config="):
        return message.splitlines()[0]
    if "'NoneType'" in message:
        return f"the config file {file} fails: its get_config() returns nothing"
    axes = [field for field in overrides if field[:6] == "sweep."]
    if isinstance(error, KeyError | AttributeError) and axes:
        return f"{file} has no axis for {', '.join(axes)}; --mode=show lists its axes"
    return f"the config file {file} fails: {_last_line(error)}"


def _bad_value(field, value):
    try:
        default = config_lib.get(config_lib.default(), field)
    except config_lib.CaejaxError:
        return f"config.{field} is {value!r}, which cannot be read; quote tuples"
    kind = _KINDS.get(type(default), f"a {type(default).__name__}")
    return f"config.{field} is {value!r}; it must be {kind}, like {default!r}"


def _last_line(error):
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__
