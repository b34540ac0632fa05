"""Where the time of a run goes: seconds by phase, and programs, of each run."""

import functools
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

TRACING = (
    "/jax/core/compile/jaxpr_trace_duration",
    "/jax/core/compile/jaxpr_to_mlir_module_duration",
)
COMPILING = "/jax/core/compile/backend_compile_duration"
REST = "the rest"
AHEAD = "ahead"  # in another thread, beside other phases: no seconds of its own


class Phase(NamedTuple):
    """Seconds of a phase, without those of phases within it.

    Attributes:
      seconds: all of them.
      tracing: those of tracing and lowering, among them.
      compiling: those of compiling, or of taking programs from the cache, among them.
      programs: how many programs were compiled or taken from the cache.
      cpu: seconds of all cores, which say more where others use the machine, too.
    """

    seconds: float = 0.0
    tracing: float = 0.0
    compiling: float = 0.0
    programs: int = 0
    cpu: float = 0.0


class Clock:
    """Adds up time by the phase that the process is in; one a process."""

    def __init__(self):
        self._phases, self._now = [REST], _now()
        self._seconds: dict[str, float] = defaultdict(float)
        self._cpu: dict[str, float] = defaultdict(float)
        self._spans: dict[str, list] = defaultdict(list)
        jax.monitoring.register_event_duration_secs_listener(self._event)

    def _event(self, event: str, seconds: float, **more: Any) -> None:
        del more
        now, phase = time.perf_counter(), self._phases[-1] if _here() else AHEAD
        if event == COMPILING or event in TRACING:
            self._spans[phase].append((now - seconds, now, event))

    def _tick(self):
        before, self._now = self._now, _now()
        self._seconds[self._phases[-1]] += self._now[0] - before[0]
        self._cpu[self._phases[-1]] += self._now[1] - before[1]

    def within(self, phase: str | Callable[..., str], function: Callable) -> Callable:
        """A function whose calls count as a phase, or as what its arguments say."""

        @functools.wraps(function)
        def run(*args, **kwargs):
            if not _here():
                return function(*args, **kwargs)
            name = phase if isinstance(phase, str) else phase(*args, **kwargs)
            self._tick()
            self._phases.append(name)
            try:
                return function(*args, **kwargs)
            finally:
                self._tick()
                self._phases.pop()

        return run

    def take(self) -> dict[str, Phase]:
        """What has been added up since the last time."""
        self._tick()
        found = {name: self._phase(name) for name in {*self._seconds, *self._spans}}
        self._seconds.clear()
        self._cpu.clear()
        self._spans.clear()
        return found

    def _phase(self, name):
        spans = self._spans[name]
        compiled = [x[:2] for x in spans if x[2] == COMPILING]
        compiling, all_of_it = covered(compiled), covered([x[:2] for x in spans])
        tracing, programs = all_of_it - compiling, len(compiled)
        seconds, cpu = self._seconds[name], self._cpu[name]
        return Phase(seconds, tracing, compiling, programs, cpu)


def _here():
    return threading.current_thread() is threading.main_thread()


def _now():
    return time.perf_counter(), time.process_time()


def covered(spans: list[tuple[float, float]]) -> float:
    """Length of what spans (begin, end) cover; a program is traced within another."""
    total, end = 0.0, float("-inf")
    for first, last in sorted(spans):
        total += max(0.0, last - max(first, end))
        end = max(end, last)
    return total
