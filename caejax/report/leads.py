"""The best choice at each condition of a sweep, and how far it is ahead."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from caejax.metrics.table import METRICS, PERIODS, column, formatted, title
from caejax.report.evidence import INTERVAL, judge
from caejax.report.fields import choices_and_conditions
from caejax.report.figures import QUALITY
from caejax.report.groups import crossed_difference
from caejax.report.intervals import ENOUGH, Crossed, t_interval
from caejax.report.read import SweepFiles
from caejax.report.statistics import TOO_FEW

PSNR, INPUT = QUALITY, "test/psnr_noisy"
SSIM, INPUT_SSIM = "test/ssim", "test/ssim_noisy"
GREY = column(METRICS["dc_ripple_grey"], max(PERIODS), "test")
_SIGNED = "against runner-up, + is more"  # which of some measures is better
_IDENTICAL = 99.99  # dB; the PSNR of identical images is held to 100

Setting = tuple[Any, ...]
Scores = dict[Setting, dict[int, float]]


class Lead(NamedTuple):
    """The best choice at one condition, and how far it is ahead.

    Attributes:
      condition: the values of the fields that set the condition.
      best: the values of the fields of the best choice.
      second: the values of the fields of the second best choice, or None.
      scores: the best choice's PSNR, a value a seed.
      input: the corrupted input's mean PSNR over the best choice's runs, or None.
      differences: PSNR of best minus second, a value for each seed that both have.
      interval: the interval of their mean, simultaneous 95 % over all pairs of choices
        at all conditions; None where there are too few seeds.
      p: the p as text, corrected for the same pairs.
      others: how far best lies above second in other measures, a value for each seed
        that both have, by column.
      crossed: the difference in PSNR for other photographs, too, where runs have kept
        values of each; else None, and of too few seeds.
      uneven: whether one of both has seeds that the other lacks, so that the mean of
        the differences is not the difference of the means.
    """

    condition: Setting
    best: Setting
    second: Setting | None
    scores: Sequence[float]
    input: float | None
    differences: Sequence[float]
    interval: tuple[float, float] | None
    p: str
    others: Mapping[str, Sequence[float]] = MappingProxyType({})
    crossed: Crossed | None = None
    uneven: bool = False


def is_corrupted(noisy: float | None) -> bool:
    """Whether an input's PSNR is that of a corrupted one, not of the target itself."""
    return noisy is not None and noisy < _IDENTICAL


def is_worse(psnr: float, noisy: float | None) -> bool:
    """Whether an output's PSNR lies below that of its corrupted input."""
    return is_corrupted(noisy) and psnr < noisy


def leads(sweep: SweepFiles) -> list[Lead]:
    """The best choice at each condition, in the order of the sweep.

    Best is the highest mean PSNR over seeds. Since the data themselves say which
    two are compared, p is multiplied by the number of all pairs that might have
    been (Bonferroni), and an interval misses by that many times less often.
    """
    groups = scores_of(sweep)
    pairs = pairs_of(groups)
    inputs = scores_of(sweep, INPUT)
    found = [
        _lead(condition, scores, inputs.get(condition, {}), pairs)
        for condition, scores in groups.items()
    ]
    columns = {name: scores_of(sweep, name) for name in (SSIM, GREY, "run_id")}
    return [_in_other_ways(sweep, lead, columns) for lead in found]


def pairs_of(groups: Mapping[Setting, Scores]) -> int:
    """The number of pairs of choices at one condition, at all conditions together."""
    return sum(len(list(combinations(scores, 2))) for scores in groups.values())


def _in_other_ways(sweep, lead, columns):
    """A lead with what other measures, and other photographs, say of it."""
    if lead.second is None:
        return lead
    others = {
        name: _paired(columns[name].get(lead.condition, {}), lead)
        for name in (SSIM, GREY)
    }
    ids = columns["run_id"].get(lead.condition, {})
    ours, theirs = (ids.get(choice, {}) for choice in (lead.best, lead.second))
    pairs = [
        (sweep.runs.get(theirs[seed]), sweep.runs.get(ours[seed]))
        for seed in ours
        if seed in theirs
    ]
    whole = all(run is not None for pair in pairs for run in pair)
    enough = len(pairs) >= ENOUGH
    crossed = crossed_difference(pairs, PSNR) if whole and enough else None
    return lead._replace(
        others={name: x for name, x in others.items() if x}, crossed=crossed
    )


def _paired(scores, lead):
    ours, theirs = (scores.get(choice, {}) for choice in (lead.best, lead.second))
    return [ours[seed] - theirs[seed] for seed in ours if seed in theirs]


def scores_of(sweep, name=PSNR) -> dict[Setting, Scores]:
    """A column by condition, choice and seed."""
    choices, conditions = choices_and_conditions(sweep)
    groups: dict[Setting, Scores] = {}
    for row in done(sweep, name):
        at = groups.setdefault(tuple(row[f] for f in conditions), {})
        at.setdefault(tuple(row[f] for f in choices), {})[row["seed"]] = row[name]
    return groups


def done(sweep: SweepFiles, name: str) -> list[dict[str, Any]]:
    """The rows of finished runs that have a value."""
    return [r for r in sweep.rows if r["status"] == "done" and name in r]


def _lead(condition, scores, inputs, pairs):
    means = {choice: np.mean(list(seeds.values())) for choice, seeds in scores.items()}
    best, *rest = sorted(means, key=means.get, reverse=True)
    second = rest[0] if rest else None
    ours, theirs = scores[best], scores.get(second, {})
    differences = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
    interval, p = judge(differences, pairs)
    values, noisy = list(ours.values()), list(inputs.get(best, {}).values())
    input_psnr = float(np.mean(noisy)) if noisy else None
    found = Lead(condition, best, second, values, input_psnr, differences, interval, p)
    return found._replace(uneven=second is not None and ours.keys() != theirs.keys())


def leads_table(sweep: SweepFiles) -> tuple[list[str], list[list[str]]]:
    """Header and cells: a line a condition, its best choice and how far it leads.

    Empty where nothing is compared.
    """
    _, conditions = choices_and_conditions(sweep)
    found = [lead for lead in leads(sweep) if lead.second is not None]
    if not found:
        return [], []
    header = [*conditions, "best", "PSNR (dB)", "input's PSNR", "runner-up"]
    header += ["lead (dB)", INTERVAL, "seeds ahead", "p"]
    header += [f"{title(name, short=True)} {_SIGNED}" for name in (SSIM, GREY)]
    header += ["lead (dB) for other images, too"]
    lines = [_lead_line(lead) for lead in found]
    filled = [i for i in range(len(header)) if any(line[i] for line in lines)]
    return [header[i] for i in filled], [[line[i] for i in filled] for line in lines]


def _lead_line(lead):
    ahead = sum(d > 0 for d in lead.differences)
    return [
        *map(str, lead.condition),
        name_of(lead.best),
        f"{np.mean(lead.scores):.2f}",
        "" if lead.input is None else f"{lead.input:.2f}",
        name_of(lead.second),
        f"{np.mean(lead.differences):.2f}" if lead.differences else "",
        "" if lead.interval is None else "[{:.2f}, {:.2f}]".format(*lead.interval),
        f"{ahead} of {len(lead.differences)}",
        "" if lead.p == TOO_FEW else lead.p,
        *(_other(lead, name) for name in (SSIM, GREY)),
        ""
        if lead.crossed is None
        else "{:.2f} [{:.2f}, {:.2f}]".format(*lead.crossed[:3]),
    ]


def _other(lead, name):
    """The mean difference in another measure, and of enough seeds Student's 95 %."""
    values = lead.others.get(name)
    if not values:
        return ""
    mean = _signed(name, np.mean(values))
    if len(values) < ENOUGH:
        return mean
    low, high = (_signed(name, x) for x in t_interval(values))
    return f"{mean} [{low}, {high}]"


def _signed(name, difference):
    text = formatted(name, difference)
    return f"+{text}" if difference > 0 and float(text) else text


def name_of(setting: Setting) -> str:
    """A choice for people."""
    return ", ".join(map(str, setting)) or "the model"
