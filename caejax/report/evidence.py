"""What seeds bear out of a difference, and how that is said.

No difference is told as a fact without an interval that excludes 0. With fewer than
`ENOUGH` seeds there is no interval: then only what was seen is told, and in how many of
the seeds.
"""

from collections.abc import Sequence
from itertools import count
from typing import Protocol

from caejax.report.again import with_flag
from caejax.report.fields import seed_axis
from caejax.report.intervals import ENOUGH, t_interval
from caejax.report.read import SweepFiles
from caejax.report.statistics import (
    EXACT_SEEDS,
    TOO_FEW,
    format_p,
    sign_flip_interval,
    sign_flip_p,
    smallest_p,
)

LEVEL = 0.05
INTERVAL = "simultaneous 95 % interval"
_LISTED = 10  # seeds that a command names, at most

Interval = tuple[float, float]


class Compared(Protocol):
    """Two things compared seed by seed."""

    @property
    def differences(self) -> Sequence[float]:
        """The first minus the second, a value a seed."""

    @property
    def interval(self) -> Interval | None:
        """The interval of their mean; None where there are too few seeds."""


def judge(differences: Sequence[float], pairs: int) -> tuple[Interval | None, str]:
    """The interval of a difference and its p as text, both for so many pairs at once.

    Where the seeds are enough for the sign-flip test, the interval holds what that does
    not refuse; of `ENOUGH` seeds at least it is else Student's; of fewer there is none.

    Args:
      differences: the paired differences, a value a seed.
      pairs: the number of all pairs that might have been compared (Bonferroni).
    """
    if not differences:
        return None, ""
    adjusted = min(1.0, pairs * sign_flip_p(differences))
    smallest = min(1.0, pairs * smallest_p(len(differences)))
    p = format_p(adjusted, smallest, level=LEVEL)
    confidence = 1 - LEVEL / pairs
    if p != TOO_FEW:
        return sign_flip_interval(differences, confidence=confidence), p
    if len(differences) >= ENOUGH:
        return t_interval(differences, confidence=confidence), p
    return None, p


def decided(found: Compared) -> bool | None:
    """Whether a difference is above 0; None where its interval does not tell."""
    if found.interval is None or found.interval[0] <= 0 <= found.interval[1]:
        return None
    return found.interval[0] > 0


def not_above(found: Sequence[Compared]) -> str:
    """What intervals of which none lies above 0 do: "hold 0", but for some below.

    Of seeds that not both have, a choice of the higher mean may well be behind.
    """
    below = [x for x in found if decided(x) is False]
    verb = "holds" if len(found) == 1 else "hold"
    if not below:
        return f"{verb} 0"
    return "lies below 0" if len(found) == 1 else "hold 0 or lie below it"


def borne_out(found: Compared, word: str = "ahead") -> str:
    """A difference's interval; of too few seeds, in how many of them it is above 0.

    Args:
      found: the difference.
      word: what is the case where it is above 0.
    """
    if found.interval is not None:
        return "{} {:.2f} to {:.2f}".format(INTERVAL, *found.interval)
    seeds = len(found.differences)
    if seeds == 1:
        return "one seed"
    return f"{word} in {sum(d > 0 for d in found.differences)} of {seeds} seeds"


def paired(found: Sequence[Compared]) -> int:
    """The most seeds that any of some comparisons has."""
    return max((len(x.differences) for x in found), default=0)


def these(found: Sequence[Compared]) -> str:
    """The seeds of some comparisons, where they are too few to tell more."""
    return f"these {seeds} seeds" if (seeds := paired(found)) > 1 else "this seed"


def too_few(seeds: int) -> str:
    """That so many seeds do not tell."""
    return f"{seeds} seeds are too few to tell" if seeds > 1 else "one seed cannot tell"


def needed(pairs: int) -> int | None:
    """How many seeds a sign-flip test needs at least to find one of so many pairs.

    None where no number is enough: beyond `EXACT_SEEDS` its p has a floor.
    """
    numbers = range(2, EXACT_SEEDS + 1)
    return next((n for n in numbers if pairs * smallest_p(n) <= LEVEL), None)


def how_to_add_seeds(sweep: SweepFiles, least: int, command: str) -> str:
    """How a sweep gets at least so many seeds.

    Args:
      sweep: what the sweep's folder holds.
      least: how many.
      command: the command that has made it.

    Returns:
      The command that adds them; of another program the flag, and without an axis what
      the config needs.
    """
    axis, values = seed_axis(sweep)
    if not axis:
        return "an axis of `config.sweep` whose field is `seed`"
    unused = (n for n in count() if n not in values)
    wanted = min(max(least, ENOUGH), max(_LISTED, len(values) + 1))
    more = [next(unused) for _ in range(wanted - len(values))]
    listed = ", ".join(map(str, [*values, *more]))
    flag = f"config.sweep.{axis}.values"
    if whole := with_flag(command, flag, f"({listed})"):
        return f"in the same folder, which keeps those that it has: `{whole}`"
    return f'`--{flag}="({listed})"`'
