"""Times that are compared, taken in turns: a slow moment of the machine hits all."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np


def in_turns(names: Sequence[str], rounds: int) -> Iterator[str]:
    """Whose turn it is, so many rounds, every other one in reverse."""
    for turn in range(rounds):
        yield from list(names)[:: -1 if turn % 2 else 1]


def whose_turn(times: Mapping[str, Sequence[float]], rounds: int) -> str | None:
    """The first of those who had the fewest turns; None when all had so many."""
    name = min(times, key=lambda name: len(times[name]))
    return name if len(times[name]) < rounds else None


def ratio_quartiles(
    times: Sequence[float], reference: Sequence[float]
) -> tuple[float, float, float]:
    """Quartiles of the ratios of times, each of the same round: (25, 50, 75 %)."""
    low, middle, high = np.percentile(np.divide(times, reference), [25, 50, 75])
    return float(low), float(middle), float(high)
