"""Config files: found by path or by name, run, and what is wrong with them."""

import difflib
import importlib.machinery
import importlib.util
import os
import re
from pathlib import Path, PurePosixPath

from ml_collections import ConfigDict

from caejax.config import resolve, unknown_field
from caejax.errors import CaejaxError
from caejax.files.paths import expand_there

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


def find_config(name_or_path: str | os.PathLike[str], within: Path = Path()) -> Path:
    """Finds a config file.

    Args:
      name_or_path: a file's path, or one of `config_names`. A name may end in ".py" and
        begin with "configs/"; a file that exists takes precedence over a name.
      within: the folder to which a relative path is relative; by default the working
        directory.

    Raises:
      CaejaxError: it is neither.
    """
    path = expand_there(name_or_path, "the config", within)
    if os.path.isfile(path):
        return path
    names = config_names()
    name = _as_name(os.fspath(name_or_path))
    if name in names:
        return _folder() / f"{name}.py"
    near = _near(path, name, names)
    hint = f" (did you mean {near!r}?)" if near else ""
    raise CaejaxError(
        f"config {str(name_or_path)!r} is {'a folder and ' * os.path.isdir(path)}no "
        f"file, and none of that name ships with caejax{hint}; "
        f"known: {', '.join(names)}"
    )


def lasting_name(name_or_path: str, within: str) -> str:
    """A config as it is found from any folder: its shipped name, or an absolute path.

    Args:
      name_or_path: as for `find_config`; what is not there is written out, too.
      within: the folder to which a relative path is relative.
    """
    try:
        path = find_config(name_or_path, Path(within))
    except CaejaxError:
        path = Path(within, name_or_path)
    if path.resolve().is_relative_to(_folder().resolve()):
        name = path.resolve().relative_to(_folder().resolve())
        return name.with_suffix("").as_posix()
    return str(path)


def _near(path, name, names):
    """The file beside it or the known name that is most like what was given, or ""."""
    beside = [x.with_suffix("") for x in path.parent.glob("*.py")]
    known = {name.split("/")[-1]: name for name in reversed(names)}
    known |= {name: name for name in names}
    known |= {x.name: f"{x}.py" for x in beside}
    near = difflib.get_close_matches(name, known, n=1)
    near = near or difflib.get_close_matches(path.stem, known, n=1)
    return known[near[0]] if near else ""


def _as_name(text):
    name = PurePosixPath(text.removesuffix(".py"))
    return name.as_posix().removeprefix("configs/")


def load_config(
    name_or_path: str | os.PathLike[str], within: Path = Path()
) -> ConfigDict:
    """Runs a config file and returns its config, resolved.

    Args:
      name_or_path: as for `find_config`.
      within: as for `find_config`.

    Raises:
      CaejaxError: there is no such file, it fails, or what it sets is no config.
    """
    path = find_config(name_or_path, within)
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
    if isinstance(error, CaejaxError):
        return f"{path}: {error}"
    if unknown := re.search(r'Key "(\w+)" does not exist', str(error)):
        return f"{path}: {unknown_field(unknown.group(1))}"
    return f"the config file {path} fails: {_last_line(error)}"


def _last_line(error):
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__
