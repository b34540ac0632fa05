"""Whether a machine did nothing else while something was timed.

Read from Linux's /proc, which counts what each core did in hundredths of a second. The
host of a virtual machine may take its cores away: stolen time. The load average counts
processes of the last minute, those that are timed among them; it is for the reader.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
MOST = {"others": 0.05, "steal": 0.02}  # shares of all cores' time, in a quiet moment


class Look(NamedTuple):
    """Seconds of CPU time at a moment: of all kinds, idle, stolen, and one's own."""

    total: float
    idle: float
    steal: float
    own: float


def look(processes: Iterable[int], proc: Path = PROC) -> Look | None:
    """Reads the counters.

    Args:
      processes: numbers of the processes that count as one's own; this one does.
      proc: the folder of the counters.

    Returns:
      The look, None where there are no such counters.
    """
    try:
        words = (proc / "stat").read_text().splitlines()[0].split()
        own = sum(_ticks(proc / str(pid)) for pid in {os.getpid(), *processes})
    except (OSError, IndexError):
        return None
    # user, nice, system, idle, iowait, irq, softirq, steal; guests count as user.
    ticks = [int(word) for word in words[1:9]]
    per_second = os.sysconf("SC_CLK_TCK")
    counts = sum(ticks), ticks[3] + ticks[4], ticks[7], own
    return Look(*(count / per_second for count in counts))


def _ticks(folder):
    # The name, in brackets, may hold anything.
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def between(before: Look | None, after: Look | None) -> dict[str, float] | None:
    """What the machine did between two looks.

    Returns:
      Shares of all cores' time: "others", what other processes took, and "steal"; and
      "load", the load average of the last minute. None where it is not known.
    """
    if before is None or after is None:
        return None
    total, idle, steal, own = (b - a for a, b in zip(before, after, strict=True))
    total = max(total, 1e-9)
    return {
        "others": round(max(total - idle - steal - own, 0) / total, 4),
        "steal": round(steal / total, 4),
        "load": round(os.getloadavg()[0], 2),
    }


def was_idle(found: dict[str, float] | None) -> bool:
    """Whether times of that moment count; they do where nothing is known."""
    return found is None or all(found[name] <= most for name, most in MOST.items())
