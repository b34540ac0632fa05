"""How much memory this process may have."""

import math
import os
from pathlib import Path

import jax

_CGROUPS = Path("/sys/fs/cgroup")
_LIMITS = ("memory.max", "memory/memory.limit_in_bytes", "memory.limit_in_bytes")


def host_bytes() -> float:
    """Bytes of the machine that this process may have in all, what it has included.

    The least of what is free, of the limits of its control groups, and of that on its
    address space; infinite where the system tells none of them.
    """
    return min(_free(), _of_groups(), _of_address_space())


def device_bytes() -> float | None:
    """Bytes of an accelerator; None where computations are on the host."""
    if jax.default_backend() == "cpu":
        return None
    return (jax.devices()[0].memory_stats() or {}).get("bytes_limit", math.inf)


def _free():
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        found = {name: int(rest.split()[0]) * 1024 for name, rest in _pairs(lines)}
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        own = pages * os.sysconf("SC_PAGE_SIZE")
        return found["MemAvailable"] + found.get("SwapFree", 0) + own
    except (OSError, ValueError, KeyError, IndexError):
        return _physical()


def _pairs(lines):
    return (line.split(":", 1) for line in lines if ":" in line)


def _physical():
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return math.inf


def _of_groups():
    """The least limit of the group that the process is in and of those above it."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except (OSError, ValueError):
        return math.inf
    folders = {_CGROUPS}
    for line in lines:
        _, kinds, group = line.split(":", 2)
        root = _CGROUPS / "memory" if "memory" in kinds.split(",") else _CGROUPS
        own = root / group.strip("/")
        folders |= {own, *(x for x in own.parents if x.is_relative_to(_CGROUPS))}
    return min(_limit(x / name) for x in folders for name in _LIMITS)


def _limit(path):
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # there is none, or it is "max"
        return math.inf


def _of_address_space():
    try:
        import resource  # which Windows does not have
    except ImportError:
        return math.inf
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return math.inf if limit == resource.RLIM_INFINITY else limit
