"""The least change of a model's kernels and biases that gives its phases one gain."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from caejax.diagnose import phases
from caejax.diagnose.inspect import drawn
from caejax.diagnose.places import Place, find_places, is_unknown
from caejax.diagnose.trace import Trace
from caejax.fix.alike import COMPUTED, Alike, is_computed
from caejax.fix.mend import Mend

CLEAN_DB = -120.0  # what is below that is left as it is: rounding
QUIET_DB = -100.0  # and so is a place that draws less, as patches put back as they were


def find_mends(
    trace: Trace,
    inputs: Sequence[np.ndarray],
    key: Callable[[Any], Hashable],
    apart: bool,
) -> tuple[list[Mend], list[str]]:
    """Finds what to change in a watched model.

    Args:
      trace: of the model.
      inputs: what it was traced with.
      key: what is the same of two things that hold the same weights; see `Step`.
      apart: whether places of several strides that share a kernel may each be given
        one of their own.

    Returns:
      The changes, none where all is clean, and sentences about places whose kernels
      cannot be mended.
    """
    steps = {step.index: step for step in trace.steps}
    transposed: dict[Hashable, list[Place]] = {}
    alike, left = Alike(steps, trace.channel, key), []
    known = drawn(trace, inputs)
    for place in find_places(trace):
        _, level = known.get(place.output, ("", 0.0))
        if level < QUIET_DB:  # whatever its kernel could do with other features
            continue
        if place.change == {} or is_unknown(place) or is_clean(place):
            continue
        if place.order is not None:
            alike.add(place)
        elif place.layer is None or place.change is None:
            left.append(f"{place.name}: {place.note}; it stays as it is")
        elif is_computed(steps[place.layer]):
            left.append(f"{place.name}: {COMPUTED}; it stays as it is")
        else:
            layer = steps[place.layer]
            own = (layer.stride, layer.dilation) if apart else ()
            transposed.setdefault((key(layer.holds[0]), own), []).append(place)
    mends = [_of_transposed(sharing, steps) for sharing in transposed.values()]
    return mends + alike.mends(), left + alike.left


def is_clean(place: Place) -> bool:
    """Whether kernel and biases have equal phases, with a blur behind them or not."""
    found = place.phases
    if found is None or phases.spread_db(found) > CLEAN_DB:
        return False
    if found.bias is None:
        return True
    return phases.bias_spread(found) <= 1e-6 * np.abs(found.bias).max(initial=0)


_ROUNDS = 200  # of places of several strides that share a kernel


def _of_transposed(places, steps):
    """Of one kernel, in one place or several: the nearest that is clean in all."""
    first = steps[places[0].layer]
    layers = [steps[place.layer] for place in places]
    strides = list({(x.stride, x.dilation): None for x in layers})
    kernel = first.weight.astype(np.float64)
    # Projections onto linear spaces, one after the other, end in what they share.
    for _ in range(1 if len(strides) == 1 else _ROUNDS):
        for stride, dilation in strides:
            kernel = phases.clean_transposed(kernel, stride, dilation)
    steps_of = tuple(place.layer for place in places)
    new = kernel.astype(first.weight.dtype)
    return Mend(places[0].name, steps_of, first.holds[0], first.weight, new)
