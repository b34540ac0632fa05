"""Differences of runs by seed and photograph, from what runs keep of each."""

from collections.abc import Sequence

import numpy as np

from caejax.metrics.groups import PREFIX
from caejax.report.intervals import Crossed, crossed_interval
from caejax.report.read import RunFiles


def by_photograph(run: RunFiles, measure: str) -> np.ndarray | None:
    """A measure's means over photographs, (G,); None where the run has kept none.

    Args:
      run: a finished run; those of earlier versions have kept none.
      measure: a column of results.csv, "test/psnr".
    """
    return run.samples.get(PREFIX + measure.removeprefix("test/"))


def crossed_difference(
    pairs: Sequence[tuple[RunFiles, RunFiles]], measure: str
) -> Crossed | None:
    """The mean difference of paired runs, for other seeds and other photographs.

    Args:
      pairs: the first and the second run of each seed, on the same images.
      measure: a column of results.csv, "test/psnr".

    Returns:
      Second minus first, as `crossed_interval` has it; None where there are fewer than
      two seeds or two photographs that all runs have values of.
    """
    rows = []
    for pair in pairs:
        first, second = (by_photograph(run, measure) for run in pair)
        if first is None or second is None or first.shape != second.shape:
            return None
        rows.append(np.float64(second) - first)
    if len(rows) < 2 or len({row.shape for row in rows}) > 1:
        return None
    table = np.array(rows)
    table = table[:, np.isfinite(table).all(0)]
    return crossed_interval(table) if table.shape[1] > 1 else None
