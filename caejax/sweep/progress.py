"""How far a sweep is, for people."""

import collections
import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType

from caejax.terminal.lines import printable, tell

FINISHED = ("done", "failed")
NOWHERE: Mapping[str, str] = MappingProxyType({})


@contextlib.contextmanager
def live(
    states: dict[str, str], places: Mapping[str, str] = NOWHERE
) -> Iterator[Callable[[str], None]]:
    """Shows how far a sweep is: a bar below all else on a terminal.

    Args:
      states: the runs' states by id. Who is shown the sweep changes them as it goes on.
      places: the machines that do runs, by the runs' ids; changed likewise. Each is a
        line below the bar.

    Yields:
      `say(text)`, which prints a line, elsewhere with how far the sweep is before it.
    """
    began, before = time.monotonic(), _finished(states)

    def summary() -> str:
        seconds = time.monotonic() - began
        return summarise(states.values(), _finished(states) - before, seconds)

    if not sys.stdout.isatty():
        yield lambda text: tell(f"[{summary()}] {text}")
        return
    from rich.console import Group
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    def view():
        grid = Table.grid(padding=(0, 1))
        done = ProgressBar(len(states), _finished(states), width=30)
        grid.add_row(done, Text(summary()))
        machines = Table.grid(padding=(0, 2))
        for machine, runs in by_machine(states, places).items():
            machines.add_row(*map(Text, map(printable, (machine, " ".join(runs)))))
        return Group(grid, machines)

    with Live(get_renderable=view, refresh_per_second=2) as shown:
        yield lambda text: shown.console.print(Text(printable(text)))


def by_machine(
    states: Mapping[str, str], places: Mapping[str, str]
) -> dict[str, list[str]]:
    """The ids of the runs that each machine does now, by the machine's name."""
    found = collections.defaultdict(list)
    for name, machine in list(places.items()):
        if states[name] == "running":
            found[machine].append(name)
    return dict(sorted(found.items()))


def _finished(states):
    return sum(state in FINISHED for state in states.values())


def summarise(states: Iterable[str], finished: int, seconds: float) -> str:
    """How many runs are done, running and failed, and the time left.

    Args:
      states: the states of all runs.
      finished: how many runs this command has seen finish.
      seconds: the time in which they finished.

    Returns:
      "3 of 12 done, 2 running, 1 failed, about 4 min left".
    """
    counts = collections.Counter(states)
    total, done = counts.total(), counts["done"]
    running = counts["running"] + counts["running elsewhere"]
    left = total - sum(counts[state] for state in FINISHED)
    parts = [f"{done} of {total} done", f"{running} running"]
    parts += [f"{counts['failed']} failed"] * (counts["failed"] > 0)
    if left and finished:
        parts.append(f"about {duration(seconds / finished * left)} left")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Seconds as people say them: "20 s", "3 min", "2 h 5 min"."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
