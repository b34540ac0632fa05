"""Watches an ONNX file while it runs."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, inliner, numpy_helper

from caejax.diagnose import onnx_bodies, onnx_moves, probe
from caejax.diagnose.inspect import inspect
from caejax.diagnose.onnx_bodies import LaidOut
from caejax.diagnose.onnx_listing import list_places
from caejax.diagnose.reach import before_activation
from caejax.diagnose.result import Diagnosis
from caejax.diagnose.trace import (
    NOTHING,
    Change,
    Each,
    Parameter,
    Step,
    Trace,
    averaging,
    beyond,
    of_images,
    pointwise,
    turn_blocks,
)
from caejax.errors import CaejaxError
from caejax.terminal.numbers import counted

SIZE, LARGEST = 32, 512  # of axes that the file leaves open, at first and at most


def read(path: Path) -> onnx.ModelProto:
    """Reads a model with its weights, also where those lie beside it.

    Raises:
      CaejaxError: it is not there, damaged, no ONNX file, or its weights are missing.
    """
    try:
        model = onnx.load(str(path), load_external_data=False)
    except OSError as error:
        raise CaejaxError(f"{path}: {error.strerror}") from error
    except Exception as error:
        raise CaejaxError(f"{path} {_unreadable(path)}") from error
    if not model.graph.node:
        raise CaejaxError(f"{path} holds no operations; it is damaged, or no ONNX file")
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
    except Exception as error:
        raise CaejaxError(
            f"{path} keeps its weights in other files, and they cannot be read "
            f"({' '.join(str(error).split())[:120]}); put those beside it"
        ) from error
    # Of functions of the model's own what they do.
    return inliner.inline_local_functions(model) if model.functions else model


def _unreadable(path):
    """What is wrong with a file that is no ONNX, with the mend for those of PyTorch."""
    if path.suffix.lower() in (".pt", ".pth", ".ckpt", ".bin", ".safetensors"):
        return (
            "holds PyTorch's weights and no model, as ONNX files do: export the model "
            "by torch.onnx.export, or call caejax.diagnose(model, x) from Python"
        )
    return "cannot be read as ONNX; it is damaged, cut, or another file"


def example(model: onnx.ModelProto, size: int = SIZE) -> list[np.ndarray]:
    """Random inputs for a model, with their channels second.

    Args:
      model: the model.
      size: of spatial axes that the file leaves open; other open axes are 1.

    Raises:
      CaejaxError: an input has no shape, or open channels.
    """
    rng = np.random.default_rng(0)
    found = []
    for given in _true_inputs(model):
        dims = _sizes(given)
        axis = _channel_axis(model, given.name)
        if len(dims) > 2 and not dims[axis]:
            dims[axis] = _channels_of(model, given.name)
        shape = [
            n or (1 if k == 0 or len(dims) < 3 else size) for k, n in enumerate(dims)
        ]
        kind = _type(given)
        if kind.kind == "f" and is_exported(model):
            array = _as_of_runs(rng, shape).astype(kind)
        elif kind.kind == "f":
            array = rng.standard_normal(shape).astype(kind)
        elif kind.kind == "u" and len(dims) > 2:  # an image of bytes
            array = rng.integers(0, 256, shape).astype(kind)
        else:
            array = np.ones(shape, kind)
        found.append(np.moveaxis(array, axis, 1) if len(dims) > 2 else array)
    return found


def is_exported(model: onnx.ModelProto) -> bool:
    """Whether caejax wrote it, of a run of its own."""
    return bool(model.producer_name == "caejax")


def _as_of_runs(rng, shape):
    """What runs are probed with: random images, and the level of no noise."""
    if len(shape) < 3:
        return np.zeros(shape)
    return np.moveaxis(rng.uniform(size=[shape[0], *shape[2:], shape[1]]), -1, 1)


def least_size(model: onnx.ModelProto) -> int:
    """Of open axes, with which a model can be run: some halve an image eight times.

    Raises:
      CaejaxError: onnxruntime cannot run it with any.
    """
    made, wanted = example(model), [model.graph.output[0].name]
    session, feed = _session(model, wanted), _feeder(model, len(made))
    first, size = None, SIZE
    while True:
        try:
            _values(model, session, feed(made), wanted)
            return size
        except CaejaxError as error:
            first = first or error
        before, size = made, 2 * size
        made = example(model, size)
        alike = all(x.shape == y.shape for x, y in zip(made, before, strict=True))
        if size > LARGEST or alike:
            raise first


def _sizes(given):
    """Of an input's axes; 0 where they are open, which some exporters write as -1."""
    kind = given.type.tensor_type
    if not kind.HasField("shape"):
        raise CaejaxError(
            f"the input {given.name!r} of the ONNX file has no shape; export it "
            "with the shape of an example"
        )
    return [max(x.dim_value, 0) for x in kind.shape.dim]


def _type(given):
    kind = given.type.tensor_type.elem_type
    return np.dtype(helper.tensor_dtype_to_np_dtype(kind))


def _users(model, name):
    return [x for x in onnx_bodies.nodes_in(model.graph) if name in x.input]


def _channel_axis(model, name):
    """Of an input: the last one where it is first transposed for convolutions."""
    users = [x for x in _users(model, name) if x.op_type != "Shape"]
    if users and all(_has_channels_last(model, node) for node in users):
        return -1
    return 1


def _has_channels_last(model, node):
    """Whether what a node reads is transposed there, or behind it."""
    if node.op_type in _ALIKE:
        return _channel_axis(model, node.output[0]) == -1
    return _to_channels_second(node)


def _to_channels_second(node):
    if node.op_type != "Transpose":
        return False
    perm = list(onnx_moves.attributes(node).get("perm", []))
    return (
        len(perm) > 2
        and perm[:2] == [0, len(perm) - 1]
        and sorted(perm)
        == [
            perm[0],
            *perm[2:],
            perm[1],
        ]
    )


def _channels_of(model, name):
    """Channels of an open axis, by the kernel that takes it.

    Raises:
      CaejaxError: none does.
    """
    found = _channels_taken(model, name)
    if found is None:
        raise CaejaxError(
            f"the ONNX file leaves the channels of its input {name!r} open; export it "
            "with the shape of an example"
        )
    return found


def _channels_taken(model, name):
    weights = {x.name: x for x in model.graph.initializer}
    for node in _users(model, name):
        if node.op_type in ("Conv", "ConvTranspose"):
            if node.input[0] != name or node.input[1] not in weights:
                continue
            shape = weights[node.input[1]].dims
            if node.op_type == "ConvTranspose":
                return shape[0]
            return shape[1] * onnx_moves.attributes(node).get("group", 1)
        if node.op_type in _KEEPING:
            found = _channels_taken(model, node.output[0])
            if found is not None:
                return found
    return None


# Operations whose results have the channels of what they are given.
_KEEPING = {"Transpose", "Identity", "Cast", "Pad", "Resize", "Upsample", "Dropout"}
_KEEPING |= {"Add", "Sub", "Mul", "Div", "Clip", "BatchNormalization"}
_KEEPING |= {"InstanceNormalization", "MaxPool", "AveragePool", "Neg", "Abs", "Pow"}
_KEEPING |= {"Relu", "LeakyRelu", "Sigmoid", "Tanh", "Elu", "Gelu", "Sqrt", "Exp"}
# And of these it does not matter which axis has them.
_ALIKE = _KEEPING - {"Transpose", "Resize", "Upsample", "MaxPool", "AveragePool"}
_ALIKE -= {"BatchNormalization", "InstanceNormalization"}


def input_type(model: onnx.ModelProto) -> np.dtype:
    """Of a model's first input."""
    return _type(_true_inputs(model)[0])


def input_shape(model: onnx.ModelProto) -> tuple[int | None, ...]:
    """(C, n1, ..., nd) of a model's first input; None for sizes left open.

    Raises:
      CaejaxError: it has no shape, or no axis of channels.
    """
    given = _true_inputs(model)[0]
    sizes = [n or None for n in _sizes(given)][1:]
    if not sizes:
        raise CaejaxError(
            f"the input {given.name!r} of the ONNX file has no axis of channels, so "
            "images cannot be sent through it; leave --images out"
        )
    if _channel_axis(model, given.name) == -1:
        sizes = [sizes[-1], *sizes[:-1]]
    if not sizes[0]:
        sizes[0] = example(model)[0].shape[1]
    return tuple(sizes)


def as_function(model: onnx.ModelProto) -> Callable[[np.ndarray], np.ndarray]:
    """A model of one input, loaded, from (1, C, n1, ..., nd) to such an array.

    Raises:
      CaejaxError: it cannot be loaded, or takes more than one input.
    """
    if len(_true_inputs(model)) > 1:
        raise CaejaxError(
            "the ONNX file takes more inputs than one, so images alone cannot be sent "
            "through it; leave --images out"
        )
    name = _true_inputs(model)[0].name
    last = _channel_axis(model, name) == -1
    wanted = _results(model)
    session = _session(model, wanted)

    def run(array):
        feed = {name: np.moveaxis(array, 1, -1) if last else array}
        made = list(_values(model, session, feed, wanted).values())
        return made[of_images([np.ndim(x) for x in made], array.ndim)]

    return run


def trace_model(model: onnx.ModelProto, inputs: Sequence[np.ndarray]) -> Trace:
    """Runs a model once and notes what it does; see `trace_laid_out`."""
    return trace_laid_out(model, inputs)[0]


def trace_laid_out(
    model: onnx.ModelProto, inputs: Sequence[np.ndarray], other: Sequence[str] = ()
) -> tuple[Trace, LaidOut]:
    """Runs a model once and notes what it does, inside of conditions and loops, too.

    Args:
      model: as `read` gives it.
      inputs: what it is run with, as `example` gives them.
      other: names of conditions whose branch is taken that the inputs do not take.

    Returns:
      The trace; arrays that go into its `run` and come out of it have their channels
      second, whatever the model's own have. And the model as it was run.

    Raises:
      CaejaxError: onnxruntime cannot run it.
    """
    feed = _feeder(model, len(inputs))
    given = feed(inputs)

    def values_of(model, names):
        return _values(model, _session(model, names), given, names)

    laid = onnx_bodies.lay_out(model, values_of, other)
    model = _with_parts(laid.model)

    def run(inputs, changes=NOTHING, watch=NOTHING):
        shown = {n: model.graph.node[n].output[0] for n in watch if n >= 0}
        wanted = [result, *shown.values()]
        session = _session(_changed(model, changes, shapes, types), wanted)
        found = []
        for arrays in inputs:
            made = _values(model, session, feed(arrays), wanted)
            if -1 in watch:
                watch[-1](arrays[0])
            for n in sorted(shown):
                watch[n](made[shown[n]])
            found.append(made[result].astype(np.float32))
        return found

    every = [x for node in model.graph.node for x in node.output if x]
    values = _values(model, _session(model, every), given, every)
    steps, of = _steps(model, values, given)
    results = [x for x in _results(model) if x in of]
    if not results:
        raise CaejaxError(
            "no result of the ONNX file depends on its inputs, so nothing can "
            "be told from it"
        )
    dims = [np.ndim({**given, **values}[x]) for x in results]
    result = results[of_images(dims, inputs[0].ndim)]
    seen = values | given
    shapes = {x.name: tuple(x.dims) for x in model.graph.initializer}
    shapes |= {name: np.shape(value) for name, value in seen.items()}
    fixed = model.graph.initializer
    types = {x.name: helper.tensor_dtype_to_np_dtype(x.data_type) for x in fixed}
    types |= {name: np.asarray(value).dtype for name, value in seen.items()}
    nodes = {step.index: model.graph.node[step.index] for step in steps}
    weights = {x.name: numpy_helper.to_array(x) for x in fixed}
    statistics = {
        index: _statistics(node, {**weights, **seen})
        for index, node in nodes.items()
        if _is_over_space(node, shapes)
    }
    unseen = [place for x in laid.stayed for place in list_places(x, weights)]
    trace = Trace(
        steps,
        (of[result], *(of[x] for x in results if x != result)),
        run,
        statistics,
        tensors=of,
        unseen=tuple(unseen),
        bodies=", ".join(f"{x.op_type} {onnx_bodies.called(x)}" for x in laid.stayed),
        form="onnx",
    )
    return trace, laid


def _feeder(model, count):
    """How so many inputs with channels second are given to a model, by name."""
    names = [x.name for x in _true_inputs(model)]
    if len(names) != count:
        raise CaejaxError(
            f"the ONNX file takes {counted(len(names), 'input')} ({', '.join(names)}), "
            f"and {count} {'was' if count == 1 else 'were'} given; give a list of as "
            "many, or none"
        )
    last = [_channel_axis(model, name) == -1 for name in names]

    def feed(arrays):
        return {
            name: np.moveaxis(x, 1, -1) if end and x.ndim > 2 else x
            for name, x, end in zip(names, arrays, last, strict=True)
        }

    return feed


def _with_parts(model):
    """The model, in which each part of what is split is a node's only result.

    So that it can be changed alone.
    """
    if all(node.op_type != "Split" for node in model.graph.node):
        return model
    parted = onnx.ModelProto()
    parted.CopyFrom(model)
    del parted.graph.node[:]
    for node in model.graph.node:
        parted.graph.node.append(node)
        if node.op_type != "Split":
            continue
        names = list(node.output)
        own = [f"{name}{_PART}" for name in names]
        parted.graph.node[-1].output[:] = own
        parted.graph.node.extend(
            helper.make_node("Identity", [part], [name], name)
            for part, name in zip(own, names, strict=True)
            if name
        )
    return parted


_PART = ".of.split"  # behind the name of a result


def _true_inputs(model):
    weights = {x.name for x in model.graph.initializer}
    found = [x for x in model.graph.input if x.name not in weights]
    if not found:
        raise CaejaxError("the ONNX file has no inputs; nothing can be sent through it")
    return found


def _results(model):
    """Names of all results, with their channels second."""
    names = (_beyond_transpose(model, x.name) for x in model.graph.output)
    return list(dict.fromkeys(names))


def _beyond_transpose(model, name):
    """The result before its channels are put last."""
    for node in model.graph.node:
        if name in node.output and node.op_type == "Transpose":
            perm = list(onnx_moves.attributes(node).get("perm", []))
            if len(perm) > 2 and perm == [0, *range(2, len(perm)), 1]:
                return node.input[0]
        if name in node.output and node.op_type == "Identity":
            return _beyond_transpose(model, node.input[0])
    return name


def _session(model, wanted):
    """The model, loaded, with results of these names."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    known = {x.name for x in shown.graph.output}
    shown.graph.output.extend(
        onnx.ValueInfoProto(name=name) for name in wanted if name not in known
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(
            shown.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise CaejaxError(_unrunnable(model, error)) from error


def _values(model, session, feed, wanted):
    """Values by name."""
    try:
        return dict(zip(wanted, session.run(wanted, feed), strict=True))
    except Exception as error:
        raise CaejaxError(_unrunnable(model, error)) from error


def _unrunnable(model, error):
    own = sorted(
        {
            f"{node.domain}.{node.op_type}"
            for node in model.graph.node
            if node.domain not in ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
        }
    )
    if own:
        return (
            f"the ONNX file has operators of its own ({', '.join(own)}), which "
            "onnxruntime does not know; export it without them, or diagnose the model "
            "from Python"
        )
    said = " ".join(str(error).split())[:200]
    return f"onnxruntime cannot run the ONNX file: {said}"


def _changed(model, changes, shapes, types):
    if not changes:
        return model
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for index, change in changes.items():
        node = changed.graph.node[index]
        if change.weight is not None:
            name = f"{node.name or node.output[0]}.clean"
            kernel = change.weight.astype(types[node.input[1]])
            changed.graph.initializer.append(numpy_helper.from_array(kernel, name))
            shapes = {**shapes, name: kernel.shape}
            node.input[1] = name
    # From the last on, so that places stay what they are.
    for index in sorted(changes, reverse=True):
        if changes[index].mean is not None:
            kind = types[changed.graph.node[index].output[0]]
            _insert_mean(changed.graph, index, *changes[index].mean, kind)
        if changes[index].blocks is not None:
            shape = shapes[changed.graph.node[index].output[0]]
            _insert_blocks(changed, index, shape, *changes[index].blocks)
        if changes[index].turned is not None:
            shape = shapes[changed.graph.node[index].output[0]]
            _insert_turn(changed.graph, index, shape, *changes[index].turned)
        if changes[index].value is not None:
            kind = types[changed.graph.node[index].output[0]]
            _put_value(changed.graph, index, changes[index].value.astype(kind))
        if changes[index].statistics is not None:
            _fix_statistics(changed.graph, index, changes[index].statistics)
        if changes[index].edge:
            _continue_input(changed, index, shapes)
    return changed


def _is_over_space(node, shapes):
    """Whether a node computes means or variances over all of space."""
    dims = len(shapes.get(node.input[0], ())) - 2 if node.input else 0
    if node.op_type == _MEANS_AND_VARIANCES:
        axes = onnx_moves.attributes(node).get("axes", [0, 2, 3])
        return dims > 0 and {n % (dims + 2) for n in axes} >= {*range(2, dims + 2)}
    # Of three axes the last one may be the channels of tokens.
    if node.op_type != "ReduceMean" or dims < 2:
        return node.op_type in ("InstanceNormalization", "GroupNormalization")
    made = shapes.get(node.output[0], ())
    return made[2:] == (1,) * dims or len(made) <= 2


_MEANS_AND_VARIANCES = "MeanVarianceNormalization"


def _statistics(node, values):
    """The change that keeps means and variances, the mean ones of several images."""
    if node.op_type == "ReduceMean":
        return Change(value=values[node.output[0]])
    features = values[node.input[0]]
    count = features.shape[1]
    groups = onnx_moves.attributes(node).get("num_groups", count)
    neither = {}  # scales nor shifts
    if node.op_type == _MEANS_AND_VARIANCES:
        axes = onnx_moves.attributes(node).get("axes", [])
        groups = 1 if {1, 1 - features.ndim} & {*axes} else count
        neither = {1: np.ones(count), 2: np.zeros(count)}
    parted = features.reshape(len(features), groups, -1).astype(np.float64)
    numbers = neither | {3: parted.mean(-1).mean(0), 4: parted.var(-1).mean(0)}
    # Before version 21 of the operators groups have scales and shifts, not channels.
    given = {n: values[name] for n, name in enumerate(node.input) if n}
    numbers |= {n: x for n, x in given.items() if len(x) < count}
    each = {n: np.repeat(x, count // len(x)) for n, x in sorted(numbers.items())}
    return Change(statistics={n: x.astype(features.dtype) for n, x in each.items()})


def _fix_statistics(graph, index, statistics):
    """Makes a normalisation of instances, or of groups, one of batches, whose
    statistics are fixed.
    """
    node = graph.node[index]
    node.op_type = "BatchNormalization"
    kept = [x for x in node.attribute if x.name == "epsilon"]
    del node.attribute[:]
    node.attribute.extend(kept)
    node.input.extend([""] * (5 - len(node.input)))
    for slot, values in statistics.items():
        node.input[slot] = f"{node.output[0]}.of.groups.{slot}"
        graph.initializer.append(numpy_helper.from_array(values, node.input[slot]))


def _continue_input(model, index, shapes):
    """Pads the input of a convolution, or of Pad, by what is at its borders."""
    node = model.graph.node[index]
    if node.op_type == "Pad":
        _set(node, mode="edge")
        return
    if node.op_type == "ConvTranspose":
        pads, left = _beyond(node, shapes)
    else:
        pads = _pads(node, shapes)
        left = [0] * len(pads)
    if not any(pads):
        return
    _set(node, pads=left, auto_pad="NOTSET")
    half = len(pads) // 2
    around = [0, 0, *pads[:half], 0, 0, *pads[half:]]
    image, name = node.input[0], f"{node.output[0]}.continued"
    node.input[0] = name
    if _version(model) < 11:
        made = helper.make_node("Pad", [image], [name], mode="edge", pads=around)
    else:
        sizes = numpy_helper.from_array(np.array(around), f"{name}.pads")
        model.graph.initializer.append(sizes)
        made = helper.make_node("Pad", [image, sizes.name], [name], mode="edge")
    model.graph.node.insert(index, made)


def _beyond(node, shapes):
    """What a transposed convolution would read around its input, and its new padding.

    That cuts off the result what the pixels beyond make. Nothing where the padding
    follows from a size of the result.
    """
    about = onnx_moves.attributes(node)
    taps = shapes[node.input[1]][2:]
    nothing, ones = [0] * 2 * len(taps), [1] * len(taps)
    pads = list(about.get("pads", nothing))
    if "output_shape" in about or str(about.get("auto_pad", "NOTSET")) != "NOTSET":
        return nothing, pads
    strides = about.get("strides", ones)
    dilations = about.get("dilations", ones)
    more = about.get("output_padding", nothing[: len(taps)])
    each = zip(taps, strides, dilations, more, strict=True)
    around = 2 * [beyond(*sizes) for sizes in each]
    cut = zip(pads, [*strides, *strides], around, strict=True)
    return around, [p + s * n for p, s, n in cut]


def _pads(node, shapes):
    """Of a convolution, at the start of each axis and then at the end of each."""
    about = onnx_moves.attributes(node)
    taps = shapes[node.input[1]][2:]
    auto = str(about.get("auto_pad", "NOTSET"))
    if not auto.startswith("SAME"):
        return list(about.get("pads", [0] * 2 * len(taps)))
    pairs = []
    for size, k, s, d in zip(
        shapes[node.input[0]][2:],
        taps,
        about.get("strides", [1] * len(taps)),
        about.get("dilations", [1] * len(taps)),
        strict=True,
    ):
        more = max((-(-size // s) - 1) * s + d * (k - 1) + 1 - size, 0)
        less = more // 2
        pairs.append((less, more - less))
    starts, ends = zip(*pairs, strict=True)
    return [*starts, *ends] if auto == "SAME_UPPER" else [*ends, *starts]


def _set(node, **values):
    """Gives a node attributes in place of those of the names."""
    kept = [x for x in node.attribute if x.name not in values]
    del node.attribute[:]
    made = [helper.make_attribute(name, value) for name, value in values.items()]
    node.attribute.extend([*kept, *made])


def _version(model):
    """Of the operators of ONNX itself."""
    return max(x.version for x in model.opset_import if x.domain in ("", "ai.onnx"))


def _put_value(graph, index, value):
    """Replaces a result by an array."""
    node = graph.node[index]
    name, node.output[0] = node.output[0], f"{node.output[0]}.own"
    graph.initializer.append(numpy_helper.from_array(value, f"{name}.value"))
    made = helper.make_node("Identity", [f"{name}.value"], [name])
    graph.node.insert(index + 1, made)


def _insert_blocks(model, index, shape, axes, sizes):
    """Replaces blocks of these sizes along these axes of a result by their means."""
    graph = model.graph
    name = graph.node[index].output[0]
    own, parts, means, spread = (f"{name}.{x}" for x in ("own", "parts", "m", "large"))
    graph.node[index].output[0] = own
    parted, over = [], []
    for axis, count in enumerate(shape):
        size = dict(zip(axes, sizes, strict=True)).get(axis, 1)
        parted += [count // size, size]
        over.append(2 * axis + 1)

    def fixed(values, what):
        array = numpy_helper.from_array(np.array(values, np.int64), f"{name}.{what}")
        graph.initializer.append(array)
        return array.name

    by_input = _version(model) >= 18
    reduced = [parts, fixed(over, "over")] if by_input else [parts]
    given = {} if by_input else {"axes": over}
    made = [
        helper.make_node("Reshape", [own, fixed(parted, "parted")], [parts]),
        helper.make_node("ReduceMean", reduced, [means], **given),
        helper.make_node("Expand", [means, fixed(parted, "wide")], [spread]),
        helper.make_node("Reshape", [spread, fixed(shape, "shape")], [name]),
    ]
    for n, node in enumerate(made):
        graph.node.insert(index + 1 + n, node)


def _insert_turn(graph, index, shape, axes, size):
    """Transposes blocks of a size along two axes of a result."""
    name = graph.node[index].output[0]
    own, parts, turned = (f"{name}.{x}" for x in ("own", "parts", "turned"))
    graph.node[index].output[0] = own
    parted, order = turn_blocks(shape, axes, size)
    for values, what in ((parted, "parted"), (shape, "shape")):
        array = np.array(values, np.int64)
        graph.initializer.append(numpy_helper.from_array(array, f"{name}.{what}"))
    made = [
        helper.make_node("Reshape", [own, f"{name}.parted"], [parts]),
        helper.make_node("Transpose", [parts], [turned], perm=order),
        helper.make_node("Reshape", [turned, f"{name}.shape"], [name]),
    ]
    for n, node in enumerate(made):
        graph.node.insert(index + 1 + n, node)


def _insert_mean(graph, index, groups, axis, kind):
    """Replaces a result's channels, of this type, by the means of their groups."""
    name = graph.node[index].output[0]
    own, given, made = f"{name}.own", f"{name}.given", f"{name}.means"
    graph.node[index].output[0] = own
    kind = np.dtype(kind)
    whole = kind.kind in "iu"  # of quantised features the mean is rounded
    computed = np.dtype(np.float32) if whole else kind
    matrix = averaging(groups).astype(computed)
    graph.initializer.append(numpy_helper.from_array(matrix, f"{name}.mean"))
    into, back = (helper.np_dtype_to_tensor_dtype(x) for x in (computed, kind))
    nodes = [helper.make_node("Cast", [own], [given], to=into)]
    if axis == 1:
        # The channels of images; a matrix from the left of (B, C, pixels).
        keep = numpy_helper.from_array(np.array([0, 0, -1]), f"{name}.flat")
        graph.initializer.append(keep)
        flat, means = f"{name}.pixels", f"{name}.of.pixels"
        nodes += [
            helper.make_node("Shape", [own], [f"{name}.shape"]),
            helper.make_node("Reshape", [given, f"{name}.flat"], [flat]),
            helper.make_node("MatMul", [f"{name}.mean", flat], [means]),
            helper.make_node("Reshape", [means, f"{name}.shape"], [made]),
        ]
    else:
        nodes.append(helper.make_node("MatMul", [given, f"{name}.mean"], [made]))
    if whole:
        nodes.append(helper.make_node("Round", [made], [f"{made}.whole"]))
    nodes.append(helper.make_node("Cast", [nodes[-1].output[0]], [name], to=back))
    for n, node in enumerate(nodes):
        graph.node.insert(index + 1 + n, node)


def _steps(model, values, inputs):
    fixed = {x.name: numpy_helper.to_array(x) for x in model.graph.initializer}
    of = dict.fromkeys(inputs, -1)
    shapes = {name: array.shape for name, array in inputs.items()}
    parted = {x: node for node in model.graph.node for x in node.output if _parts(node)}
    steps = []
    for index, node in enumerate(model.graph.node):
        read = _read(node)
        sources = tuple(
            of[x] for x in read if x in of and not _is_a_shape(values.get(x))
        )
        made = [np.asarray(values[x]) for x in node.output if x in values]
        if not sources:
            fixed |= {x: np.asarray(values[x]) for x in node.output if x}
            continue
        first = next(x for x in read if x in of)
        step = Step(
            index,
            node.name or node.output[0],
            "other",
            node.op_type,
            sources,
            shapes.get(first, ()),
            made[0].shape,
        )
        known = {**inputs, **values, **fixed}
        step = _known(step, node, known, first)
        if _parts(node):  # what they are parts of is what was given
            step = step._replace(move=lambda x: x)
        elif node.op_type == "Concat":
            step = _joined(step, node, known, of)
        elif node.input and node.input[0] in parted:
            step = _part(step, parted[node.input[0]], node.input[0], shapes)
        steps.append(step)
        for name, array in zip([x for x in node.output if x], made, strict=True):
            of[name] = index
            shapes[name] = array.shape
    return steps, of


def _read(node):
    """Names that a node reads, and the graphs inside of it, as of `If` and `Loop`."""
    inside = [
        name
        for x in node.attribute
        for graph in (*([x.g] if x.HasField("g") else []), *x.graphs)
        for inner in graph.node
        for name in _read(inner)
    ]
    return [*node.input, *inside]


def _is_a_shape(value):
    """Whether a value is a size or a mask that was computed, and no feature.

    Features are bytes where they are quantised, and indices where they are looked up.
    """
    if value is None:
        return False
    array = np.asarray(value)
    few = array.ndim < 2 and array.dtype.itemsize > 1
    return array.dtype.kind == "b" or (array.dtype.kind in "iu" and few)


def _known(step, node, values, tracked):
    about = onnx_moves.attributes(node)
    if node.op_type in ("Conv", "ConvTranspose") and node.input[1] in values:
        return _convolution(step, node, about, values)
    if node.op_type in ("Gemm", "MatMul"):
        return _linear(step, node, about, values, tracked)
    if node.op_type in ("Resize", "Upsample"):
        mode = str(about.get("mode", "nearest"))
        how = about.get("coordinate_transformation_mode")
        return step._replace(kind="resize", mode=f"{mode}, {how}" if how else mode)
    if node.op_type == "Col2Im":
        dims = len(values[node.input[2]])
        step = step._replace(
            label="fold", stride=tuple(about.get("strides", [1] * dims))
        )
    move = onnx_moves.mover(node, values)
    if move is not None and len(step.sources) == 1:
        return step._replace(kind="layout", move=move)
    if len(step.sources) != 1:
        return step
    taken = onnx_moves.taker(node, values)
    if taken is not None:
        return step._replace(move=taken)
    return step._replace(each=_each_channel(step, node, about, values, tracked))


def _parts(node):
    return node.op_type == "Split"


def _part(step, node, name, shapes):
    """One part of what is split, of all that was given."""
    axis = onnx_moves.attributes(node).get("axis", 0)
    sizes = [shapes[x][axis] for x in node.output if x]
    number = [x for x in node.output if x].index(name)
    whole = shapes[node.input[0]]
    move = onnx_moves.part(node, number, sizes)
    return step._replace(label="Split", kind="other", shape_in=whole, move=move)


def _joined(step, node, values, of):
    """What puts features beside each other, with where each of them lies."""
    axis = onnx_moves.attributes(node)["axis"] % len(step.shape)
    sizes = [np.shape(values[x])[axis] for x in node.input]
    ends = np.cumsum(sizes).tolist()
    spans = zip(node.input, [0, *ends[:-1]], ends, strict=True)
    own = tuple((start, end) for name, start, end in spans if name in of)
    return step._replace(joins=(axis, own) if len(own) == len(step.sources) else None)


def _each_channel(step, node, about, values, tracked):
    """What an operation does to each channel by itself; see `Each`."""
    given = [(x, np.asarray(values[x])) for x in node.input[1:] if x in values]
    if node.op_type == "BatchNormalization" and len(given) == 4:
        return _normalised(given, about.get("epsilon", 1e-5))
    if node.op_type in _NUMBERED:
        axis = about.get("axis", -1) if node.op_type == "LayerNormalization" else 1
        own = tuple(
            Parameter(x.reshape(-1), name, x.shape) for name, x in given if x.size > 1
        )
        each_alone = node.op_type == "InstanceNormalization"
        groups = step.shape[1] if each_alone else about.get("num_groups", 1)
        found = Each(axis % len(step.shape), own, groups=groups)
        return found if own or groups > 1 else None
    label = "Add" if node.op_type == "Sum" else node.op_type
    if label not in ("Add", "Sub", "Mul", "Div") or len(node.input) != 2:
        return None
    first = node.input[0] == tracked
    other = node.input[1] if first else node.input[0]
    if other not in values:
        return None
    return pointwise(label, values[other], step.shape, first, other)


_NUMBERED = {"PRelu", "GroupNormalization", "InstanceNormalization"}
_NUMBERED |= {"LayerNormalization"}


def _normalised(given, epsilon):
    """By means and variances that are fixed."""
    weight, bias, mean, variance = (x.astype(np.float64) for _, x in given)
    scale = weight / np.sqrt(variance + epsilon)
    own = tuple(
        Parameter(x, name, adds=sign)
        for (name, x), sign in zip(given, (0, 1, 0, 0), strict=True)
    )
    return Each(1, own, scale, bias - scale * mean)


def _convolution(step, node, about, values):
    weight = np.asarray(values[node.input[1]])
    dims = weight.ndim - 2
    bias = values[node.input[2]] if len(node.input) > 2 and node.input[2] else None
    return step._replace(
        kind="transposed" if node.op_type == "ConvTranspose" else "convolution",
        weight=weight,
        bias=None if bias is None else np.asarray(bias),
        stride=tuple(about.get("strides", [1] * dims)),
        padding=tuple(about.get("pads", [0] * 2 * dims))[:dims],
        dilation=tuple(about.get("dilations", [1] * dims)),
        groups=about.get("group", 1),
        holds=_names(node),
    )


def _linear(step, node, about, values, tracked):
    alone = len(step.sources) == 1 and node.input[0] == tracked
    if not alone or about.get("transA") or node.input[1] not in values:
        return step
    weight = np.asarray(values[node.input[1]])
    if weight.ndim != 2:
        return step
    if not about.get("transB"):
        weight = weight.T
    weight_name, bias_name = _names(node)
    bias = None
    if bias_name:
        bias = np.asarray(values[bias_name])
        if bias.ndim == 2 and len(bias) > 1:
            return step  # of each row another one
        each = bias.size == len(weight)
        bias = np.broadcast_to(bias.reshape(-1), len(weight))
        bias_name = bias_name if each and factor(node, 2) else None
    weight, bias = _times(weight, factor(node, 1)), _times(bias, factor(node, 2))
    holds = weight_name, bias_name
    return step._replace(kind="linear", weight=weight, bias=bias, holds=holds)


def factor(node: onnx.NodeProto, slot: int) -> float:
    """What `Gemm` multiplies its weight (slot 1) or bias (slot 2) by; of others 1."""
    name = {1: "alpha", 2: "beta"}.get(slot) if node.op_type == "Gemm" else None
    return float(onnx_moves.attributes(node).get(name, 1.0))


def _times(values, by):
    if values is None or by == 1:
        return values
    return (values * by).astype(values.dtype)


def _names(node):
    """Of weight and bias."""
    return node.input[1], node.input[2] if len(node.input) > 2 else None


def inspect_model(
    model: onnx.ModelProto,
    inputs: Sequence[np.ndarray] | None,
    threshold_db: float,
    behind: str | None = None,
    examples: Sequence[Sequence[np.ndarray]] = (),
) -> Diagnosis:
    """Diagnoses a model; where no inputs are given, at a size that shows its patterns.

    Args:
      model: as `read` gives it.
      inputs: (B, C, n1, ..., nd); None for random ones.
      threshold_db: what is a fault.
      behind: the name of the tensor behind which it is probed; None for all of it.
      examples: more of such inputs.
    """
    if inputs is not None:
        return _of_branches(model, inputs, threshold_db, behind, examples)
    size = max(least_size(model), probe.SIDE if is_exported(model) else SIZE)
    while True:
        made = example(model, size)
        found = _of_branches(model, made, threshold_db, behind)
        open_axes = any(
            x.shape != y.shape
            for x, y in zip(made, example(model, 2 * size), strict=True)
        )
        if found["ripple_db"] is not None or not found["places"] or not open_axes:
            return found
        if size >= LARGEST:
            return found
        size *= 2


def _of_branches(model, inputs, threshold_db, behind, examples=()):
    """The diagnosis with each branch of conditions that depend on the inputs."""

    def diagnosed(other):
        trace, laid = trace_laid_out(model, inputs, other)
        trace = before_activation(trace) if is_exported(model) else trace
        return inspect(trace, inputs, threshold_db, behind, examples), laid

    found, laid = diagnosed(())
    for name, taken in laid.branches.items():
        try:
            found = _joined_records(found, diagnosed((name,))[0], name, taken)
        except CaejaxError as error:
            found["about"].append(
                f"{name} takes its {taken} with these inputs, and its other branch "
                f"cannot be run with them: {error}"
            )
            found["verdict"] += f", but the other branch of {name} was not run"
    return found


def _joined_records(found, other, name, taken):
    """What is worse of two branches, with the places of both."""
    names = {place["name"] for place in found["places"]}
    more = [place for place in other["places"] if place["name"] not in names]
    told = f"{name} takes its {taken} with these inputs; with the other one: "
    about = [*found["about"], told + other["verdict"], *other["about"]]

    def badness(one):
        ripple = one["ripple_db"]
        return not one.clean, -np.inf if ripple is None else ripple

    worse = found
    if badness(other) > badness(found):
        verdict = f"{other['verdict']}, where {name} takes its other branch"
        worse = Diagnosis(other | {"verdict": verdict})
    places, about = found["places"] + more, list(dict.fromkeys(about))
    return Diagnosis(worse | {"places": places, "about": about})
