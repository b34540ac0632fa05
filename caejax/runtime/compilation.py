"""How programs are compiled."""

import contextlib
import functools
import glob
import mmap
import os
import re
import tempfile
import warnings
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import jax
import jaxlib
import pooch

from caejax.errors import CaejaxError
from caejax.terminal.notes import note


def use_cache(folder: Path | None = None) -> None:
    """Keeps compiled programs for the next command, where there is a place for them.

    JAX_ENABLE_COMPILATION_CACHE=0 is left to decide that none are kept.

    Args:
      folder: where the programs are kept; None for the folder that the user
        has given to JAX by JAX_COMPILATION_CACHE_DIR=DIR, or else one among the
        user's caches.
    """
    given = folder or jax.config.jax_compilation_cache_dir
    place = Path(given) if given else _usual_cache()
    if place is None or not _takes_files(place):
        if given:
            note(f"{given} takes no files; compiled programs are not kept")
        place = None
    jax.config.update("jax_compilation_cache_dir", place and str(place))
    # By default only what takes a second is kept; ours are many that take less.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    if place:
        _mend_on_warnings(place)


_CACHE_WARNING = (
    r"Error (reading|writing) persistent compilation cache entry for '(.+?)'"
)


@functools.cache
def _mend_on_warnings(place: Path) -> None:
    """Takes out programs that are kept damaged, which JAX never writes again.

    A full disk leaves them, or a kill. JAX warns of each, every time, and does not say
    which of a name it is: those of the name go.
    """
    show, told = warnings.showwarning, []

    def show_or_mend(message, *args, **kwargs):
        found = re.match(_CACHE_WARNING, str(message))
        if not found:
            return show(message, *args, **kwargs)
        for kept in place.glob(f"{glob.escape(found[2])}-*"):
            with contextlib.suppress(OSError):
                kept.unlink()
        if found[1] == "writing" and not told:
            why = str(message).rpartition(": ")[2]
            told.append(note(f"{why}: {place} takes no further compiled programs"))

    warnings.filterwarnings("always", _CACHE_WARNING)
    warnings.showwarning = show_or_mend


def _usual_cache():
    try:
        place = pooch.os_cache("caejax") / "programs"
    except (OSError, RuntimeError, KeyError):
        return None
    return place if place.is_absolute() else None  # without a home it is "~/.cache"


def _takes_files(folder):
    if "://" in str(folder):
        return True  # of a cloud, which JAX writes to itself
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def check_flags() -> None:
    """Looks for the names in XLA_FLAGS in XLA itself, which ends a process at others.

    Raises:
      CaejaxError: XLA has no such flag.
    """
    words = os.environ.get("XLA_FLAGS", "").split()
    if not all(word.startswith("--") for word in words):
        return  # the name of a file
    unknown = {word[2:].split("=")[0] for word in words}
    for path in Path(jaxlib.__file__).parent.rglob("*.so*"):
        if unknown and path.stat().st_size > 1_000_000:
            unknown -= _held_by(path, unknown)
    for name in sorted(unknown):
        raise CaejaxError(
            f"XLA_FLAGS has --{name}, which XLA does not know; leave it out"
        )


@functools.cache
def tell_of_flags() -> None:
    """Says once what of the user's may change numbers: all flags but XLA's dumps."""
    words = os.environ.get("XLA_FLAGS", "").split()
    told = [word for word in words if not word.startswith("--xla_dump_")]
    flags = {"XLA_FLAGS": " ".join(told)}
    flags["JAX_NUM_CPU_DEVICES"] = os.environ.get("JAX_NUM_CPU_DEVICES", "")
    for name, value in flags.items():
        if value:
            note(
                f"{name} is {value:.200}; without it numbers may be others, by "
                "rounding at least"
            )


def _held_by(path, names):
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text,
    ):
        return {name for name in names if text.find(name.encode() + b"\0") >= 0}


_MODELS = 8  # whose programs are kept; those of one take some 100 MB on a CPU
_kept: set[Hashable] = set()


def keep_programs_of(model: Hashable) -> None:
    """Says that programs of a model are to be used; those of many others are freed.

    So that a sweep's process does not grow with the sweep. What is needed again after
    all is taken from the cache of `use_cache`.
    """
    if model not in _kept and len(_kept) == _MODELS:
        jax.clear_caches()
        _kept.clear()
    _kept.add(model)


# Of XLA's compiler for CPUs, where the user has not set them.
_CPU_OPTIONS = {
    # Two thirds of the time; what dominates here (convolutions, matrix products,
    # Fourier transforms) are calls into libraries that run as fast.
    "xla_backend_optimization_level": 1,
    # A process that is suspended, or a laptop that sleeps, for 40 s must not be ended
    # because one core waited for the other: 10 days instead.
    "xla_cpu_collective_call_terminate_timeout_seconds": 864_000,
}


def quick_jit(function: Callable, **options: Any) -> Callable:
    """`jax.jit` that spends little time on compiling for a CPU, and waits long there.

    Args:
      function: the function to be compiled.
      **options: the options of `jax.jit`.
    """
    chosen = os.environ.get("XLA_FLAGS", "")
    own = {name: x for name, x in _CPU_OPTIONS.items() if name not in chosen}
    on_cpu = jax.default_backend() == "cpu"
    return jax.jit(function, compiler_options=own if on_cpu else None, **options)
