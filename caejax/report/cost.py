"""What it costs in PSNR to choose only among decoders that draw no checkerboard."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from caejax.metrics.table import METRICS, PERIODS, ROUNDING_DB, column
from caejax.report.evidence import Interval, judge
from caejax.report.fields import choices_and_conditions
from caejax.report.leads import Scores, Setting, done, pairs_of, scores_of
from caejax.report.read import SweepFiles

RIPPLE = column(METRICS["dc_ripple_db"], max(PERIODS), "test")  # sees 2 and 4, too


class Cost(NamedTuple):
    """What being free of checkerboards costs at one condition.

    Attributes:
      condition: the values of the fields that set the condition.
      best: the choice with the highest mean PSNR.
      clean: of those that draw none, the one with the highest; the same where it has
        the highest of all.
      gap: by how much its mean PSNR is lower, over the seeds that both have if any.
      differences: PSNR of best minus clean, a value for each seed that both have.
      interval: of their mean, as `caejax.report.evidence.judge` has it.
    """

    condition: Setting
    best: Setting
    clean: Setting
    gap: float
    differences: Sequence[float]
    interval: Interval | None


def ripples(sweep: SweepFiles) -> dict[Setting, list[float]]:
    """The DC ripples of each choice's runs, in dBFS, at all conditions."""
    choices, _ = choices_and_conditions(sweep)
    values: dict[Setting, list[float]] = {}
    for row in done(sweep, RIPPLE):
        values.setdefault(tuple(row[f] for f in choices), []).append(row[RIPPLE])
    return values


def clean_choices(values: Mapping[Setting, Sequence[float]]) -> list[Setting]:
    """Those whose runs have no ripple but rounding's."""
    return [choice for choice, found in values.items() if max(found) < ROUNDING_DB]


def costs(sweep: SweepFiles, clean: Collection[Setting]) -> list[Cost]:
    """The cost at each condition that has a clean choice and another one."""
    groups = scores_of(sweep)
    pairs = pairs_of(groups)
    found = [_cost(at, scores, clean, pairs) for at, scores in groups.items()]
    return [cost for cost in found if cost is not None]


def _cost(condition, scores: Scores, clean, pairs):
    means = {choice: np.mean(list(seeds.values())) for choice, seeds in scores.items()}
    able = [choice for choice in clean if choice in means]
    if not able or len(means) < 2:
        return None
    best, tidy = max(means, key=means.get), max(able, key=means.get)
    if means[tidy] == means[best]:
        best = tidy
    ours, theirs = scores[best], scores[tidy]
    shared = [seed for seed in ours if seed in theirs and best != tidy]
    differences = [ours[seed] - theirs[seed] for seed in shared]
    gap = float(np.mean(differences) if differences else means[best] - means[tidy])
    return Cost(condition, best, tidy, gap, differences, judge(differences, pairs)[0])
