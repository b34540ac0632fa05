"""Config files: found by path or by name, and read; JAX is not imported."""

import difflib
import importlib.machinery
import importlib.util
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ml_collections import ConfigDict

from caejax.errors import CaejaxError

_PACKAGE = Path(__file__).parents[1]


def _folder():
    """Where the shipped configs lie: in an installed package, or in the checkout."""
    installed = _PACKAGE / "configs"
    return installed if installed.is_dir() else _PACKAGE.parent / "configs"


def config_names() -> list[str]:
    """The names of the configs that ship with caejax, like "seeds/b_basic"."""
    folder = _folder()
    files = (path.relative_to(folder) for path in folder.rglob("*.py"))
    return sorted(path.with_suffix("").as_posix() for path in files)


def find_config(name_or_path: str | Path) -> Path:
    """Finds a config file.

    Args:
      name_or_path: a file, or one of `config_names`. A name may end in ".py" and
        begin with "configs/"; a file that exists goes before a name.

    Raises:
      CaejaxError: it is neither.
    """
    path = Path(name_or_path)
    if path.is_file():
        return path
    names = config_names()
    name = _as_name(path)
    if name in names:
        return _folder() / f"{name}.py"
    last_parts = {name.split("/")[-1]: name for name in names}
    near = difflib.get_close_matches(name, names, n=1) or [
        last_parts[part] for part in difflib.get_close_matches(name, last_parts, n=1)
    ]
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise CaejaxError(
        f"config {str(name_or_path)!r} is no file, and none of that name ships with "
        f"caejax{hint}; known: {', '.join(names)}"
    )


def _as_name(path):
    name = PurePosixPath(path.as_posix().removesuffix(".py"))
    return name.as_posix().removeprefix("configs/")


def with_found_config(argv: Sequence[str]) -> list[str]:
    """A command line whose --config names a file, where it named a shipped config.

    Args:
      argv: the words; --config=NAME_OR_FILE and --config NAME_OR_FILE are looked at.

    Raises:
      CaejaxError: there is no such config.
    """
    words = list(argv)
    for i, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if flag not in ("--config", "-config"):
            continue
        if equals:
            words[i] = f"{flag}={find_config(value)}"
        elif i + 1 < len(words):
            words[i + 1] = str(find_config(words[i + 1]))
    return words


def load_config(name_or_path: str | Path) -> ConfigDict:
    """Reads a config file.

    Args:
      name_or_path: as for `find_config`.

    Returns:
      What the file's `get_config()` returns, locked.

    Raises:
      CaejaxError: there is no such file, or it fails.
    """
    path = find_config(name_or_path)
    loader = importlib.machinery.SourceFileLoader("caejax_config_file", str(path))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    module = importlib.util.module_from_spec(spec)
    try:
        loader.exec_module(module)
        config = module.get_config()
    except Exception as error:
        last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise CaejaxError(f"the config file {path} fails: {last}") from error
    if not isinstance(config, ConfigDict):
        raise CaejaxError(
            f"the config file {path} fails: its get_config() returns "
            f"{type(config).__name__}; return caejax.default_config(), changed"
        )
    return config.lock()
