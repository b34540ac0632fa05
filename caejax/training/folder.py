"""A run's folder: whose it is, and under what circumstances it was made."""

import contextlib
import datetime
import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

import caejax
from caejax import config as config_lib
from caejax.config.stored import read_stored
from caejax.errors import CaejaxError
from caejax.files import finished
from caejax.files.atomic import read_json, write_atomically, write_json
from caejax.files.finished import checkpoint_folders, lacks_samples
from caejax.files.paths import expand
from caejax.runtime import together
from caejax.runtime.cores import usable_cores
from caejax.runtime.devices import cpu_name
from caejax.terminal.commands import as_subcommand
from caejax.terminal.notes import note
from caejax.training import recorded
from caejax.training.recorded import Recorded

_PACKAGES = ("caejax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


def claim(workdir: Path, config: ConfigDict) -> None:
    """Checks that the folder is this run's or nobody's; nothing is written.

    The number of epochs may grow, for the run to go on, and so may the number of
    checkpoints to keep, and the data may be elsewhere, if they are the same; nothing
    else may differ, once a step has been taken.

    Raises:
      CaejaxError: the folder holds a run of another config.
    """
    path = workdir / "config.json"
    if _says(path, config):
        return
    started = path.exists() and any(map(is_started, (workdir / "runs").glob("*")))
    if started and read_config(workdir).sweep:
        raise CaejaxError(
            f"{workdir} holds a sweep, not a single run; choose another --workdir"
        )
    if is_started(workdir):
        _check_same_run(workdir, config)


def settle(workdir: Path, config: ConfigDict, data: Recorded) -> None:
    """Writes what the run is, along with the first that it has done.

    Before that, a command that is interrupted leaves the folder as it was.

    Args:
      workdir: the run's folder.
      config: the run's config.
      data: the run's data.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    old = recorded.read(workdir) if is_started(workdir) else None
    config = config.copy_and_resolve_references()
    # How paths were named first is part of the run's name.
    if old and not recorded.named_alike(config.data, old):
        config.data.dir = old.dir
    if config.train.start_from and is_started(workdir):
        config.train.start_from = _first_start(workdir) or config.train.start_from
    if data != old:
        recorded.write(workdir, data)
    path = workdir / "config.json"
    if not _says(path, config):
        write_environment(workdir, paths_of(workdir))
        write_atomically(path, _text(config))


def begun_in(workdir: Path) -> Path:
    """The folder to which the relative paths in the config of a run or sweep are.

    It is the working directory of the command that has begun it; Path() where that is
    this one's, or is not known.
    """
    with contextlib.suppress(CaejaxError, OSError):
        found = read_json(workdir / "environment.json").get("directory")
        if isinstance(found, str) and os.path.isabs(found) and found != os.getcwd():
            return Path(found)
    return Path()


def paths_of(workdir: Path) -> Path:
    """The folder to which relative paths of a run are, which may not have begun.

    Those of a sweep's run are where the sweep has begun.
    """
    sweep = workdir.parents[1] if len(workdir.parts) > 1 else workdir
    if is_started(workdir):
        return begun_in(workdir)
    if workdir.parent.name == "runs" and (sweep / ".sweep.json").is_file():
        return begun_in(sweep)
    return Path()


def write_environment(workdir: Path, within: Path) -> None:
    """Writes environment.json.

    Args:
      workdir: the folder of a run or a sweep.
      within: the folder to which relative paths are and stay, as `begun_in` tells it.
    """
    directory = {"directory": str(within.absolute())}
    write_json(workdir / "environment.json", environment() | directory)


def _first_start(workdir):
    with contextlib.suppress(CaejaxError, OSError):
        return read_config(workdir).train.start_from
    return ""


def _says(path, config):
    return path.is_file() and path.read_bytes() == _text(config).encode()


def _text(config):
    return config_lib.to_json(config) + "\n"


def is_started(workdir: Path) -> bool:
    """Whether a run has saved anything in its folder."""
    try:
        return (workdir / "summary.json").exists() or last_step(workdir) is not None
    except PermissionError:
        return True  # what may not be looked into is not taken for empty


def last_step(workdir: Path) -> int | None:
    """The step of a run's newest checkpoint, None without one."""
    newest = checkpoint_folders(workdir / "checkpoints")[:1]
    return int(newest[0].name) if newest else None


def read_summary(workdir: Path, config: ConfigDict) -> dict[str, Any] | None:
    """The run's final values, if it has them and they are of all its epochs.

    None, too, where they or its pictures are damaged and can be made again.
    """
    try:
        summary = finished.read_summary(workdir)
    except FileNotFoundError:
        return None
    except CaejaxError as error:
        note(str(error))
        return None
    if summary.get("epochs") != config.train.epochs or lacks_samples(workdir):
        return None
    return summary


def _check_same_run(workdir, new):
    if not (workdir / "config.json").exists():
        raise CaejaxError(
            f"{workdir} has results but no config.json, so they may be of another "
            "model; choose another --workdir or delete this one"
        )
    old, new = map(config_lib.one_run, (read_config(workdir), new))
    fields = config_lib.field_names(new)
    # Names first: where they agree, so do the fields that there are.
    for field in sorted(fields, key=lambda field: field not in config_lib.SWITCHES):
        before, now = config_lib.get(old, field), config_lib.get(new, field)
        if before == now or field == "train.keep_checkpoints":
            continue
        if field == "data.dir" and _knows_its_data(workdir):
            continue
        if field == "train.start_from" and _same_start(workdir, before, now):
            continue
        why = ""
        if field == "train.epochs" and now > before:
            if new.optimizer.schedule == "constant":
                continue
            why = f" under a {new.optimizer.schedule} schedule, which ends with them"
        raise CaejaxError(
            f"{workdir} holds another run: {field} is {before!r} there and {now!r} "
            f"here{why}; choose another --workdir or delete this one"
        )


def _same_start(workdir, before, now):
    """Whether a run is begun from the same folder, which is named differently."""
    if not before or not now:
        return False
    places = (
        expand(before, "config.train.start_from", begun_in(workdir)),
        expand(now, "config.train.start_from"),
    )
    return len(set(map(os.path.realpath, places))) == 1


def _knows_its_data(workdir):
    """Whether the contents of a run's data are known, wherever they lie."""
    data = recorded.read(workdir)
    return data is not None and any(origin for _, origin in data.origins)


def read_config(workdir: Path) -> ConfigDict:
    """The config that a folder's run was made with.

    Raises:
      CaejaxError: there is none, or it cannot be read.
    """
    try:
        return read_stored(workdir / "config.json")
    except FileNotFoundError:
        why = "it has no config.json" if workdir.exists() else "it does not exist"
        raise CaejaxError(
            f"{workdir} holds no run: {why}; name a run's folder"
        ) from None


def environment() -> dict[str, Any]:
    """Versions, device, commit, command and its working directory, as plain data."""
    device = jax.devices()[0]
    return {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": _command(),
        "directory": os.getcwd(),
        "commit": _commit(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "platform": platform.platform(),
        "device": device.device_kind,
        "backend": device.platform,
        "devices": jax.device_count(),
        **({"process_count": together.count()} if together.count() > 1 else {}),
        "cpu": cpu_name(),
        "cpu_cores": len(usable_cores()),
    }


def _version(package):
    if package == "caejax":
        return caejax.__version__  # of a clone that is not installed, too
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _command() -> str:
    """How `caejax` was called, or the program that uses it."""
    name, *words = sys.argv or [""]
    ours = name.startswith(("caejax ", "python -m caejax "))
    if ours or Path(name).parts[-2:] == ("caejax", "main.py"):
        return shlex.join(as_subcommand(words))
    return shlex.join(["python", name, *words])


def _commit() -> str | None:
    """The commit of caejax's own checkout, with "-dirty" if it has been changed."""
    root = Path(__file__).parents[2]
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
