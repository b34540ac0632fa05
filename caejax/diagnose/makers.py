"""Which layers make the channels that become pixels, and what lies between.

Phases are alike if the channels that they show are. From there the way leads back:
through what takes a part of the channels, or joins parts, to where these are; through
what treats all channels alike to each of its inputs; through what has numbers for each
channel, as scales, biases and normalisations have, to the same channels before. It ends
at convolutions and linear layers, whose kernels can be made alike.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from caejax.diagnose import roles
from caejax.diagnose.trace import Each, Parameter, Step


class Passed(NamedTuple):
    """An operation with numbers for each channel, between a layer and the pixels.

    Attributes:
      step: its index.
      channels: (n,), which of its own each item is.
      adds: whether what it adds is to be counted here: of a sum behind which it lies
        only in the first part.
    """

    step: int
    channels: np.ndarray
    adds: bool = True


class Origin(NamedTuple):
    """A layer that makes some, or all, of the channels.

    Attributes:
      layer: the step.
      items: (n,), which of the channels.
      channels: (n,), which of the layer's own these are.
      behind: what they pass from there to the pixels, the last first; None for what
        treats all channels alike and is no sum.
      path: which input was taken wherever there are several, as of a sum: on each path
        the channels come from layers of their own.
    """

    layer: int
    items: np.ndarray
    channels: np.ndarray
    behind: tuple[Passed | None, ...]
    path: tuple[int, ...]

    @property
    def is_sum(self) -> bool:
        """Whether there is nothing but scales and sums between."""
        return None not in self.behind


class Makers(NamedTuple):
    """All that makes some features' channels.

    Attributes:
      origins: the layers.
      why: where the way back ends elsewhere, in words.
    """

    origins: tuple[Origin, ...]
    why: tuple[str, ...]


def find_makers(
    start: Step, axes: Sequence[int], steps: Mapping[int, Step], channel: int
) -> Makers:
    """Goes back to the layers that make a step's channels.

    Args:
      start: the step.
      axes: of its channels; several where phases are stacked along axes of their own,
        which are then counted over all.
      steps: all of them, by index.
      channel: the axis of the channels of images, 1 or -1.
    """
    walk = _Walk(steps, channel)
    numbers = np.arange(np.prod([start.shape[n] for n in axes]))
    numbers = numbers.reshape([start.shape[n] for n in axes])
    begin = _begin(start, list(axes), numbers, steps, channel)
    if begin is None:
        walk.why.append("how its phases are put together is not known")
    else:
        walk.go(begin)
    return Makers(_merged(walk.origins), tuple(dict.fromkeys(walk.why)))


def _begin(step, axes, numbers, steps, channel):
    """Where channels are along one axis: in what was stacked, once or several times.

    Args:
      step: whose channels lie along the axes.
      axes: list of these.
      numbers: of the channels, laid out along them.
      steps, channel: see `find_makers`.

    Returns:
      Items; None where it is not known.
    """
    if len(axes) == 1 and not _is_stack(step, axes[0], steps):
        return [_Item(step.index, axes[0], numbers, np.arange(len(numbers)), (), ())]
    if step.kind == "layout":
        before = _axes_before(step, axes)
        if before is None or step.sources[0] not in steps:
            return None
        return _begin(steps[step.sources[0]], before, numbers, steps, channel)
    if step.joins is None or step.joins[0] not in axes:
        return None
    along, spans = step.joins
    parts = np.moveaxis(numbers, axes.index(along), 0)
    found = []
    for source, (first, end) in zip(step.sources, spans, strict=True):
        part = steps.get(source)
        if part is None or end - first != 1:
            return None
        raised = len(part.shape) < len(step.shape)
        own = [n - (raised and along < n) for n in axes if n != along]
        own = own or [_channels_of(part, steps, channel)]
        sizes = [part.shape[n] for n in own]
        begin = _begin(part, own, parts[first].reshape(sizes), steps, channel)
        if begin is None:
            return None
        found += begin
    return found


def _is_stack(step, axis, steps):
    """Whether features are put beside each other along an axis that they lack."""
    part = steps.get(step.sources[0]) if step.joins and step.joins[0] == axis else None
    return part is not None and len(part.shape) < len(step.shape)


def _channels_of(step, steps, channel):
    """The axis of a step's channels, where there is only one."""
    known = roles.roles_of(step, steps, channel)
    found = known.index(roles.CHANNEL) if roles.CHANNEL in known else channel
    return found % len(step.shape)


def _axes_before(step, axes):
    """Where whole axes of what is moved lay before; None where they did not."""
    runs = roles.axes_along(step.shape_in, step.move)
    found = [next(iter(runs[n])) for n in axes if len(runs[n]) == 1]
    sizes = [step.shape_in[n] for n in found]
    whole = sizes == [step.shape[n] for n in axes]
    return found if whole and len({*found}) == len(axes) else None


def _merged(origins):
    """Several ways to one layer, through the same, as one."""
    found: dict[tuple, list[Origin]] = {}
    for one in origins:
        through = tuple(x and (x.step, x.adds) for x in one.behind)
        found.setdefault((one.layer, one.path, through), []).append(one)
    return tuple(map(_as_one, found.values()))


def _as_one(origins):
    first = origins[0]
    behind = tuple(
        here[0]
        and here[0]._replace(channels=np.concatenate([x.channels for x in here]))
        for here in zip(*(x.behind for x in origins), strict=True)
    )
    items, channels = (
        np.concatenate([getattr(x, name) for x in origins])
        for name in ("items", "channels")
    )
    return first._replace(items=items, channels=channels, behind=behind)


class _Item(NamedTuple):
    """Where the way has led: channels `at` along an axis of a step's result."""

    index: int
    axis: int
    items: np.ndarray
    at: np.ndarray
    behind: tuple[Passed | None, ...]
    path: tuple[int, ...]


class _Walk:
    def __init__(self, steps, channel):
        self._steps, self._channel = steps, channel
        self._seen: set[tuple] = set()
        self.origins: list[Origin] = []
        self.why: list[str] = []

    def go(self, left):
        while left:
            here = left.pop()
            step = self._steps.get(here.index)
            if step is None:
                self.why.append("its channels are those of the model's input itself")
            elif _is_layer(step, self._channel):
                self._end(step, here)
            elif (before := self._before(step, here)) is None:
                self.why.append(
                    f"its channels come through {_called(step)}, behind which their "
                    "kernel is not known"
                )
            else:
                # A gate of what it gates, x sigmoid(x), leads to the same twice.
                for one in reversed(before):
                    key = (one.index, one.axis, one.at.tobytes(), one.items.tobytes())
                    left += [] if key in self._seen else [one]
                    self._seen.add(key)

    def _end(self, step, here):
        if here.axis != axis_of(step, self._channel):
            self.why.append(f"{_called(step)} has its channels on another axis")
            return
        self.origins.append(
            Origin(step.index, here.items, here.at, here.behind, here.path)
        )

    def _before(self, step, here):
        """Where the channels are in what a step is given; None where unknown."""
        if step.joins is not None:
            return _apart(step, here)
        if step.move is not None:
            found = _moved(step, here)
            return self._in_groups(step, here) if found is None else found
        if step.label.lower() == "glu":
            return _gated(step, here)
        if step.kind not in ("other", "resize", "convolution"):
            return None
        if step.label.lower() in roles.PRODUCTS or "attention" in step.label.lower():
            return None
        return self._through(step, here)

    def _in_groups(self, step, here):
        """Beyond channels that are normalised in groups, as images of groups are."""
        norm = self._steps.get(step.sources[0])
        first = self._steps.get(norm.sources[0]) if norm and norm.sources else None
        if first is None or first.kind != "layout" or first.shape_in != step.shape:
            return None
        if norm.each is None or norm.each.groups != norm.shape[1] or here.axis != 1:
            return None
        group = here.at * norm.each.groups // step.shape[1]
        behind = (*here.behind, Passed(norm.index, group), None)
        return [here._replace(index=first.sources[0], behind=behind)]

    def _through(self, step, here):
        """Each input of the shape, or as many channels, of what treats them alike."""
        behind = here.behind
        each = each_of(step, self._channel)
        if each is not None and each.axis in (-1, here.axis):
            behind += (Passed(step.index, here.at),)
            behind += (None,) if each.scale is None else ()
        elif step.label.lower() not in _SUMS:
            behind += (None,)
        found = []
        for source in step.sources:
            known = self._steps.get(source)
            shape = step.shape_in if known is None else known.shape
            axis = here.axis - (len(step.shape) - len(shape))
            if axis < 0 or shape[axis] == 1 < step.shape[here.axis]:
                continue  # one for all channels
            if len(shape) > len(step.shape) or shape[axis] != step.shape[here.axis]:
                return None
            found.append(here._replace(index=source, axis=axis, behind=behind))
        return found if len(found) < 2 else _on_paths(found)


def _in_each(step, here):
    """The channels in each of what is put beside each other along another axis."""
    along = step.joins[0]
    lower = len(step.shape_in) < len(step.shape)
    axis = here.axis - (lower and along < here.axis)
    return [here._replace(index=source, axis=axis) for source in step.sources]


def _on_paths(found, counted=False):
    """Several inputs, each on a path of its own.

    Of a sum what is added behind it counts in the first alone.
    """
    if counted:
        return [x._replace(path=(*x.path, n)) for n, x in enumerate(found)]
    return [
        one._replace(path=(*one.path, n), behind=one.behind if n == 0 else uncounted)
        for n, one in enumerate(found)
        for uncounted in [tuple(x and x._replace(adds=False) for x in one.behind)]
    ]


# Operations that keep sums what they are, and treat all channels alike.
_SUMS = {"add", "add_", "sub", "sub_", "sum", "neg", "add_any"}
_SUMS |= {"pad", "constant_pad_nd", "reflection_pad2d", "replication_pad2d"}


def _is_layer(step, channel):
    if step.kind == "linear":
        return True
    return step.kind == "convolution" and not is_depthwise(step, channel)


def is_depthwise(step: Step, channel: int) -> bool:
    """Whether it is a convolution of each channel by itself."""
    return (
        step.kind == "convolution"
        and step.groups == step.shape_in[channel] == step.shape[channel] > 1
    )


def each_of(step: Step, channel: int) -> Each | None:
    """What a step does to each channel by itself; see `Each`."""
    if not is_depthwise(step, channel):
        return step.each
    values = zip((step.weight, step.bias), step.holds, strict=True)
    own = tuple(Parameter(x, holds) for x, holds in values if x is not None)
    return Each(channel % len(step.shape), own)


def axis_of(step: Step, channel: int) -> int:
    """Of a layer's channels, in its result."""
    return (channel if step.kind == "convolution" else -1) % len(step.shape)


def _called(step):
    return step.label if step.name in ("", step.label) else f"{step.label} {step.name}"


def _apart(step, here):
    """Of features beside each other, each with the channels that lie in it."""
    axis, spans = step.joins
    if axis != here.axis:  # in each of them all of the channels are
        return _on_paths(_in_each(step, here), counted=True)
    found = []
    covered = 0
    for source, (start, end) in zip(step.sources, spans, strict=True):
        inside = (here.at >= start) & (here.at < end)
        covered += inside.sum()
        if inside.any():
            found.append(
                here._replace(
                    index=source,
                    items=here.items[inside],
                    at=here.at[inside] - start,
                    behind=tuple(
                        x and x._replace(channels=x.channels[inside])
                        for x in here.behind
                    ),
                )
            )
    return found if covered == len(here.at) else None


def _moved(step, here):
    """Of elements that are moved, or taken."""
    shape = step.shape_in
    numbers = step.move(np.arange(np.prod(shape), dtype=np.int64).reshape(shape))
    if numbers.ndim <= here.axis or not numbers.size:
        return None
    line = np.moveaxis(numbers, here.axis, -1)
    first = np.ascontiguousarray(line.reshape(-1, line.shape[-1])[0])
    places = np.unravel_index(first, shape)
    along = [n for n, x in enumerate(places) if (x != x[:1]).any()]
    if not along:  # of one element: all channels are the same
        return _of_one(step, here, numbers)
    if len(along) > 1:
        return None
    # The same channels everywhere else.
    where = np.unravel_index(np.ascontiguousarray(line), shape)[along[0]]
    if (where != places[along[0]]).any():
        return None
    at = places[along[0]][here.at]
    return [here._replace(index=step.sources[0], axis=along[0], at=at)]


def _of_one(step, here, numbers):
    """Of one channel alone nothing is told, but where it stays where it is."""
    if numbers.shape[here.axis] > 1:
        return []
    same = numbers.ndim == len(step.shape_in) and step.shape_in[here.axis] == 1
    return [here._replace(index=step.sources[0])] if same else None


def _gated(step, here):
    """Half of the channels, times a function of the others."""
    if step.shape_in[here.axis] != 2 * step.shape[here.axis]:
        return None
    behind = (*here.behind, None)
    one = here._replace(index=step.sources[0], behind=behind)
    return _on_paths([one, one._replace(at=here.at + step.shape[here.axis])])


def effective(
    origin: Origin, steps: Mapping[int, Step], kept: Sequence[int] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """What is multiplied by and added to a layer's channels on the way to the pixels.

    Args:
      origin: the layer.
      steps: all of them, by index.
      kept: steps that are left out, as those that are the same for all phases are.

    Returns:
      Scales and shifts, (n,), for each item; of what lies directly behind the layer,
      up to what is no sum.
    """
    scale, shift = np.ones(len(origin.items)), np.zeros(len(origin.items))
    for one in reversed(origin.behind):  # from the layer on
        if one is None:
            break
        each = steps[one.step].each
        if one.step in kept:
            continue
        factor = _of_channels(each.scale, one.channels)
        scale, shift = scale * factor, shift * factor
        if one.adds:
            shift = shift + _of_channels(each.shift, one.channels)
    return scale, shift


def _of_channels(values, channels):
    """Of each of the channels, or what all have."""
    return values[channels] if np.ndim(values) else values
