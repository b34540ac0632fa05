"""Where features become a map that flat inputs do not make flat.

A dense layer makes each pixel by weights of its own, and so does a kernel of one pixel;
a learnt constant, or an encoding of positions, is another at each place. Such a map has
content, which would be counted as what later layers draw of it.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from caejax.diagnose import probe, roles
from caejax.diagnose.places import Place, is_resize
from caejax.diagnose.trace import NOTHING, Change, Step, Trace, own_channels_second

_ROUNDS = 8  # maps that are added one after the other
_FLAT = 1e-8  # variance over space, against the mean square


class Starts(NamedTuple):
    """The maps that a model is probed from.

    Attributes:
      names: of the layers that make them.
      sizes: C x n1 x ... x nd of the first, in words.
      made: whether there was nothing spatial, and they were made of that.
    """

    names: tuple[str, ...]
    sizes: str
    made: bool


def from_maps(
    trace: Trace,
    places: Sequence[Place],
    inputs: Sequence[Sequence[np.ndarray]],
    flat: Sequence[np.ndarray],
) -> tuple[Trace, Starts | None]:
    """The trace, in whose runs maps that flat inputs do not make flat are flat.

    Args:
      trace: of the model.
      places: of the model.
      inputs: of several runs, what gives the maps their mean and spread.
      flat: inputs that are flat, as far as they are images.

    Returns:
      It, and where it begins; the trace itself and None where all that places are given
      is flat, but for what other places draw.
    """
    looking = _Looking(trace, places)
    found: dict[int, bool] = {}
    began = trace
    for _ in range(_ROUNDS):
        new = looking.births(began, flat)
        if not new:
            break
        found |= new
        began = with_flat(trace, {n: looking.axis(n) for n in found}, inputs)
    if not found:
        return trace, None
    steps, first = looking.steps, min(found)
    names = dict.fromkeys(_maker(steps[n], steps) for n in sorted(found))
    shape = sizes(trace, first, looking.axis(first))
    return began, Starts(tuple(names), shape, all(found.values()))


def with_flat(
    trace: Trace, axes: dict[int, int], inputs: Sequence[Sequence[np.ndarray]]
) -> Trace:
    """The trace, in whose runs some results are flat, whatever goes into the model.

    They have their mean over space in the first of several runs, and random values
    around it in the others.

    Args:
      trace: of the model.
      axes: of these steps those of their channels.
      inputs: of several runs, what gives the results there their mean and spread.
    """
    shown: dict[int, list[np.ndarray]] = {index: [] for index in axes}
    trace.run(inputs, watch={index: seen.append for index, seen in shown.items()})

    def value(index, seed):
        own = axes[index]
        seen = [own_channels_second(x, trace.channel, own) for x in shown[index]]
        # Of several maps each has values of its own.
        seed += bool(seed) * probe.FLATS * [*axes].index(index)
        made = probe.flats(seen, seed)
        return np.moveaxis(np.moveaxis(made, 1, own), trace.channel, 1)

    def run(given, changes=NOTHING, watch=NOTHING):
        made = []
        for n, x in enumerate(given):
            flat = {
                i: changes.get(i, Change())._replace(value=value(i, n)) for i in axes
            }
            made += trace.run([x], {**changes, **flat}, watch)
        return made

    return trace._replace(run=run)


def next_map(trace: Trace, start: int) -> int | None:
    """The first result with spatial axes that is made of a step's, or itself is."""
    reached = {start}
    for step in trace.steps:
        if step.index == start or reached & {*step.sources}:
            reached.add(step.index)
            if len(step.shape) > 2:
                return step.index
    return None


def channel_axis(trace: Trace, index: int) -> int:
    """Which axis of a step's result has its channels, by what makes and reads it."""
    axis = _Looking(trace, ()).axis(index)
    return trace.channel if axis is None else axis


def sizes(trace: Trace, index: int, axis: int) -> str:
    """Of a step's result, whose channels lie along the axis, C x n1 x ... x nd."""
    _, *shape = next(step.shape for step in trace.steps if step.index == index)
    shape.insert(0, shape.pop(axis % (len(shape) + 1) - 1))
    return "x".join(map(str, shape))


def _maker(step: Step, steps) -> str:
    """The layer that makes a map, beyond what moves its elements, or changes each."""
    own = step
    while step.kind in ("layout", "other") and len(step.sources) == 1:
        before = steps.get(step.sources[0])
        if before is None or math.prod(before.shape) != math.prod(step.shape):
            break
        step = before
    return own.name if step.kind == "other" else step.name


class _Looking:
    """Looks for maps that are not flat, and where they come from."""

    def __init__(self, trace, places):
        self.steps = {step.index: step for step in trace.steps}
        self._channel = trace.channel
        self._users = defaultdict(list)
        for step in trace.steps:
            for source in {*step.sources}:
                self._users[source].append(step)
        self._axes = {}
        self._entries = self._of_places(trace, places)
        self._above = self._leading_to(self._entries)

    def _of_places(self, trace, places):
        """What no place has made, and a place reads, or is joined to what it made."""
        drawn = {place.output for place in places}
        outputs = set(drawn)
        found = {x for place in places for x in self._entry(place)}
        for step in trace.steps:
            if step.index not in outputs and drawn & {*step.sources}:
                drawn.add(step.index)
                found |= {*step.sources}
        return {n for n in found - drawn if n in self.steps}

    def _entry(self, place):
        """What a place's kernel, or resize, reads."""
        if place.makers is not None and place.makers.origins:
            layers = (self.steps[x.layer] for x in place.makers.origins)
            return {n for layer in layers for n in layer.sources}
        # Of channels that become pixels random ones would be a pattern.
        alone = place.layer is not None or is_resize(place) or place.makers is None
        return {place.input} if alone else set()

    def _leading_to(self, entries):
        found, left = set(entries), list(entries)
        while left:
            new = {n for n in self.steps[left.pop()].sources if n in self.steps} - found
            found |= new
            left += new
        return sorted(found)

    def axis(self, index):
        """Which axis of a step's result has the channels; None where none is known."""
        if index not in self._axes:
            self._axes[index] = None  # of what goes round in a circle
            step = self.steps[index]
            self._axes[index] = self._made(step) or self._read(step)
        return self._axes[index]

    def _made(self, step):
        if step.kind in ("convolution", "transposed", "resize"):
            return self._channel
        return -1 if step.kind == "linear" and len(step.shape) > 2 else None

    def _read(self, step):
        for user in self._users[step.index]:
            if user.shape_in != step.shape:
                continue
            if user.kind in ("convolution", "transposed", "resize"):
                return self._channel
            if user.kind == "linear":
                return -1
            axis = self.axis(user.index)
            if axis is None:
                continue
            if user.kind == "layout":
                axis = _before(user, axis)
            elif user.shape != step.shape:
                axis = None
            if axis is not None:
                return axis
        return None

    def births(self, trace, flat):
        """The steps that make what is not flat, of what is or of nothing spatial.

        Of each whether it is of the latter.
        """
        states = self._states(trace, flat, self._entries)
        if all(x in (_EVEN, _NO_MAP) for x in states.values()):
            return {}
        states = self._states(trace, flat, self._above)
        points = {-1: self._count_of_input(flat[0])}
        found: dict[int, dict[int, bool]] = {}
        for index in self._above:
            step = self.steps[index]
            before = [points.get(n) for n in step.sources]
            least = min((n for n in before if n), default=None)
            state = states[index]
            own = self._count(step)
            points[index] = {_NO_MAP: None, _UNKNOWN: least}.get(state, own)
            found[index] = {}
            if state in (_EVEN, _NO_MAP):
                continue
            for source in step.sources:
                found[index] |= found.get(source, {})
            # What enlarges what is flat may be a place that is not known.
            if state == _UNEVEN and not found[index] and (not least or own <= least):
                found[index] = {index: not least}
        return {n: x for i in self._entries for n, x in found[i].items()}

    def _count_of_input(self, flat):
        if not probe.is_image(flat):
            return None
        read = {step.shape_in for step in self._users[-1]} == {flat.shape}
        given = Step(-1, "", "", "", (), (), flat.shape)
        axis = self._read(given) if read and self._channel == 1 else 1
        return _points_of(flat, 1 if axis is None else axis)

    def _count(self, step):
        axis = self.axis(step.index)
        return None if axis is None else _points_of(step, axis)

    def _states(self, trace, flat, indices):
        shown: dict[int, np.ndarray] = {}
        watch = {n: (lambda x, n=n: shown.setdefault(n, x)) for n in indices}
        trace.run([flat], watch=watch)
        batch = len(flat[0])
        return {n: self._state(self.steps[n], shown[n], batch) for n in indices}

    def _state(self, step, array, batch):
        shape = step.shape
        if len(shape) < 3:
            # Tokens of all examples lie below each other where layers read them.
            return _NO_MAP if shape[:1] == (batch,) or len(shape) < 2 else _UNKNOWN
        axis = self.axis(step.index)
        if axis is None or array.dtype.kind not in "fV":
            return _UNKNOWN
        image = own_channels_second(np.asarray(array, np.float64), self._channel, axis)
        if math.prod(image.shape[2:]) == 1:
            return _NO_MAP
        image = image[(..., *map(_inner, image.shape[2:]))]
        varying = image.var(tuple(range(2, image.ndim))).mean()
        return _UNEVEN if varying > _FLAT * (image**2).mean() else _EVEN


_EVEN, _UNEVEN, _NO_MAP, _UNKNOWN = "even", "uneven", "no map", "unknown"


def _inner(size):
    """What of an axis lies away from borders, where there is more than that."""
    return slice(size // 3, size - size // 3) if size > 3 else slice(None)


def _points_of(array, axis):
    """At how many places there are features; None of one place alone."""
    sizes = list(array.shape[1:])
    del sizes[axis % len(array.shape) - 1]
    count = math.prod(sizes)
    return count if count > 1 else None


def _before(step, axis):
    """The axis of what is moved along which one of the result runs; None of several."""
    run = roles.axes_along(step.shape_in, step.move)[axis]
    return run.pop() if len(run) == 1 else None
