"""The places where a model enlarges, found in what it did."""

import math
from collections import defaultdict
from typing import NamedTuple

import numpy as np

from caejax.diagnose import phases
from caejax.diagnose.layouts import Blocks, find_blocks
from caejax.diagnose.trace import Change, Step, Trace, spatial

_STEPS = "clean on constants; on slopes its steps remain"  # of a nearest resize
_UNKNOWN = "how it enlarges is not known; what it draws is measured"
# Their first input is a part of the result, and no smaller image.
_JOINING = {"cat", "concat", "concatenate"}
# Of these a result may be larger by a factor that is no scale.
_COUNTING = {"bmm", "baddbmm", "matmul", "dot_general", "einsum"} | _JOINING


class Place(NamedTuple):
    """A place where a model enlarges.

    Attributes:
      name: the layer, as its authors call it.
      operation: what enlarges there.
      stride: of each spatial axis; fractions of a resize.
      kernel: shape of the kernel, taps alone.
      phases: of the kernel with a fixed blur behind it; None where there is none.
      change: what makes it clean, by step; empty where it is clean on constants, None
        where nothing does.
      input: the step behind which it begins.
      output: the step that makes its result.
      note: what else is to be said.
      reads: the step whose features its kernel reads, where its result follows from
        those and the kernel alone; else None.
      groups: of its channels.
      bias: (F,) that all phases share, or None.
      layer: the step whose kernel it is, or None.
      order: of channels that become pixels, which channel of the layer each phase
        shows, (s1, ..., sd, F); else None.
      added: the steps behind the layer that add biases to its channels.
    """

    name: str
    operation: str
    stride: tuple[float, ...]
    kernel: tuple[int, ...]
    phases: phases.Phases | None
    change: dict[int, Change] | None
    input: int
    output: int
    note: str = ""
    reads: int | None = None
    groups: int = 1
    bias: np.ndarray | None = None
    layer: int | None = None
    order: np.ndarray | None = None
    added: tuple[int, ...] = ()


def is_resize(place: Place) -> bool:
    """Whether it is clean on constants, whatever it is given."""
    return place.change == {} and not is_unknown(place)


def is_unknown(place: Place) -> bool:
    """Whether how it enlarges is not known."""
    return place.note == _UNKNOWN


def find_places(trace: Trace) -> list[Place]:
    """Finds the places where a model enlarges, in the order in which they run."""
    steps = {step.index: step for step in trace.steps}
    users = defaultdict(list)
    for step in trace.steps:
        for source in set(step.sources):
            users[source].append(step)
    found = []
    for step in trace.steps:
        if not step.sources:  # of weights alone, as positions are
            continue
        if step.kind == "transposed" and max(step.stride) > 1:
            found.append(_transposed(step, users, trace.channel))
        elif step.kind == "resize":
            found.append(_resize(step, users, trace.channel))
        elif step.kind == "layout" and _ends(step, users, trace):
            found.append(_layout(step, steps, users, trace.channel))
        elif step.kind == "other":
            found.append(_unknown(step, steps, trace.channel))
    # Several ways may lead on from one.
    return list({place.output: place for place in found if place}.values())


def find_whole(trace: Trace) -> list[Place]:
    """From the smallest features to the result as one place, if that is larger.

    For models in which no place was found whose pattern reaches the result.
    """
    steps = {step.index: step for step in trace.steps}
    end = steps.get(trace.results[0])
    sizes = {
        step.index: spatial(step.shape, trace.channel)
        for step in trace.steps
        if end is not None and len(step.shape) == len(end.shape) > 2
    }
    # Of one pixel are means, of which gates are made.
    sizes = {index: size for index, size in sizes.items() if min(size) > 1}
    if not sizes:
        return []
    smallest = max(sizes, key=lambda index: (-math.prod(sizes[index]), index))
    whole = spatial(end.shape, trace.channel)
    stride = tuple(out / n for n, out in zip(sizes[smallest], whole, strict=True))
    if max(stride) == 1 or not all(float(s).is_integer() for s in stride):
        return []
    small, large = ("x".join(map(str, size)) for size in (sizes[smallest], whole))
    operation = f"from {small} to {large}"
    name = steps[smallest].name
    place = Place(name, operation, stride, (), None, {}, smallest, end.index, _UNKNOWN)
    return [place]


def _ends(step, users, trace):
    """Whether what is moved is then used: no layout alone goes on."""
    following = users[step.index]
    return step.index in trace.results or any(x.kind != "layout" for x in following)


def _transposed(step, users, channel):
    kernel = step.weight.shape[2:]
    found = phases.of_transposed(step.weight, step.stride, step.dilation, step.padding)
    clean = phases.clean_transposed(step.weight, step.stride, step.dilation)
    change = None if clean is None else {step.index: Change(weight=clean)}
    note = "" if change else "some phases have no taps, so no kernel is clean"
    found, blur, output = _behind(found, step, users, channel)
    return Place(
        step.name,
        f"{step.label}{blur}",
        step.stride,
        kernel,
        found,
        change,
        step.sources[0],
        output,
        note,
        None if blur else step.sources[0],
        step.groups,
        step.bias,
        layer=step.index,
    )


def _behind(found, step, users, channel):
    """Mixes the phases as a fixed blur does that follows, if one does.

    Returns:
      The phases, what the operation is called by it, and the step that ends it.
    """
    following = _next(step, users)
    blur = following and _blur(following, channel)
    if blur is None or found is None:
        return found, "", step.index
    return phases.blurred(found, blur), " + fixed blur", following.index


def _next(step, users):
    """The one operation that uses a result, beyond what only moves or pads it."""
    while len(users[step.index]) == 1:
        step = users[step.index][0]
        if step.kind != "layout" and step.label not in _PASSING:
            return step
    return None


# Operations that leave a kernel's phases as they are.
_PASSING = {"add", "add_", "Add", "pad", "constant_pad_nd", "Pad", "mul", "Mul"}


def _blur(step: Step, channel):
    """The taps of a depthwise convolution that is the same for all channels."""
    if step.kind != "convolution" or step.groups != step.shape_in[channel]:
        return None
    taps = step.weight.reshape(step.weight.shape[0], *step.weight.shape[2:])
    same = np.allclose(taps, taps[:1], rtol=1e-6, atol=0)
    alone = max(step.stride) == 1 and len(taps) == step.groups and taps[0].size > 1
    return np.asarray(taps[0], np.float64) if same and alone else None


def _stride(step, channel):
    """By how much a result is larger; what is made of one pixel does not repeat."""
    sizes = zip(
        spatial(step.shape_in, channel), spatial(step.shape, channel), strict=True
    )
    return tuple(out / n if n > 1 else 1.0 for n, out in sizes)


def _resize(step, users, channel):
    stride = _stride(step, channel)
    if max(stride, default=1) <= 1:
        return None
    following = _next(step, users)
    behind = following is not None and following.kind == "convolution"
    kernel = following.weight.shape[2:] if behind else ()
    operation = f"{step.label} ({step.mode})" + (
        f" + {following.label}" if behind else ""
    )
    whole = all(float(s).is_integer() for s in stride)
    note = "" if whole else "its scale is no integer, so its steps have no one period"
    if whole and "nearest" in step.mode:
        note = _STEPS
    return Place(
        step.name,
        operation,
        stride,
        kernel,
        None,
        {},
        step.sources[0],
        step.index,
        note,
    )


def _unknown(step, steps, channel):
    """An operation that enlarges in a way of its own, as by picking elements."""
    if len(step.shape_in) != len(step.shape) or len(step.shape) < 3:
        return None
    label = step.label.lower()
    # A mask, a gate or a bias that is spread over an image does not enlarge it.
    spread = any(steps[n].shape == step.shape for n in step.sources if n in steps)
    if spread or label in _COUNTING or "pad" in label:
        return None
    stride = _stride(step, channel)
    whole = all(float(s).is_integer() for s in stride)
    if not whole or max(stride) == 1 or min(step.shape_in) == 0:
        return None
    return Place(
        step.name,
        step.label,
        stride,
        (),
        None,
        {},
        step.sources[0],
        step.index,
        _UNKNOWN,
    )


def _layout(end, steps, users, channel):
    chain = [end]
    while True:
        source = chain[-1].sources[0]
        step = steps.get(source)
        if step is None or step.kind != "layout":
            break
        chain.append(step)
    blocks = _blocks(chain, channel)
    # What enlarges by its name may be made tokens of, or something else, at once.
    while blocks is None and (chain := chain[1:]):
        if _enlarges_by_name(chain[0]):
            end, blocks = chain[0], _blocks(chain, channel)
    if blocks is None:
        return None
    label = _layout_label(chain)
    inside = step is not None
    if not blocks.repeated and inside and not blocks.joined:
        return _shuffle(end, step, blocks, label, steps, users, channel)
    note = _STEPS
    if not blocks.repeated:
        note = _UNKNOWN if inside else "it takes apart the model's input itself"
    return Place(
        end.name,
        f"{label} (nearest)" if blocks.repeated else label,
        blocks.stride,
        (),
        None,
        {},
        source,
        end.index,
        note,
    )


def _blocks(chain, channel):
    """How a chain of moves, the last one first, makes channels pixels, if it does."""

    def move(array):
        for step in reversed(chain):
            array = step.move(array)
        return array

    return find_blocks(chain[-1].shape_in, move, (channel, -1 if channel == 1 else 1))


def _layout_label(chain):
    known = [x.label for x in reversed(chain) if _enlarges_by_name(x)]
    return known[0] if known else "reshape"


def _enlarges_by_name(step):
    return "shuffle" in step.label or "Depth" in step.label


def _shuffle(end, source, blocks: Blocks, label, steps, users, channel):
    maker, alone, added = _maker(source, steps)
    if maker is not None and not _fits(maker, end, blocks, channel):
        return None
    groups = _groups(blocks, source.shape[blocks.channel_axis])
    change = {source.index: Change(mean=(groups, blocks.channel_axis))}
    if maker is None:
        note = "what makes its channels is no convolution; its kernel is not known"
        return Place(
            end.name,
            label,
            blocks.stride,
            (),
            None,
            change,
            source.index,
            end.index,
            note,
        )
    found = None
    if maker.groups == 1:
        found = phases.of_shuffle(maker.weight, blocks.order, maker.bias)
    found, blur, output = _behind(found, end, users, channel)
    return Place(
        maker.name,
        f"{maker.label} + {label}{blur}",
        blocks.stride,
        maker.weight.shape[2:],
        found,
        change,
        source.index,
        output,
        reads=maker.sources[0] if alone and not blur else None,
        layer=maker.index,
        order=blocks.order,
        added=added,
    )


def _fits(maker, end, blocks, channel):
    """Whether a convolution's pixels, times the stride, are those of the result.

    Queries and keys of attention are otherwise moved likewise, and are no image.
    """
    sizes = spatial(maker.shape, channel)
    made = [end.shape[axis] for axis in blocks.axes]
    if maker.kind != "convolution" or len(sizes) != len(made):
        return True
    return made == [n * s for n, s in zip(sizes, blocks.stride, strict=True)]


def _maker(step, steps):
    """The convolution or linear layer whose result this is, beyond pointwise steps.

    Returns:
      The layer with the biases that are added behind it, whether there is nothing
      else behind it, and the steps that add them; (None, False, ()) where there is no
      such layer.
    """
    alone, added = True, ()
    while step.kind not in ("convolution", "linear"):
        same = step.kind == "other" and step.shape == step.shape_in
        # The examples and places of a linear layer may lie along one axis or more.
        moved = step.kind == "layout" and step.shape[-1:] == step.shape_in[-1:]
        made = [steps[n] for n in step.sources if n in steps]
        if not (same or moved) or len(made) != 1:
            return None, False, ()
        alone &= moved or step.bias is not None
        added += (step,) if step.bias is not None else ()
        step = made[0]
    # What is added along another axis is no bias of the channels.
    own = tuple(x for x in added if x.bias.shape == step.weight.shape[:1])
    biases = [x.bias for x in (step, *own) if x.bias is not None]
    whole = step._replace(bias=sum(biases)) if biases else step
    return whole, alone and own == added, tuple(x.index for x in own)


def _groups(blocks, count):
    """Which channels the phases of one channel of the result are."""
    groups = np.full(count, -1)
    flat = blocks.order.reshape(-1, blocks.order.shape[-1])
    for channel in range(flat.shape[1]):
        groups[flat[:, channel]] = channel
    alone = groups < 0  # of no pixel: cropped away
    groups[alone] = flat.shape[1] + np.arange(alone.sum())
    return groups


def scales(trace: Trace, places: list[Place]) -> dict[int, tuple[float, ...]]:
    """By how much the first result is larger than each step's own, along each axis.

    The largest of several ways counts. Steps from which no way leads are left out.
    """
    result = next(x for x in trace.steps if x.index == trace.results[0])
    dims = len(result.shape) - 2
    enlarging = {place.output: place for place in places}
    found = {result.index: (1.0,) * dims}

    def note(source, larger):
        found[source] = max(found.get(source, larger), larger)

    for step in reversed(trace.steps):
        here = found.get(step.index)
        if here is None:
            continue
        place = enlarging.get(step.index)
        if place and len(place.stride) == dims:
            own = tuple(map(float, place.stride))
            note(place.input, tuple(a * b for a, b in zip(here, own, strict=True)))
            continue
        own = _scale(step, dims, trace.channel)
        for source in step.sources:
            note(source, tuple(a * b for a, b in zip(here, own, strict=True)))
    return found


def _scale(step, dims, channel):
    if step.kind == "convolution" and len(step.stride) == dims:
        return tuple(1 / s for s in step.stride)
    # Layouts that enlarge are places.
    if step.kind == "layout" or step.label.lower() in _JOINING:
        return (1.0,) * dims
    if len(step.shape_in) != len(step.shape) or len(step.shape) != dims + 2:
        return (1.0,) * dims
    return tuple(
        _ratio(out, n)
        for n, out in zip(
            spatial(step.shape_in, channel), spatial(step.shape, channel), strict=True
        )
    )


def _ratio(out, n):
    """Of two sizes; small differences are borders."""
    if not n or not out:
        return 1.0
    ratio = out / n
    for near in (round(ratio), 1 / max(1, round(1 / ratio))):
        if near and abs(math.log(ratio / near)) < 0.1:
            return float(near)
    return ratio
