"""Config files: what their `get_config` returns, and what is wrong with them."""

import importlib.machinery
import importlib.util
import re
from pathlib import Path

from ml_collections import ConfigDict

from caejax.config import resolve, unknown_field
from caejax.errors import CaejaxError


def load_config(path: str | Path) -> ConfigDict:
    """Runs a config file and returns its config, resolved.

    Raises:
      CaejaxError: the file cannot be read, it fails, or what it sets is no config.
    """
    try:
        config = _run(str(path))
    except OSError as error:
        raise CaejaxError(
            f"cannot read the config file {path}: {_last_line(error)}"
        ) from error
    except Exception as error:
        raise CaejaxError(_what_failed(path, error)) from error
    if not isinstance(config, ConfigDict):
        raise CaejaxError(
            f"the config file {path} fails: its get_config() returns "
            f"{'nothing' if config is None else 'no ConfigDict'}"
        )
    try:
        return resolve(config)
    except CaejaxError as error:
        raise CaejaxError(f"{path}: {error}") from error


def _run(path):
    loader = importlib.machinery.SourceFileLoader("caejax_config_file", path)
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader(loader.name, loader)
    )
    loader.exec_module(module)
    return module.get_config()


def _what_failed(path, error):
    if unknown := re.search(r'Key "(\w+)" does not exist', str(error)):
        return f"{path}: {unknown_field(unknown.group(1))}"
    return f"the config file {path} fails: {_last_line(error)}"


def _last_line(error):
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__
