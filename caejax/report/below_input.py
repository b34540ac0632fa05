"""Settings of a sweep that make images worse than they came in."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from caejax.report.fields import choices_and_conditions
from caejax.report.leads import (
    INPUT,
    Lead,
    Setting,
    is_worse,
    name_of,
    scores_of,
)
from caejax.report.read import SweepFiles
from caejax.report.words import NAMED, at, settings

_DO = "train longer, or with another model, before you draw conclusions"


class Compared(NamedTuple):
    """A setting's mean PSNR and that of its corrupted inputs, both in dB."""

    condition: Setting
    choice: Setting
    psnr: float
    input: float

    @property
    def worse(self) -> bool:
        """Whether the output's lies below."""
        return is_worse(self.psnr, self.input)


def against_inputs(sweep: SweepFiles) -> list[Compared]:
    """Every setting whose runs have both PSNRs."""
    outputs, inputs = scores_of(sweep), scores_of(sweep, INPUT)
    return [
        Compared(condition, choice, *(float(np.mean([*x.values()])) for x in pair))
        for condition, choices in outputs.items()
        for choice, ours in choices.items()
        for pair in [(ours, inputs.get(condition, {}).get(choice, {}))]
        if pair[1]
    ]


def counted(sweep: SweepFiles) -> str:
    """How many settings are worse than their input; "" of none."""
    found = against_inputs(sweep)
    worse = sum(x.worse for x in found)
    return f"worse than the input: {worse} of {len(found)} settings" * bool(worse)


def told(sweep: SweepFiles, found: Sequence[Lead]) -> list[str]:
    """Which settings are worse than their input, and whether the best are.

    Args:
      sweep: what the sweep's folder holds.
      found: its leads.
    """
    compared = against_inputs(sweep)
    worse = [x for x in compared if x.worse]
    if not worse:
        return []
    choices, conditions = choices_and_conditions(sweep)
    if len(worse) == len(compared):
        who = "Even the highest PSNR" if choices else "The model's PSNR"
        return [f"{who} lies below that of the corrupted input itself: {_DO}."]
    who = f"{len(worse)} of {len(compared)} settings"
    if len(worse) <= NAMED:
        who = "; ".join(_named(x, conditions) for x in worse)
    best = sum(is_worse(np.mean(lead.scores), lead.input) for lead in found)
    even = f", at {best} of {settings(len(found), conditions)} even the best"
    return [
        f"Worse than the corrupted input itself: {who}{even * bool(best)}. {_cap(_DO)}."
    ]


def _named(x, conditions):
    where = at(x.condition, conditions)
    return f"{name_of(x.choice)}{where} ({x.psnr:.2f} dB, the input {x.input:.2f} dB)"


def _cap(text):
    return text[0].upper() + text[1:]
