"""Whether the decoders that are compared make models of one size, in sentences."""

from collections.abc import Mapping
from typing import NamedTuple

from caejax.report.fields import DECODER, choices_and_conditions
from caejax.report.leads import Setting, name_of, scores_of
from caejax.report.read import SweepFiles
from caejax.report.tables import PARAMS
from caejax.report.words import at, some

_ALIKE = 1.05  # times the parameters, up to which sizes count as equal


class _Sizes(NamedTuple):
    """The parameters of each choice's model at one condition."""

    condition: Setting
    counts: Mapping[Setting, float]

    def ratio(self):
        return max(self.counts.values()) / max(1, min(self.counts.values()))


def sizes(sweep: SweepFiles) -> list[str]:
    """That decoders do not make models of equal size, where they do not."""
    if (widest := _widest(sweep)) is None:
        return []
    _, conditions = choices_and_conditions(sweep)
    (fewest, small), (most, large) = (_end(widest.counts, x) for x in (min, max))
    more = f"{100 * (widest.ratio() - 1):.0f} % more"
    return [
        f"The models are not of equal size{at(widest.condition, conditions)}: "
        f"{fewest} parameters with {small}, {most} with {large}, {more}, so that a "
        "lead may be the size's."
    ]


def equal_sizes(sweep: SweepFiles) -> list[str]:
    """How to compare at equal parameters, where sizes differ; code is in backticks."""
    if _widest(sweep) is None:
        return []
    return [
        "Compare at equal parameters, too, by an axis that gives each decoder its own "
        f'widths, `{{"field": ("{DECODER}", "model.decoder_widths"), "values": ...}}`; '
        "`caejax show` prints the parameters of each run."
    ]


def _widest(sweep):
    """The condition at which sizes differ most; None where they are alike at all."""
    choices, _ = choices_and_conditions(sweep)
    if DECODER not in choices:
        return None
    found = [
        _Sizes(condition, {x: max(seeds.values()) for x, seeds in counts.items()})
        for condition, counts in scores_of(sweep, PARAMS).items()
    ]
    widest = max(found, key=_Sizes.ratio, default=None)
    return widest if widest and widest.ratio() > _ALIKE else None


def _end(counts, end):
    """The fewest or the most parameters, and the choices that have so many."""
    count = end(counts.values())
    names = [name_of(choice) for choice, x in counts.items() if x == count]
    return f"{count:,}", some(names)
