"""Several processes as one: the first decides, and tells the others what to do.

Processes are joined by `jax.distributed`. What they say to each other goes through its
store of keys and values, and so waits for as long as it takes without a message between
devices; arrays go by these.
"""

import importlib
import itertools
import json
import os
from collections.abc import Iterator
from typing import Any

import jax
from jax.experimental import multihost_utils

from caejax.errors import CaejaxError

_PATIENCE = 1.0  # seconds of one call; Python looks up in between
_REPLY = 600.0  # seconds for another process to answer
_LOST = 30  # seconds without a sign of life after which a process is lost
_KEPT = 16  # messages, so that a slow process still finds its own

_SETTINGS = {
    "jax_cpu_collectives_implementation": "gloo",
    "jax_enable_preemption_service": False,  # it would take SIGTERM for itself
}

_numbers = itertools.count()


def join(address: str = "", count: int | None = None, index: int | None = None) -> None:
    """Joins the other processes; before JAX has made an array.

    Args:
      address: HOST:PORT of process 0; "" leaves all three to the scheduler.
      count: the number of processes.
      index: this process's number, from 0 on.

    Raises:
      CaejaxError: no scheduler says them, or the others do not come.
    """
    host, _, port = address.partition(":")
    bind = os.environ.get("JAX_COORDINATOR_BIND_ADDRESS")
    if host in ("localhost", "127.0.0.1"):
        bind = bind or f"127.0.0.1:{port}"  # not to be reached from elsewhere
    for name, value in _SETTINGS.items():
        if name in jax.config.values:  # versions of JAX differ
            jax.config.update(name, value)
    try:
        jax.distributed.initialize(
            address or None,
            count,
            index,
            coordinator_bind_address=bind,
            heartbeat_timeout_seconds=_LOST,
            shutdown_timeout_seconds=_LOST,
            initialization_timeout=120,
        )
    except (ValueError, TypeError) as error:
        raise CaejaxError(
            f"--distributed: nobody says which processes there are ({error}); add "
            "--coordinator_address=HOST:PORT --num_processes=N --process_id=I, or "
            "start it by srun"
        ) from error
    except RuntimeError as error:
        why = " ".join(str(error).split())[:200]
        raise CaejaxError(
            f"--distributed: the processes do not find each other ({why}); are all "
            "started, and is the address that of process 0?"
        ) from error


def count() -> int:
    """The number of processes; JAX is not started by it."""
    return _state().num_processes or 1


def index() -> int:
    """This process's number; JAX is not started by it."""
    return _state().process_id or 0


def _state():
    # What jax.distributed keeps: there is no public way to its store.
    return importlib.import_module("jax._src.distributed").global_state


def tell(**message: Any) -> None:
    """Process 0 tells all others something, as JSON."""
    number = next(_numbers)
    client = _state().client
    client.key_value_set(f"caejax/{number}", json.dumps(message))
    if number >= _KEPT:
        client.key_value_delete(f"caejax/{number - _KEPT}")


def hear() -> Iterator[dict[str, Any]]:
    """What process 0 tells, one message after the other."""
    for number in itertools.count():
        yield json.loads(_get(f"caejax/{number}"))


def reply(topic: str, text: str) -> None:
    """Answers process 0."""
    _state().client.key_value_set(f"caejax/{topic}/{index()}", json.dumps(text))


def replies(topic: str) -> dict[int, str]:
    """What all other processes answer, by their numbers."""
    others = range(1, count())
    return {i: json.loads(_get(f"caejax/{topic}/{i}", _REPLY)) for i in others}


def _get(key, seconds=None):
    waited = 0.0
    while True:
        try:
            return _state().client.blocking_key_value_get(key, int(1000 * _PATIENCE))
        except RuntimeError as error:
            waited += _PATIENCE
            if "DEADLINE_EXCEEDED" not in str(error):
                raise CaejaxError(
                    "--distributed: process 0 has ended; the same command goes on"
                ) from error
            if seconds is not None and waited >= seconds:
                raise CaejaxError(
                    f"--distributed: process {key.rpartition('/')[2]} does not "
                    "answer; see what it says"
                ) from error


def from_first(tree: Any) -> Any:
    """A tree of arrays as process 0 has it; all processes call this at once."""
    return multihost_utils.broadcast_one_to_all(tree)
