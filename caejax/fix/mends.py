"""The least change of a model's kernels and biases that gives its phases one gain."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from caejax.diagnose import phases
from caejax.diagnose.places import Place, find_places
from caejax.diagnose.trace import Trace

CLEAN_DB = -120.0  # what is below that is left as it is: rounding


class Mend(NamedTuple):
    """What is to be written into one layer.

    Attributes:
      name: of the layer.
      step: of its operation, whose kernel or biases these are.
      holds: where the model keeps what is replaced; see `Step`.
      old: what is there, laid out as `Step.weight` or `Step.bias` is.
      new: what replaces it.
    """

    name: str
    step: int
    holds: Any
    old: np.ndarray
    new: np.ndarray

    @property
    def moved(self) -> float:
        """By how much, relative to what was there: the ratio of the norms."""
        size = float(np.linalg.norm(self.old))
        return float(np.linalg.norm(self.new - self.old)) / max(size, 1e-300)


def find_mends(trace: Trace) -> tuple[list[Mend], list[str]]:
    """Finds what to change in a watched model.

    Returns:
      The changes, none where all is clean, and sentences about places whose kernels
      cannot be mended.
    """
    steps = {step.index: step for step in trace.steps}
    mends, left = [], []
    for place in find_places(trace):
        if place.change == {} or _is_clean(place):
            continue
        if place.layer is None or place.change is None:
            left.append(f"{place.name}: {place.note}; it stays as it is")
        elif place.order is None:
            step = steps[place.layer]
            kernel = place.change[place.layer].weight
            mends.append(
                Mend(place.name, step.index, step.holds[0], step.weight, kernel)
            )
        else:
            layer = steps[place.layer]
            mends += _of_shuffle(layer, [steps[n] for n in place.added], place.order)
    return mends, left


def _is_clean(place: Place):
    """Whether kernel and biases have equal phases, with a blur behind them or not."""
    found = place.phases
    if found is None or phases.spread_db(found) > CLEAN_DB:
        return False
    if found.bias is None:
        return True
    return phases.bias_spread(found) <= 1e-6 * np.abs(found.bias).max(initial=0)


def _of_shuffle(layer, added: Sequence, order):
    kernel, bias = phases.clean_shuffle(layer.weight, order, layer.bias)
    found = [Mend(layer.name, layer.index, layer.holds[0], layer.weight, kernel)]
    if bias is not None:
        found.append(Mend(layer.name, layer.index, layer.holds[1], layer.bias, bias))
    for step in added:
        _, bias = phases.clean_shuffle(layer.weight, order, step.bias)
        found.append(Mend(step.name, step.index, step.holds[1], step.bias, bias))
    return found
