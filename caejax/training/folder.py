"""A run's folder: whose it is, and under what circumstances it was made."""

import datetime
import importlib.metadata
import json
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from caejax import config as config_lib
from caejax.errors import CaejaxError
from caejax.files.atomic import write_atomically, write_json
from caejax.runtime.devices import usable_cores

_PACKAGES = ("caejax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


def claim(workdir: Path, config: ConfigDict) -> None:
    """Makes the folder this run's, or checks that it is already.

    The number of epochs may grow, for the run to go on, and so may the number of
    checkpoints to keep; nothing else may differ, once there are checkpoints.

    Raises:
      CaejaxError: the folder holds a run of another config.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    path = workdir / "config.json"
    text = config_lib.to_json(config) + "\n"
    if path.exists() and path.read_text() == text:
        return
    sweep = path.exists() and read_config(workdir).sweep
    if sweep and any(is_started(run) for run in (workdir / "runs").glob("*")):
        raise CaejaxError(
            f"{workdir} holds a sweep, not a single run; choose another --workdir"
        )
    if is_started(workdir):
        _check_same_run(workdir, config)
    write_json(workdir / "environment.json", environment())
    write_atomically(path, text)


def is_started(workdir: Path) -> bool:
    """Whether a run has saved anything in its folder."""
    return (workdir / "summary.json").exists() or last_step(workdir) is not None


def last_step(workdir: Path) -> int | None:
    """The step of a run's newest checkpoint, None without one."""
    # Half-written checkpoints have longer names.
    folders = [workdir / "checkpoints" / name for name in ("last", "stopped")]
    names = [path.name for folder in folders for path in folder.glob("*")]
    return max((int(name) for name in names if name.isdigit()), default=None)


def read_summary(workdir: Path, config: ConfigDict) -> dict[str, Any] | None:
    """The run's final values, if it has them and they are of all its epochs."""
    path = workdir / "summary.json"
    summary = json.loads(path.read_text()) if path.exists() else {}
    return summary if summary.get("epochs") == config.train.epochs else None


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
        why = ""
        if field == "train.epochs" and now > before:
            if new.optimizer.schedule == "constant":
                continue
            why = f" under a {new.optimizer.schedule} schedule, which ends with them"
        raise CaejaxError(
            f"{workdir} holds another run: {field} is {before!r} there and {now!r} "
            f"here{why}; choose another --workdir or delete this one"
        )


def read_config(workdir: Path) -> ConfigDict:
    """The config that a folder's run was made with.

    Raises:
      CaejaxError: there is none, or it cannot be read.
    """
    path = workdir / "config.json"
    try:
        return config_lib.from_json(path.read_text())
    except FileNotFoundError:
        raise CaejaxError(
            f"{workdir} holds no run: it has no config.json; name a run's folder"
        ) from None
    except json.JSONDecodeError as error:
        raise CaejaxError(f"{path} is not JSON ({error}); delete the folder") from error


def environment() -> dict[str, Any]:
    """Versions, device, commit and command, to be stored beside the results."""
    device = jax.devices()[0]
    return {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": _command(),
        "commit": _commit(),
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "platform": platform.platform(),
        "device": device.device_kind,
        "backend": device.platform,
        "devices": jax.device_count(),
        "cpu_cores": len(usable_cores()),
    }


def _command() -> str:
    """How `caejax.main` was called, or the program that uses caejax."""
    name, *words = sys.argv or [""]
    ours = name.startswith(("caejax ", "python -m caejax "))
    if ours or Path(name).parts[-2:] == ("caejax", "main.py"):
        return shlex.join(["python", "-m", "caejax.main", *words])
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
