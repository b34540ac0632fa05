"""The places where a model enlarges, found in what it did."""

import itertools
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from caejax.diagnose import phases, roles
from caejax.diagnose.layouts import Blocks, find_blocks
from caejax.diagnose.makers import Makers, effective, find_makers
from caejax.diagnose.trace import Change, Step, Trace, spatial

_STEPS = "clean on constants; on slopes its steps remain"  # of a nearest resize
_UNKNOWN = "how it enlarges is not known; what it draws is measured"
NO_TAPS = (
    "some phases have no taps (no weight of the kernel reaches these pixels), so no "
    "kernel is clean"
)
HIDDEN = "it runs inside of a loop or condition that is not looked into"
# Their first input is a part of the result, and no smaller image.
_JOINING = {"cat", "concat", "concatenate"}
_STACKING = {"stack"} | _JOINING
# Of these a result may be larger by a factor that is no scale.
_COUNTING = roles.PRODUCTS | _JOINING


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
      layer: of a transposed convolution the step, else None.
      order: of channels that become pixels, which of these channels each phase shows,
        (s1, ..., sd, F); else None.
      makers: of channels that become pixels, the layers that make them; else None.
      turns: of these the changes that exchange two axes of the blocks.
      channel: the axis of the channels in its result, where that may be another than in
        the model's other images; else None.
      channel_read: likewise in what it reads.
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
    makers: Makers | None = None
    turns: tuple[dict[int, Change], ...] = ()
    channel: int | None = None
    channel_read: int | None = None


def is_resize(place: Place) -> bool:
    """Whether it is clean on constants, whatever it is given."""
    return place.change == {} and not is_unknown(place)


def is_unknown(place: Place) -> bool:
    """Whether how it enlarges is not known."""
    return place.note == _UNKNOWN


def is_hidden(place: Place) -> bool:
    """Whether no run shows it."""
    return place.note == HIDDEN


def is_named_resize(place: Place) -> bool:
    """Whether its operation is a resize, which is clean on constants."""
    return place.operation.startswith(("Resize", "Upsample"))


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
            found.append(_unknown(step, steps, users, trace.channel))
    # Several ways may lead on from one.
    places = {place.output: place for place in found if place}.values()
    several = [x for x in places if not _is_of_one_pixel(x, steps, trace.channel)]
    places = several or places
    return [x for x in places if not _is_of_tokens(x, steps.get(trace.results[0]))]


def _is_of_one_pixel(place, steps, channel):
    """Whether a kernel makes all of its result of one pixel: nothing repeats there."""
    if place.layer is None:
        return False
    sizes = spatial(steps[place.layer].shape_in, channel)
    along = zip(sizes, place.stride, strict=True)
    return all(n == 1 for n, s in along if s > 1)


def _is_of_tokens(place, result):
    """Whether channels become a row of what is an image at last: no pixels of it."""
    dims = 0 if result is None else len(result.shape) - 2
    own = len(place.stride)
    return place.makers is not None and own < dims and not is_of(own, dims)


def find_whole(trace: Trace) -> list[Place]:
    """From the smallest features to the result as one place, if that is larger.

    For models in which no place was found whose pattern reaches the result.
    """
    steps = {step.index: step for step in trace.steps}
    end = steps.get(trace.results[0])
    if end is None or len(end.shape) < 3:
        return []
    shapes = {step.index: step.shape for step in trace.steps if step.sources}
    # What reads the input first; of others than images nothing is known of it.
    read = next((x for x in trace.steps if x.sources[:1] == (-1,)), None)
    shapes |= {-1: read.shape_in} if read else {}
    sizes = {
        index: spatial(shape, trace.channel)
        for index, shape in shapes.items()
        if len(shape) == len(end.shape)
    }
    # Of one pixel are means, of which gates are made.
    sizes = {index: size for index, size in sizes.items() if min(size) > 1}
    order = sorted(sizes, key=lambda index: (math.prod(sizes[index]), -index))
    before = _enlarged(end, steps, trace.channel)
    images = (
        x
        for x in order
        if x in before and (x < 0 or _may_be_an_image(steps[x], steps, trace.channel))
    )
    smallest = next(images, None)
    if smallest is None:
        return []
    whole = spatial(end.shape, trace.channel)
    stride = tuple(out / n for n, out in zip(sizes[smallest], whole, strict=True))
    if max(stride) == 1 or not all(float(s).is_integer() for s in stride):
        return []
    small, large = ("x".join(map(str, size)) for size in (sizes[smallest], whole))
    operation = f"from {small} to {large}"
    name = steps[smallest].name if smallest >= 0 else "input"
    change = _by_blocks(end, stride, trace.channel)
    given = (change, smallest, end.index, _UNKNOWN)
    return [Place(name, operation, stride, (), None, *given)]


def _enlarged(end, steps, channel):
    """The steps from which a way leads to a result on which images stay images."""
    found, left = {end.index}, [end]
    while left:
        step = left.pop()
        ends = _puts_together(step, channel) or _leaves_out_places(step, channel)
        if step.apart or ends:
            continue
        new = {*step.sources} - found
        found |= new
        left += [steps[n] for n in new if n in steps]
    return found


def _puts_together(step, channel):
    """Whether a result is longer by a half or more, as octaves in one are."""
    joins = step.label.lower() in _JOINING and len(step.shape) == len(step.shape_in)
    return joins and max(_stride(step, channel), default=1) >= 1.5


def _leaves_out_places(step, channel):
    """Whether an axis is summed over, or one part of it taken, but that of channels."""
    before = step.shape_in
    if step.kind != "other" or len(step.shape) != len(before) - 1:
        return False
    kept = channel % len(before)
    return before[:kept] + before[kept + 1 :] != step.shape


def _may_be_an_image(step, steps, channel):
    """Whether nothing is known against its channels being where those of images are."""
    known = dict(enumerate(roles.roles_of(step, steps, channel)))
    own = known.pop(channel % len(known))
    others = {roles.CHANNEL, roles.PLACES} & {*known.values()}
    return own not in (roles.PLACE, roles.PLACES) and not others


def _ends(step, users, trace):
    """Whether what is moved is then used: no layout alone goes on."""
    following = users[step.index]
    return step.index in trace.results or any(x.kind != "layout" for x in following)


def _transposed(step, users, channel):
    kernel = step.weight.shape[2:]
    found = phases.of_transposed(step.weight, step.stride, step.dilation, step.padding)
    clean = phases.clean_transposed(step.weight, step.stride, step.dilation)
    change = None if clean is None else {step.index: Change(weight=clean)}
    note = "" if change else NO_TAPS
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
    # Taps that lie further apart mix other phases than their neighbours'.
    near = max(step.stride) == 1 == max(step.dilation, default=1)
    alone = near and len(taps) == step.groups and taps[0].size > 1
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


def _unknown(step, steps, users, channel):
    """An operation that enlarges in a way of its own, as by picking elements."""
    if step.label.lower() in _WRITING:
        return _written(step, steps, users, channel)
    folds = step.label == "fold"  # of patches that overlap
    stride = step.stride if folds else scale_of_unknown(step, steps, channel)
    if step.apart or not is_enlarging(stride) or len(step.shape) < 3:
        return None
    return _of_no_kernel(step, stride, step.sources[0], step, channel)


def is_enlarging(stride: Sequence[float]) -> bool:
    """Whether a stride is one of an enlargement: whole, and above 1 along some axis."""
    return max(stride, default=1) != 1 and all(float(s).is_integer() for s in stride)


def scale_of_unknown(
    step: Step, steps: Mapping[int, Step], channel: int
) -> tuple[float, ...]:
    """By how much a result is larger that an operation of no known kind makes.

    Args:
      step: the operation.
      steps: all of them, by index.
      channel: the axis of the channels of images, 1 or -1.

    Returns:
      For each spatial axis; () of an operation of another kind, or of no images.
    """
    label = step.label.lower()
    if step.kind != "other" or label in _COUNTING | _WRITING or "pad" in label:
        return ()
    if len(step.shape_in) != len(step.shape) or len(step.shape) < 3:
        return ()
    # A mask, a gate or a bias that is spread over an image does not enlarge it.
    spread = any(steps[n].shape == step.shape for n in step.sources if n in steps)
    return () if spread or 0 in step.shape_in else _stride(step, channel)


def _of_no_kernel(step, stride, source, end, channel):
    """A place that is known by what it makes alone."""
    change = _by_blocks(end, stride, channel)
    given = (change, source, end.index, _UNKNOWN)
    return Place(step.name, step.label, stride, (), None, *given)


def _by_blocks(end, stride, channel):
    """The change that makes any result of a stride clean: each block is its mean."""
    dims = len(end.shape)
    axes = [n for n in range(1, dims) if n != channel % dims]
    sizes = tuple(map(int, stride))
    if len(axes) != len(sizes) or any(
        end.shape[n] % s for n, s in zip(axes, sizes, strict=True)
    ):
        return {}
    return {end.index: Change(blocks=(tuple(axes), sizes))}


# What writes features to some of the pixels of larger ones, as every other.
_WRITING = {"copy_", "slice_scatter", "select_scatter", "as_strided_scatter"}
_WRITING |= {"index_put", "index_put_", "index_copy", "index_copy_", "index_add"}
_WRITING |= {"scatter", "scatter_", "scatter_add", "scatter_add_", "scatter-add"}
_WRITING |= {"scatternd", "scatterelements", "dynamic_update_slice", "index_add_"}


def _written(step, steps, users, channel):
    """Features that are written to some pixels, and all others into the same result."""
    there = (steps[n] for n in step.sources if n in steps)
    if any(_writes(x, step.shape) for x in there):
        return None  # of the first that is written the place is told
    for source in step.sources:
        stride = _stride_from(steps.get(source), step, channel)
        if stride is not None:
            end = _all_written(step, users)
            return _of_no_kernel(step, stride, source, end, channel)
    return None


def _writes(step, shape):
    return step.label.lower() in _WRITING and step.shape == shape


def _stride_from(made, step, channel):
    """By how much a result is larger than what is written to it, as it was laid out."""
    shapes = [step.shape_in] if made is None else [made.shape]
    if made is not None and made.kind == "layout":
        shapes.append(made.shape_in)
    for shape in shapes:
        if len(shape) == len(step.shape) > 2 and min(shape):
            stride = _stride(step._replace(shape_in=shape), channel)
            if max(stride) > 1 and all(float(s).is_integer() for s in stride):
                return stride
    return None


def _all_written(step, users):
    """The last of the steps that write parts of one result, one after the other."""
    while True:
        following = [x for x in users[step.index] if _writes(x, step.shape)]
        if len(following) != 1:
            return step
        step = following[0]


def _layout(end, steps, users, channel):
    joined = any(x.label.lower() in _STACKING for x in users[end.index])
    chain = [_without_ones(end, steps) if joined else end]
    while True:
        source = chain[-1].sources[0]
        step = steps.get(source)
        if step is None or step.kind != "layout":
            break
        chain.append(step)
    stacked = step is not None and step.label.lower() in _STACKING
    kinds = roles.of_input(chain[-1].shape_in, channel)
    if step is not None:
        kinds = roles.roles_of(step, steps, channel)
    end, blocks = chain[0], _blocks(chain, channel, kinds, stacked)
    # What enlarges by its name may be made tokens of, or something else, at once.
    bare, whole = True, chain  # of axes of one, as of a batch, nothing else is left out
    while blocks is None and len(chain) > 1:
        bare = bare and _changes_ones(chain[0])
        chain = chain[1:]
        if bare or _enlarges_by_name(chain[0]):
            end, blocks = chain[0], _blocks(chain, channel, kinds, stacked)
    if blocks is None or not _is_of_an_image(blocks, chain, kinds, users):
        return None
    if _tells_where(end, users):
        return None
    label = _layout_label(chain)
    inside = step is not None
    if not blocks.repeated and inside and (not blocks.joined or stacked):
        found = _shuffle(end, step, blocks, label, steps, users, channel)
        # Heads of an attention are joined likewise, of no layer that is known.
        known = chain is whole or _enlarges_by_name(chain[0])
        return found if known or (found and found.phases is not None) else None
    note, change = _STEPS, {}
    if not blocks.repeated:
        note = (
            _UNKNOWN
            if inside
            else "its pixels are channels of the model's input itself"
        )
        change = {end.index: Change(blocks=(blocks.axes, blocks.stride))}
    return Place(
        end.name,
        f"{label} (nearest)" if blocks.repeated else label,
        blocks.stride,
        (),
        None,
        change,
        source,
        end.index,
        note,
        channel=_channel_beside(blocks),
    )


def _channel_beside(blocks):
    """The axis of a result's channels, which is neither of space nor the first."""
    (axis,) = {*range(1, len(blocks.axes) + 2)} - {*blocks.axes}
    return axis


def _without_ones(end, steps):
    """What is moved before it gets an axis of one, to be put beside others along."""
    before = steps.get(end.sources[0])
    while before is not None and before.kind == "layout" and _adds_one(end):
        end, before = before, steps.get(before.sources[0])
    return end


def _adds_one(step):
    return len(step.shape) == len(step.shape_in) + 1 and _changes_ones(step)


def _changes_ones(step):
    """Whether it adds or leaves out axes of one alone."""
    made, given = ([n for n in x if n != 1] for x in (step.shape, step.shape_in))
    return len(step.shape) != len(step.shape_in) and made == given


def _is_of_an_image(blocks, chain, kinds, users):
    """Whether what channels that become pixels lie beside are places.

    What is moved likewise for matrix products, as heads of an attention are, is none.
    """
    if any(map(_enlarges_by_name, chain)):
        return True
    first = chain[-1]
    left = {n: x for n, x in enumerate(kinds) if n not in blocks.channel_axes}
    # Of an axis of one nothing is told; the first is the batch's.
    if any(left[n] == roles.CHANNEL and first.shape_in[n] > 1 for n in left if n):
        return blocks.repeated
    used = _used(chain[0], users)
    return not used or not all(x.label.lower() in roles.PRODUCTS for x in used)


def _tells_where(end, users):
    """Whether what is moved is read as places to sample at, or as weights of these.

    As the offsets of DySample and the kernels of CARAFE are: no image, and to differ by
    phase is what they are for.
    """
    found, left, seen = False, [end], set()
    while left:
        step = left.pop()
        if step.index in seen:
            continue
        seen.add(step.index)
        if not users[step.index]:
            return False
        for user in users[step.index]:
            label = user.label.lower()
            if "gridsampl" in label.replace("_", ""):
                if user.sources[0] == step.index:
                    return False
                found = True
            elif "softmax" in label and users[user.index]:
                found = True
            elif user.kind not in ("layout", "other") or label in roles.PRODUCTS:
                return False
            else:
                left.append(user)
    return found


def _used(step, users):
    """What uses a result, beyond what only moves it."""
    found, left = [], list(users[step.index])
    while left:
        one = left.pop()
        if one.kind == "layout":
            left += users[one.index]
        else:
            found.append(one)
    return found


def _blocks(chain, channel, kinds, stacked):
    """How a chain of moves, the last one first, makes channels pixels, if it does."""

    def move(array):
        for step in reversed(chain):
            array = step.move(array)
        return array

    channels = (channel, -1 if channel == 1 else 1)
    places = [n for n, x in enumerate(kinds) if x in (roles.PLACE, roles.PLACES)]
    sure = [n for n, x in enumerate(kinds) if stacked or x == roles.CHANNEL]
    return find_blocks(chain[-1].shape_in, move, channels, places, sure)


def _layout_label(chain):
    known = [x.label for x in reversed(chain) if _enlarges_by_name(x)]
    return known[0] if known else "reshape"


def _enlarges_by_name(step):
    label = step.label
    return "pixel_shuffle" in label or "Depth" in label or label == "fold"


def _shuffle(end, source, blocks: Blocks, label, steps, users, channel):
    makers = find_makers(source, blocks.channel_axes, steps, channel)
    layers = [steps[x.layer] for x in makers.origins]
    fits = (_fits(x, source, end, blocks, channel) for x in layers)
    if layers and not blocks.joined and not any(fits):
        return None
    change = {end.index: Change(blocks=(blocks.axes, blocks.stride))}
    if not blocks.joined and blocks.channel_axes[0] in (1, len(source.shape) - 1):
        (axis,) = blocks.channel_axes
        mean = _groups(blocks, source.shape[axis]), axis
        change = {source.index: Change(mean=mean)}
    if makers.why or not layers:
        note = "; ".join(makers.why) or "all of its channels are the same"
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
            makers=makers,
            turns=_turns(end, blocks),
            channel=_channel_beside(blocks),
        )
    names = " and ".join(dict.fromkeys(x.label for x in layers))
    found = _phases_of(makers, steps, blocks.order)
    blurred, blur, output = _behind(found, end, users, channel)
    alone = found is not None and not blur and makers.origins[0].is_sum
    return Place(
        layers[0].name,
        f"{names} + {label}{blur}",
        blocks.stride,
        layers[0].weight.shape[2:],
        blurred,
        change,
        source.index,
        output,
        reads=layers[0].sources[0] if alone else None,
        groups=layers[0].groups,
        order=blocks.order,
        makers=makers,
        turns=_turns(end, blocks),
        channel=None if blur else _channel_beside(blocks),
        channel_read=-1 if layers[0].kind == "linear" else None,
    )


def _turns(end, blocks):
    """The changes that exchange two axes of the blocks, where these are as long."""
    along = list(zip(blocks.axes, blocks.stride, strict=True))
    pairs = itertools.combinations(along, 2)
    return tuple(
        {end.index: Change(turned=((first, second), size))}
        for (first, size), (second, other) in pairs
        if size == other > 1
    )


def _phases_of(makers, steps, order):
    """Of channels that one layer makes, with all that is added to and multiplied by."""
    if len(makers.origins) > 1:
        return None
    (origin,) = makers.origins
    layer = steps[origin.layer]
    if len(origin.items) <= order.max():
        return None
    back = np.argsort(origin.items)
    scale, shift = effective(origin, steps)
    kernel = layer.weight[origin.channels].astype(np.float64)
    kernel = kernel * scale[(..., *(None,) * (kernel.ndim - 1))]
    bias = shift if layer.bias is None else shift + scale * layer.bias[origin.channels]
    given = layer.bias is not None or bias.any()
    found = phases.of_shuffle(kernel[back], order, bias[back] if given else None)
    return _grouped(found, origin.channels[back][order], layer)


def _grouped(found, channels, layer):
    """The phases of a layer whose channels are of groups, one after the other."""
    count = layer.groups
    made = channels.shape[-1]
    group = channels // (len(layer.weight) // count)
    if made % count or (group != np.arange(made) * count // made).any():
        return None
    gains = found.gains.reshape(*found.gains.shape[:-1], count, made // count)
    gains = np.moveaxis(gains, -2, -3)
    return found._replace(gains=gains.reshape(*gains.shape[:-3], -1, made // count))


def _fits(maker, source, end, blocks, channel):
    """Whether a convolution's pixels, times the stride, are those of the result.

    Queries and keys of attention are otherwise moved likewise, and are no image.
    """
    sizes = spatial(maker.shape, channel)
    if len(source.shape) == len(maker.shape):  # it may have been pooled since
        axes = (0, blocks.channel_axes[0])
        sizes = [n for axis, n in enumerate(source.shape) if axis not in axes]
    made = [end.shape[axis] for axis in blocks.axes]
    if maker.kind != "convolution" or len(sizes) != len(made):
        return True
    return made == [n * s for n, s in zip(sizes, blocks.stride, strict=True)]


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

    The largest of several ways counts. Steps from which no way leads are left out, and
    so are all where the result is none of theirs: the input itself, or a constant.
    """
    result = next((x for x in trace.steps if x.index == trace.results[0]), None)
    if result is None:
        return {}
    dims = len(result.shape) - 2
    shapes = {step.index: step.shape for step in trace.steps}
    enlarging = {place.output: place for place in places}
    found = {result.index: (1.0,) * dims}

    def note(source, here, own):
        larger = tuple(a * b for a, b in zip(here, own, strict=True))
        found[source] = max(found.get(source, larger), larger)

    for step in reversed(trace.steps):
        here = found.get(step.index)
        if here is None or step.apart:
            continue
        place, beside = enlarging.get(step.index), step.sources
        if place and is_of(len(place.stride), dims):
            note(place.input, here, of_dimensions(place.stride, dims))
            beside = step.sources[1:]  # what a part of the result is written into
        for source in beside:
            shape = shapes.get(source, step.shape_in)
            note(source, here, _scale(step, shape, dims, trace.channel))
    return found


def is_of(own: int, dims: int) -> bool:
    """Whether features of so many spatial axes are of a result of that many: of a
    video the frames, too. Of images what has one axis are tokens.
    """
    return own == dims or (own, dims) == (2, 3)


def of_dimensions(stride: Sequence[float], dims: int) -> tuple[float, ...]:
    """A stride along the axes of the result: of frames it is 1 in time."""
    return (1.0,) * (dims - len(stride)) + tuple(map(float, stride))


def _scale(step, shape, dims, channel):
    """Of one of a step's sources, which has this shape."""
    if step.kind == "convolution" and is_of(len(step.stride), dims):
        return of_dimensions([1 / s for s in step.stride], dims)
    # Layouts, and transposed convolutions, that enlarge are places. What linear layers
    # change is the number of channels, which may lie last.
    label, kept = step.label.lower(), ("layout", "transposed", "linear")
    if step.kind in kept or label in _JOINING or "pad" in label:
        return (1.0,) * dims
    if len(shape) != len(step.shape) or not is_of(len(shape) - 2, dims):
        return (1.0,) * dims
    sizes = zip(spatial(shape, channel), spatial(step.shape, channel), strict=True)
    if step.kind == "resize":
        return of_dimensions([out / n if n > 1 else 1.0 for n, out in sizes], dims)
    if step.move is not None and step.shape != step.shape_in:
        return of_dimensions([1 / n for n in _apart(step, channel)], dims)
    return of_dimensions([_ratio(out, n) for n, out in sizes], dims)


def _apart(step, channel):
    """How far apart in its input lie neighbours of what takes a part of that."""
    numbers = np.arange(np.prod(step.shape_in), dtype=np.int64)
    numbers = step.move(numbers.reshape(step.shape_in))
    found = []
    for axis in spatial(tuple(range(numbers.ndim)), channel):
        line = np.moveaxis(numbers, axis, 0).reshape(numbers.shape[axis], -1)[:, 0]
        places = np.unravel_index(np.ascontiguousarray(line), step.shape_in)[axis]
        found.append(
            max(1, int(np.median(abs(np.diff(places))))) if len(line) > 1 else 1
        )
    return found


def _ratio(out, n):
    """Of two sizes; small differences are borders, and one pixel does not repeat."""
    if n <= 1 or not out:
        return 1.0
    if out < n:
        return 1 / round(n / out)
    near = round(out / n)
    return float(near) if abs(math.log(out / n / near)) < 0.1 else out / n
