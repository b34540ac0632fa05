"""What of a model a probe reaches, and the part of it behind one of its layers."""

from collections.abc import Sequence

import numpy as np

from caejax.diagnose import roles, starts
from caejax.diagnose.places import Place
from caejax.diagnose.trace import (
    NOTHING,
    Change,
    Step,
    Trace,
    block_means,
    spatial,
    turn_blocks,
)
from caejax.errors import CaejaxError, did_you_mean


def from_there(
    trace: Trace,
    places: Sequence[Place],
    inputs: Sequence[Sequence[np.ndarray]],
    name: str,
) -> tuple[Trace, list[Place]]:
    """The part of a model behind one of its results.

    Args:
      trace: of the model.
      places: of the model.
      inputs: of several runs, what gives the features there their mean and spread.
      name: of a tensor, a layer, or a part that holds layers: its last result, or, if
        that has no spatial axes, as of a dense layer, the first behind it that has.

    Returns:
      The trace, in whose runs that result is flat, whatever goes into the model: of
      the mean over space in the first of several runs, of random values around it in
      the others; and the places behind it.

    Raises:
      CaejaxError: nothing is called that, it is the model's own result, or neither it
        nor what is behind it has spatial axes.
    """
    start = _find(trace, name)
    if start == trace.results[0]:
        raise CaejaxError(
            f"{name} is the model's result, behind which there is nothing to probe; "
            "name what it is made of"
        )
    first = starts.next_map(trace, start)
    if first is None:
        shape = next(x.shape for x in trace.steps if x.index == start)
        raise CaejaxError(
            f"{name} has the shape {shape}, and features need spatial axes to be flat "
            "along, which nothing behind it has; name another layer"
        )
    axis = starts.channel_axis(trace, first)
    behind = _behind(trace, first)
    kept = [place for place in places if place.input in behind]
    shape = starts.sizes(trace, first, axis)
    told = f"probed from {name} on, with flat features of {shape} there"
    began = starts.with_flat(trace, {first: axis}, inputs)
    return began._replace(about=(*trace.about, told)), kept


def _find(trace, name):
    if trace.tensors.get(name, -1) >= 0:
        return trace.tensors[name]
    found = [
        step.index
        for step in trace.steps
        if step.sources
        and (step.name == name or step.name.startswith((f"{name}.", f"{name}/")))
    ]
    if not found:
        names = dict.fromkeys([*trace.tensors, *(step.name for step in trace.steps)])
        hint = did_you_mean(name, names) or f"; it has {_some(names)}"
        raise CaejaxError(f"nothing in the model is called {name!r}{hint}")
    return found[-1]


def _some(names):
    """The first names of many."""
    shown = [name for name in names if name][:8]
    return ", ".join(shown) + (" …" if len(names) > len(shown) else "")


def _behind(trace, start):
    """The steps whose results depend on that of one, and itself."""
    reached = {start}
    for step in trace.steps:
        if reached & set(step.sources):
            reached.add(step.index)
    return reached


def before_choice(trace: Trace) -> Trace:
    """The trace up to the scores of which a model gives the largest one's number.

    A map of classes shows no pattern of them but where two are nearly alike.
    """
    return _before(
        trace, _CHOOSING, "a choice shows no pattern of what it chooses from"
    )


def before_bounds(trace: Trace) -> Trace | None:
    """The trace up to what its last activations are given; None if it ends in none."""
    why = "its result is the same for all flat inputs, or one of two bounds"
    cut = _before(trace, _BOUNDED, why)
    return None if cut is trace else cut


def before_activation(trace: Trace) -> Trace:
    """The trace up to what its last activations are given, where it ends in any."""
    why = "there runs of caejax are probed, too, so that numbers may be compared"
    return _before(trace, _BOUNDED, why)


def _before(trace, labels, why):
    steps = {step.index: step for step in trace.steps}
    first, step = None, steps.get(trace.results[0])
    while step and len(step.sources) == 1 and _leads_on(step, labels):
        first = step if step.label.lower() in labels else first
        step = steps.get(step.sources[0])
    if first is None or steps.get(first.sources[0]) is None:
        return trace
    told = f"probed up to {first.name} ({first.label}): {why}"
    return _up_to(trace, first.sources[0])._replace(about=(*trace.about, told))


def _leads_on(step, labels):
    """Whether what is looked for may lie before: behind it are scales alone."""
    scales = step.each is not None and step.each.scale is not None
    return scales or step.label.lower() in labels | _CASTS


_CASTS = {"cast", "to", "_to_copy", "convert_element_type", "identity", "squeeze"}
_CHOOSING = {"argmax", "argmin", "topk"}
_BOUNDED = {"sigmoid", "sigmoid_", "logistic", "hardsigmoid", "softmax", "_softmax"}
_BOUNDED |= {"clip", "clamp", "clamp_", "hardtanh", "hardtanh_", "tanh", "tanh_"}
_BOUNDED |= {"relu", "relu_", "round", "clamp_min", "clamp_max"}
_BOUNDED |= {"max", "min", "maximum", "minimum"}  # of features and a number


def _up_to(trace, end):
    """The trace of the part whose result is that of one of the steps."""

    def run(inputs, changes=NOTHING, watch=NOTHING):
        made: list[np.ndarray] = []

        def see(array):
            made.append(np.asarray(array, np.float32))
            if end in watch:
                watch[end](array)

        trace.run(inputs, changes, {**watch, end: see})
        return made

    steps = [step for step in trace.steps if step.index <= end]
    return trace._replace(steps=steps, results=(end,), run=run)


def reads_tokens(trace: Trace, shape: tuple[int, ...]) -> bool:
    """Whether the first layer that reads the input takes its last axis for channels.

    Inputs of functions of JAX, and of ONNX files that have their channels last, were
    moved before.

    Args:
      trace: of the model.
      shape: of its first input; of others, as of a step in time, it is not asked.
    """
    if trace.channel != 1:
        return False
    layer, axis = first_layer(trace, shape)
    return layer is not None and axis == len(shape) - 1


def first_layer(trace: Trace, shape: tuple[int, ...]) -> tuple[Step | None, int | None]:
    """The first layer that reads the input, and which axis of that has its channels.

    Args:
      trace: of the model.
      shape: of its first input, as the model takes it.

    Returns:
      (None, None) where no layer is known to; of the axis None if it is none alone.
    """
    # The input's elements, where they are moved.
    numbers = {-1: np.arange(np.prod(shape, dtype=int)).reshape(shape)}
    for step in trace.steps:
        source = next(iter(step.sources), None)
        if source not in numbers or step.shape_in != numbers[source].shape:
            continue
        if step.kind == "layout":
            numbers[step.index] = step.move(numbers[source])
        elif step.kind == "linear":
            return step, _axis_of(numbers[source], -1, shape)
        elif step.kind in ("convolution", "transposed", "resize"):
            return step, _axis_of(numbers[source], trace.channel, shape)
        elif step.shape == step.shape_in or step.label.lower() in _LENGTHENING:
            numbers[step.index] = _of_length(numbers[source], step.shape)
    return None, None


# Of tokens these add a first one, or leave it out.
_LENGTHENING = ("cat", "concat", "concatenate", "slice", "narrow")


def _of_length(numbers, shape):
    """Moved elements, cut or continued to the lengths of a shape."""
    for axis, size in enumerate(shape):
        steps = np.minimum(np.arange(size), numbers.shape[axis] - 1)
        numbers = numbers.take(steps, axis)
    return numbers


def _axis_of(numbers, axis, shape):
    """Which axis the one of moved elements was where they were; None: none alone."""
    line = np.moveaxis(numbers, axis, -1).reshape(-1, numbers.shape[axis])[0]
    strides = np.cumprod([1, *shape[:0:-1]])[::-1].tolist()
    found = [
        n
        for n, (size, stride) in enumerate(zip(shape, strides, strict=True))
        if size == len(line) and (np.diff(line) == stride).all()
    ]
    return found[-1] if found else None


def with_channels(trace: Trace) -> Trace:
    """The trace of a model that gives (B, n1, ..., nd), as depth and sound, with C = 1,
    or (B, n1, ..., nd, C), with channels second.

    Others are left as they are: what lies before the former has an axis of one
    channel, which one of its last steps leaves out, or it is a signal (B, n) that was
    laid out of more axes.
    """
    steps = {step.index: step for step in trace.steps}
    step = result = steps.get(trace.results[0])
    if result is not None and trace.channel == 1 and _ends_in_channels(result, steps):
        shape = (*result.shape[:1], result.shape[-1], *result.shape[1:-1])
        return _moved(trace, result, "movedim", lambda x: np.moveaxis(x, -1, 1), shape)
    while step is not None and trace.channel == 1:
        one = (*step.shape[:1], 1, *step.shape[1:])
        signal = step.kind == "layout" and len(step.shape) == 2 < len(step.shape_in)
        if signal or step.shape_in == one:
            break
        same = step.shape == step.shape_in
        step = steps.get(step.sources[0]) if same and step.sources else None
    if step is None or trace.channel != 1:
        return trace
    one = (*result.shape[:1], 1, *result.shape[1:])
    return _moved(trace, result, "unsqueeze", lambda x: x[:, None], one)


def _ends_in_channels(result, steps):
    """Whether the last axis of an image is known to be that of its channels."""
    if len(result.shape) < 4:  # tokens are as they are
        return False
    *others, last = roles.roles_of(result, steps, 1)
    return last == roles.CHANNEL and roles.CHANNEL not in others


def _moved(trace, result, label, move, shape):
    """The trace of a model whose result is moved as a last step, to be of a shape."""
    index = trace.steps[-1].index + 1
    before = (result.index,), result.shape
    added = Step(index, result.name, "layout", label, *before, shape, move=move)

    def run(inputs, changes=NOTHING, watch=NOTHING):
        own = changes.get(index, Change())
        within = {n: change for n, change in changes.items() if n != index}
        inside = {n: see for n, see in watch.items() if n != index}
        made = [_changed(move(x), own) for x in trace.run(inputs, within, inside)]
        for x in made if index in watch else ():
            watch[index](x)
        return made

    results = (index, *trace.results[1:])
    return trace._replace(steps=[*trace.steps, added], results=results, run=run)


def _changed(image, change):
    """A result that was moved, with its blocks changed."""
    if change.blocks is not None:
        image = block_means(image, *change.blocks)
    if change.turned is not None:
        parted, order = turn_blocks(image.shape, *change.turned)
        image = image.reshape(parted).transpose(order).reshape(image.shape)
    return image


def as_of_large_images(trace: Trace) -> Trace:
    """The trace, in whose runs flat inputs are flat parts of larger images.

    Convolutions see no zeros around their input, and of transposed ones no pixel lacks
    taps; else flat maps would be spoilt from the border inwards, layer by layer. What
    normalises over space keeps the statistics that it had when it was traced: of flat
    maps it would leave nothing but what is not flat, and enlarge that.
    """
    kept = dict(trace.statistics)
    for index in _padding(trace):
        kept[index] = kept.get(index, Change())._replace(edge=True)

    def run(inputs, changes=NOTHING, watch=NOTHING):
        merged = dict(kept)
        for index, change in changes.items():
            fixed = kept.get(index, Change())
            merged[index] = change._replace(
                edge=fixed.edge, statistics=fixed.statistics
            )
        return trace.run(inputs, merged, watch)

    return trace._replace(run=run)


def _padding(trace):
    """Convolutions, and what pads for them, by itself or before features are cut.

    What pads the channels themselves adds such of zeros, and is left as it is.
    """
    found = []
    read = {}  # where the channels lie of what convolutions read; None: not known
    for step in reversed(trace.steps):
        label, axis = step.label.lower(), read.get(step.index)
        if step.kind == "convolution" or _reads_a_map(step, trace.channel):
            found.append(step.index)
            axis = trace.channel
        elif step.index not in read or (label in _PADS and _adds_along(step, axis)):
            continue
        elif label in _PADS:
            found.append(step.index)
        elif step.kind == "layout":
            axis = _axis_before(step, axis)
        elif label not in _CUTS and not _joins_beside(step, axis):
            continue
        read |= dict.fromkeys(step.sources, axis)
    return found


def _reads_a_map(step, channel):
    """Whether it is a transposed convolution that does not make a map of one pixel."""
    largest = max(spatial(step.shape_in, channel), default=1)
    return step.kind == "transposed" and largest > 1


def _joins_beside(step, axis):
    """Whether features are put beside each other along another axis than channels."""
    return step.joins is not None and axis is not None and step.joins[0] != axis


def _adds_along(step, axis):
    return axis is not None and step.shape[axis] != step.shape_in[axis]


def _axis_before(step, axis):
    """Where what lies along an axis of what is moved lay before; None: not known."""
    run = set() if axis is None else roles.axes_along(step.shape_in, step.move)[axis]
    return run.pop() if len(run) == 1 else None


_PADS = ("constant_pad_nd", "pad")
_CUTS = ("slice", "replication_pad1d", "replication_pad2d", "replication_pad3d")

# What operations are called, in lower case, and what it means for flat inputs.
_SPATIAL = ("groupnorm", "group_norm", "instance", "layernorm", "layer_norm")
_SPATIAL += ("meanvariance",)
_ATTENTION = ("softmax", "attention")


def what_is_seen(trace: Trace) -> list[str]:
    """Sentences about what flat inputs show of this model, and what they do not."""
    labels = " ".join(f"{step.label} {step.name}" for step in trace.steps).lower()
    joined = any(
        len(set(step.sources)) > 1 and step.label.lower() in _JOINING
        for step in trace.steps
    )
    found = []
    if joined:
        found.append(
            "branches join in it, as skips do: they are flat like all features, and "
            "shares count each place with the others as they are"
        )
    # Most layer norms are of channels alone.
    if trace.statistics and any(x in labels for x in _SPATIAL):
        found.append(
            "it normalises over space: of flat features by the means and variances "
            "that the inputs have there"
        )
    if any(x in labels for x in _ATTENTION):
        found.append(
            "it has attention, or a softmax: between flat features all weights are "
            "alike, so what attention draws of real features is not seen"
        )
    return found


_JOINING = ("add", "add_", "cat", "concat", "concatenate", "mul", "sum")
