"""One run on the devices of several processes, which take its steps together.

Process 0 does the run as if it were alone, and all that it writes, measures and decides
is its own. Only the steps are everybody's: before each call it tells the others, which
do nothing else.
"""

import hashlib
import importlib.metadata
import platform
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

import caejax
from caejax import config as config_lib
from caejax.errors import CaejaxError, describe
from caejax.runtime import devices, stopping, together
from caejax.training.recorded import Recorded
from caejax.training.run import Run, create_run, new_state
from caejax.training.state import TrainState
from caejax.training.step import Sums, compiled_steps, zero_sums

Take = Callable[[Run, TrainState, Sums, int], tuple[TrainState, Sums]]

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")
_VISIBLE = 20.0  # seconds until a new file is seen through a network file system


def check_devices(config: ConfigDict) -> None:
    """Checks what all processes know of by themselves.

    Raises:
      CaejaxError: a sweep, or a batch that all devices cannot share evenly.
    """
    if config.sweep:
        raise CaejaxError(
            "--distributed is for one run; a sweep's runs are spread over machines by "
            "several commands on one folder, or by config.executor.name"
        )
    size, count = config.train.batch_size, jax.device_count()
    if size % count:
        raise CaejaxError(
            f"config.train.batch_size is {size}, which {count} devices of "
            f"{together.count()} processes cannot share evenly; make it a multiple of "
            f"{count}"
        )


def greet(config: ConfigDict, workdir: Path) -> None:
    """Process 0 sees that all others are what it is, and look at the same folder.

    Raises:
      CaejaxError: one is or does not.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    token = workdir / f".distributed-{uuid.uuid4().hex[:12]}"
    token.touch()
    try:
        together.tell(about=_about(config), token=str(token.absolute()))
        _raise_any(together.replies("greeting"))
    finally:
        token.unlink(missing_ok=True)


def dismiss(code: int) -> None:
    """Process 0 ends the others, with an exit code."""
    together.tell(end=code)


def follow(config: ConfigDict, take: Take) -> int:
    """What all processes but 0 do; returns the exit code.

    Signals are for process 0, which comes to an end and says so.

    Args:
      config: the run's config.
      take: the function that takes steps, `caejax.training.loop.take`.
    """
    follower = _Follower(config, take)
    with stopping.deaf():
        for message in together.hear():
            if "end" in message:
                return message["end"]
            if "about" in message:
                together.reply("greeting", _difference(config, **message))
            elif "data" in message:
                together.reply("data", follower.load(**message))
            else:
                follower.step(**message)
    return 1


class _Last:
    """What the last call has returned, on all processes alike, and the images."""

    run: Run | None = None
    state: TrainState | None = None
    sums: Sums | None = None
    images: tuple[Any, Any] = (None, None)


def announce(run: Run, state: TrainState, sums: Sums, stop: int) -> None:
    """Process 0 makes the others take the steps that it is about to take."""
    if _Last.run is not run:
        data = run.data._asdict()
        together.tell(data=data, shape=list(run.images["train"].shape))
        _raise_any(together.replies("data"))
        _Last.run = run
    fresh = state is not _Last.state or sums is not _Last.sums
    together.tell(stop=int(stop), fresh=fresh)
    if fresh:
        together.from_first(jax.tree.map(np.asarray, (state, sums)))


def took(state: TrainState, sums: Sums) -> None:
    """Process 0 remembers what the others have, too."""
    _Last.state, _Last.sums = state, sums


class _Follower:
    def __init__(self, config, take):
        self._config, self._take = config, take
        self._run, self._at = None, None

    def load(self, data, shape):
        """Loads the run's images; returns what is wrong with them, or ""."""
        try:
            origins = tuple(
                (part, tuple(map(tuple, pairs))) for part, pairs in data["origins"]
            )
            recorded = Recorded(**{**data, "origins": origins})
            self._run = create_run(self._config, recorded, verbose=False)
        except Exception as error:
            return describe(error)
        found = list(self._run.images["train"].shape)
        return "" if found == shape else f"has images of {found}, process 0 of {shape}"

    def step(self, stop, fresh):
        if fresh:
            like = devices.on_all_devices((new_state(self._run), zero_sums()))
            found = together.from_first(jax.tree.map(np.asarray, like))
            self._at = devices.on_all_devices(found)
        self._at = self._take(self._run, *self._at, stop)


def spread_steps(run: Run):
    """The compiled steps of a run for the devices of all processes."""
    steps = devices.spread(compiled_steps(run.task))

    def take(state, sums, images, *rest):
        return steps(state, sums, _on_all(images), *rest)

    return take


def _on_all(images):
    """Images on all of this process's devices, where they are put once."""
    if _Last.images[0] is not images:
        _Last.images = images, devices.on_all_devices(images)
    return _Last.images[1]


def _about(config):
    text = config_lib.to_json(config).encode()
    return {
        "caejax": caejax.__version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in _PACKAGES},
        "devices": jax.local_devices()[0].device_kind,
        "config": hashlib.sha256(text).hexdigest()[:10],
    }


def _difference(config, about, token):
    """What this process is or sees otherwise than process 0; "" for nothing."""
    for name, value in _about(config).items():
        if value != about[name]:
            return f"{name} is {value} there and {about[name]} on process 0"
    until = time.monotonic() + _VISIBLE
    while not Path(token).exists():
        if time.monotonic() > until:
            return (
                f"{Path(token).parent} is another folder there: --workdir must be on "
                "a file system that all machines share"
            )
        time.sleep(0.2)
    return ""


def _raise_any(replies):
    for number, text in replies.items():
        if text:
            raise CaejaxError(f"--distributed: process {number}: {text}")
