"""Watches a PyTorch module while it runs: also what it calls by functions."""

import contextlib
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary

from caejax.diagnose import failures
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

_LAYOUTS = {
    *("view", "_unsafe_view", "_reshape_alias", "permute", "transpose", "t", "clone"),
    *("unsqueeze", "squeeze", "expand", "alias", "detach", "pixel_shuffle", "repeat"),
    *("reshape", "movedim", "repeat_interleave", "flatten", "unflatten", "contiguous"),
    *("channel_shuffle", "native_channel_shuffle"),
}
_LINEAR = {"addmm", "mm", "linear", "bmm"}
_TAKING = {"slice", "select", "narrow", "index_select", "index", "flip", "roll"}


def trace_module(module: torch.nn.Module, inputs: Sequence[torch.Tensor]) -> Trace:
    """Runs a module once, as in evaluation, and notes what it does.

    Its weights and its mode are left as they were.

    Args:
      module: the model, or a part of it.
      inputs: what it is called with.

    Returns:
      The trace; its `run` takes NumPy arrays in place of the inputs.

    Raises:
      CaejaxError: the module cannot be run with them, or returns no tensor.
    """
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    kinds = [x.dtype for x in inputs]

    def watched(arrays, recorder):
        given = [
            torch.as_tensor(x, device=device, dtype=kind)
            for x, kind in zip(arrays, kinds, strict=True)
        ]
        with _as_in_evaluation(module), recorder.names(module), recorder:
            for tensor in given:
                recorder.of[tensor] = -1
            with failures.told("the module", given, _mend):
                return _tensors(module(*given))

    def run(inputs, changes=NOTHING, watch=NOTHING):
        found = []
        for arrays in inputs:
            if -1 in watch:
                watch[-1](arrays[0])
            made = watched(arrays, _Recorder(changes, watch))
            found.append(_as_it_is(made[shown]))
        return found

    # What is done in the first run only, to keep positions or make lazy weights, is
    # no part of what is watched, in which steps are known by their numbers.
    with (
        _as_in_evaluation(module),
        failures.told("the module", inputs, _mend),
        _in_batches(module, inputs[0].ndim),
    ):
        module(*(x.detach().to(device) for x in inputs))
    first = _Recorder(NOTHING, NOTHING)
    made = watched([x.detach() for x in inputs], first)
    if not made:
        raise CaejaxError(
            "the module returns no tensor; diagnose one that returns what it makes"
        )
    shown = of_images([x.ndim for x in made], inputs[0].ndim)
    made = [made[shown], *made[:shown], *made[shown + 1 :]]
    results = tuple(first.of.get(x, -1) for x in made)
    return Trace(first.steps, results, run, first.statistics, form="torch")


def _mend(error):
    if any(word in str(error) for word in ("dtype", "scalar type", "Input type")):
        return "give inputs of its weights' type: x.float(), or x.astype('float32')"
    if failures.is_of_shapes(error):
        return "give what it takes: of images (B, C, H, W), with channels second"
    return ""


@contextlib.contextmanager
def _in_batches(module: torch.nn.Module, dimensions: int) -> Iterator[None]:
    """While it is open, convolutions refuse inputs that have no axis of a batch."""

    def check(part, args):
        if args and args[0].ndim == dimensions == len(part.kernel_size) + 1:
            kind = type(part).__name__
            raise CaejaxError(f"{kind} takes them for one input without a batch")

    layers = [x for x in module.modules() if isinstance(x, _CONVOLUTION)]
    hooks = [layer.register_forward_pre_hook(check) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


_CONVOLUTION = torch.nn.modules.conv._ConvNd


@contextlib.contextmanager
def _as_in_evaluation(module: torch.nn.Module) -> Iterator[None]:
    # Frozen modules and exported programs have no other way to run.
    parts = (part for part in module.modules() if hasattr(part, "training"))
    modes = {part: part.training for part in parts}
    with contextlib.suppress(NotImplementedError):
        if modes:
            module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def _tensors(made: Any) -> list[torch.Tensor]:
    """The tensors of a result, also of the records that packages return."""
    if isinstance(made, torch.Tensor):
        return [made]
    if isinstance(made, dict):
        made = list(made.values())
    if isinstance(made, list | tuple):
        return [tensor for part in made for tensor in _tensors(part)]
    if hasattr(made, "__dict__"):
        return _tensors(list(vars(made).values()))
    return []


class _Recorder(TorchDispatchMode):
    """Notes each operation, and may change it on the way."""

    def __init__(self, changes, watch):
        super().__init__()
        self.steps: list[Step] = []
        self.statistics: dict[int, Change] = {}
        self.of = WeakIdKeyDictionary()
        self._changes, self._watch = changes, watch
        self._names = [""]

    @contextlib.contextmanager
    def names(self, module):
        """Knows, while it is open, which part of the module runs."""

        def leave(part, args, made):
            self._names.pop()  # and returns nothing, which changes nothing

        hooks = []
        for name, part in module.named_modules():
            if isinstance(part, torch.jit.ScriptModule):
                continue  # which takes no hooks; what it does is seen all the same
            enter = functools.partial(_enter, self._names, name)
            hooks += [
                part.register_forward_pre_hook(enter),
                part.register_forward_hook(leave, always_call=True),
            ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        index = len(self.steps)
        change = self._changes.get(index, Change())
        step = self._step(index, func, args, kwargs)
        if change.weight is not None:
            like = args[1]
            weight = torch.as_tensor(change.weight, dtype=like.dtype)
            args = (args[0], weight.to(like.device), *args[2:])
        if change.edge:
            func, args = _continued(func, args)
        made = func(*args, **kwargs)
        if step.sources and _is_over_space(step.label, args):
            if change.statistics is not None:
                made = _with_statistics(step.label, args, change.statistics)
            self.statistics[index] = Change(statistics=_statistics(step.label, made))
        made = _changed(made, change, step.label)
        tensors = [x for x in _flat(made) if isinstance(x, torch.Tensor)]
        if step.sources:  # what is made of weights alone does not depend on inputs
            for tensor in tensors:
                self.of[tensor] = index
        shape = tuple(tensors[0].shape) if tensors else ()
        if step.sources and (whole := _written(step.label, tensors)) is not None:
            # The whole is then made of what was there and of what is written to a part.
            there = (self.of[whole],) if whole in self.of else ()
            step = step._replace(sources=(*step.sources, *there))
            self.of[whole] = index
            if whole.numel() != tensors[0].numel():
                shape, tensors = tuple(whole.shape), [whole]
        parted = bool(step.sources) and isinstance(made, list)
        if parted:  # what they are parts of is what was given
            step = step._replace(move=lambda x: x)
        self.steps.append(step._replace(shape=shape))
        if index in self._watch:
            self._watch[index](_as_it_is(tensors[0]))
        if parted:
            move = _mover(func, args, kwargs)
            return [self._part(step, x, n, move) for n, x in enumerate(made)]
        return made

    def _part(self, whole, part, number, move):
        """One of several results, as a step of its own: it may be changed alone."""
        index = len(self.steps)
        part = _changed(part, self._changes.get(index, Change()))
        shape = tuple(part.shape)
        self.of[part] = index
        step = whole._replace(
            index=index,
            sources=(whole.index,),
            shape=shape,
            move=lambda x: move(x)[number],
        )
        self.steps.append(step)
        if index in self._watch:
            self._watch[index](_as_it_is(part))
        return part

    def _step(self, index, func, args, kwargs):
        name = func.overloadpacket.__name__
        tensors = [x for x in _flat((args, kwargs)) if isinstance(x, torch.Tensor)]
        # Of these the shape alone is taken, or nothing.
        fresh = name.startswith("new_") or name.endswith("_like")
        sources = tuple(self.of[x] for x in tensors if x in self.of and not fresh)
        first = next((x for x in tensors if x in self.of), None)
        step = Step(
            index,
            self._names[-1] or name,
            "other",
            name,
            sources,
            () if first is None else tuple(first.shape),
            (),
        )
        if name in ("convolution", "_convolution"):
            return _convolution(step, args)
        if name.lstrip("_").startswith("upsample"):
            mode = name.lstrip("_").removeprefix("upsample_")
            return step._replace(kind="resize", label="interpolate", mode=mode)
        if "adaptive_" in name and _pools_to_more(args):
            return step._replace(
                kind="resize", label="interpolate", mode=name.lstrip("_")
            )
        if name == "col2im" and len(sources) == 1 and _tiles(*args[1:]):
            return step._replace(kind="layout", label="fold", move=_folder(args))
        if name == "col2im":
            return step._replace(label="fold", stride=tuple(args[-1]))
        if name in _LAYOUTS and len(sources) == 1:
            return step._replace(kind="layout", move=_mover(func, args, kwargs))
        if name in _LINEAR:
            return _linear(step, name, args, self.of)
        if name in _TAKING and len(sources) == 1 and args[0] in self.of:
            return step._replace(move=_mover(func, args, kwargs))
        if name in ("cat", "stack"):
            return _joined(step, args, kwargs, self.of)
        return step._replace(each=_each_channel(step, args, kwargs, self.of))


def _pools_to_more(args):
    """Whether pooling to a size repeats pixels, or means of neighbours."""
    return any(out > n for out, n in zip(args[1], args[0].shape[2:], strict=False))


_GROUPS, _LAYERS = "native_group_norm", "native_layer_norm"
_BATCHES = ("native_batch_norm", "_native_batch_norm_legit")
_MEANS = ("mean", "var", "var_mean", "std")


def _is_over_space(label, args):
    """Whether an operation computes means or variances over all of space."""
    if label in _BATCHES:  # instances come as one image of all their channels
        return next((x for x in args if isinstance(x, bool)), False)
    if label == _LAYERS:
        return len(args[1]) == args[0].ndim - 1 > 1
    if label in _MEANS:
        image, dims = args[0], args[1] if len(args) > 1 else ()
        over = {d % image.ndim for d in dims} if isinstance(dims, list) else set()
        # Of three axes the last one may be the channels of tokens.
        return image.ndim > 3 and over >= set(range(2, image.ndim))
    return label == _GROUPS


def _statistics(label, made):
    """Means and inverse deviations of what normalises; of means, themselves."""
    return _copied(made if label in _MEANS else made[1:])


def _copied(made):
    """Of what a model may go on to change in place."""
    return tuple(map(_copied, made)) if isinstance(made, tuple) else made.clone()


def _with_statistics(label, args, statistics):
    """What an operation makes with the statistics of other features."""
    if label in _MEANS:
        return _copied(statistics)
    image, weight, bias = args[:1] + args[2:4] if label == _LAYERS else args[:3]
    each = (-1, *[1] * (image.ndim - 2))

    def of_weights(values):
        return values if label == _LAYERS else values.reshape(each)

    def of_channels(values):
        if label != _GROUPS:
            return of_weights(values)
        repeats = image.shape[1] // values.shape[1]
        return values.repeat_interleave(repeats, 1).reshape(len(image), *each)

    mean, inverse = map(of_channels, statistics)
    made = (image - mean) * inverse
    made = made if weight is None else made * of_weights(weight)
    made = made if bias is None else made + of_weights(bias)
    return (made, *statistics)


def _changed(made, change, label=""):
    """What an operation made, of several results the first, as it is to be."""
    if isinstance(made, tuple):
        return (_changed(made[0], change), *made[1:])
    if change.blocks is not None and label.endswith("_"):
        whole = made if made._base is None else made._base
        whole.copy_(_block_means(whole, *change.blocks))  # which goes on, not `made`
    elif change.blocks is not None:
        made = _block_means(made, *change.blocks)
    if change.turned is not None:
        parted, order = turn_blocks(made.shape, *change.turned)
        made = made.reshape(parted).permute(order).reshape(made.shape)
    if change.mean is not None:
        made = _mean(made, *change.mean)
    if change.value is not None:
        made = torch.as_tensor(change.value).to(made)
    return made


def _written(label, tensors):
    """What a view is part of that an operation in place has written to, or None."""
    return tensors[0]._base if tensors and label.endswith("_") else None


def _enter(names, name, part, args):
    names.append(name)


def _convolution(step, args):
    _, weight, bias, stride, padding, dilation, transposed, _, groups = args[:9]
    dims = weight.ndim - 2
    return step._replace(
        kind="transposed" if transposed else "convolution",
        label=f"Conv{'Transpose' if transposed else ''}{dims}d",
        weight=_array(weight),
        bias=None if bias is None else _array(bias),
        stride=_each(stride, dims),
        padding=_each(padding, dims),
        dilation=_each(dilation, dims),
        groups=groups,
        holds=(weight, bias),
    )


def _continued(func, args):
    """An operation that pads its input by what is at its borders, and its arguments."""
    if func.overloadpacket.__name__ == "constant_pad_nd":
        image, sizes = args[:2]
        spatial = len(sizes) <= 2 * (image.ndim - 2) and min(sizes) >= 0
        return (_pad, args[:2]) if spatial else (func, args)
    image, weight, bias, *numbers, transposed, more, groups = args
    dims = weight.ndim - 2
    stride, padding, dilation, more = (_each(x, dims) for x in (*numbers, more))
    around, left = padding, [0] * dims
    if transposed:
        sizes = zip(weight.shape[2:], stride, dilation, more, strict=True)
        around = [beyond(*each) for each in sizes]
        # Which cuts off the result: what the pixels beyond make.
        left = [p + s * n for p, s, n in zip(padding, stride, around, strict=True)]
    image = _pad(image, [size for size in reversed(around) for _ in range(2)])
    rest = (dilation, transposed, more, groups)
    return func, (image, weight, bias, stride, left, *rest)


def _pad(image, sizes):
    """By PyTorch's sizes: of the last axis first, which need not be all."""
    if not any(sizes):
        return image
    sizes = [*sizes, *[0] * (2 * (image.ndim - 2) - len(sizes))]
    return torch.nn.functional.pad(image, sizes, mode="replicate")


def _each(values, dims):
    return tuple(values) if len(values) == dims else tuple(values) * dims


def _linear(step, name, args, of):
    if name == "addmm":
        bias, _, weight = args[:3]
    else:
        weight, bias = args[1], args[2] if len(args) > 2 else None
    if weight in of or len(step.sources) != 1:
        return step
    if name == "bmm":
        if weight.shape[0] > 1 and weight.stride(0):
            return step  # each example has a matrix of its own
        weight = weight[0]
    weight = weight if name == "linear" else weight.T
    bias = bias if bias is not None and bias.ndim == 1 else None
    return step._replace(
        kind="linear",
        label="Linear",
        weight=_array(weight),
        bias=None if bias is None else _array(bias),
        holds=(weight, bias),
    )


def _joined(step, args, kwargs, of):
    """What puts features beside each other, with where each of them lies."""
    parts, stacked = [x for x in args[0] if x.numel()], step.label == "stack"
    axis = args[1] if len(args) > 1 else kwargs.get("dim", 0)
    axis %= max(x.ndim for x in args[0]) + stacked
    ends = np.cumsum([1 if stacked else x.shape[axis] for x in parts]).tolist()
    spans = zip([0, *ends[:-1]], ends, strict=True)
    own = tuple(span for x, span in zip(parts, spans, strict=True) if x in of)
    return step._replace(joins=(axis, own) if len(own) == len(step.sources) else None)


def _each_channel(step, args, kwargs, of):
    """What an operation does to each channel by itself; see `Each`."""
    if len(step.sources) != 1 or not args or not isinstance(args[0], torch.Tensor):
        return None
    if step.label in _BATCHES or step.label.startswith("_native_batch_norm"):
        return _normalised(args)
    if step.label == "_prelu_kernel":
        return _with_numbers(1, args[1:2])
    if step.label == _GROUPS:
        return _with_numbers(1, args[1:3], groups=args[6])
    if step.label == _LAYERS and len(args[1]) == 1:
        return _with_numbers(args[0].ndim - 1, args[2:4])
    by = kwargs.get("alpha", 1)  # which the second is multiplied by
    if {*kwargs} - {"alpha"} or len(args) != 2:
        return None
    first = args[0] in of
    other = args[1] if first else args[0]
    if isinstance(other, torch.Tensor):
        try:
            shape = torch.broadcast_shapes(args[0].shape, args[1].shape)
        except RuntimeError:  # of another operation, as looking codes up is
            return None
        own = other.reshape(-1) if by == 1 else None
        values = _array(other) * (by if first else 1)
        return _times(pointwise(step.label, values, shape, first, own), first, by)
    if not isinstance(other, int | float):
        return None
    values = np.array(float(other) * by)
    return pointwise(step.label, values, args[0].shape, first, None)


def _times(each, first, by):
    """What adds features that come second, and are multiplied by a number."""
    return each if first or each is None else each._replace(scale=each.scale * by)


def _normalised(args):
    """By means and variances that are fixed."""
    weight, bias, mean = args[1:4]
    if mean is None or any(x is True for x in args[3:6]):  # of instances
        return _with_numbers(1, args[1:3], groups=args[0].shape[1])
    values = [None if x is None else _array(x) for x in args[1:5]]
    eps = next(x for x in reversed(args) if isinstance(x, float))
    scale = 1 / np.sqrt(values[3].astype(np.float64) + eps)
    scale = scale if weight is None else scale * values[0]
    shift = -scale * values[2] + (0.0 if bias is None else values[1])
    adds = (0, 1, 0, 0)
    own = tuple(
        Parameter(x, tensor, adds=sign)
        for x, tensor, sign in zip(values, args[1:5], adds, strict=True)
        if x is not None
    )
    return Each(1, own, scale, shift)


def _with_numbers(axis, tensors, groups=1):
    """Numbers of what neither only scales nor only adds."""
    own = tuple(
        Parameter(_array(x).reshape(-1), x.reshape(-1))
        for x in tensors
        if x is not None and x.numel() > 1
    )
    return Each(axis, own, groups=groups) if own or groups > 1 else None


def _array(tensor):
    return tensor.detach().float().cpu().numpy()


def _as_it_is(tensor):
    """A copy of what a model may go on to change in place."""
    return np.array(_array(tensor))


def _mover(func, args, kwargs):
    rest = [x.cpu() if isinstance(x, torch.Tensor) else x for x in args[1:]]

    def move(array):
        made = func(torch.from_numpy(np.ascontiguousarray(array)), *rest, **kwargs)
        parts = isinstance(made, list | tuple)
        return [x.numpy() for x in made] if parts else made.numpy()

    return move


def _tiles(size, kernel, dilation, padding, stride):
    """Whether patches are put beside each other, so that each pixel is of one."""
    return list(kernel) == list(stride) and not any(padding) and set(dilation) == {1}


def _folder(args):
    def move(array):
        # Of whole numbers there is none; those of places are exact in doubles.
        tensor = torch.from_numpy(np.ascontiguousarray(array)).double()
        folded = torch.nn.functional.fold(tensor, args[1], args[2], stride=args[2])
        return folded.numpy().astype(array.dtype)

    return move


def _mean(tensor, groups, axis):
    matrix = torch.as_tensor(averaging(groups)).to(tensor)
    return (tensor.movedim(axis, -1) @ matrix).movedim(-1, axis)


def _block_means(tensor, axes, sizes):
    """See `caejax.diagnose.trace.block_means`."""
    for axis, size in zip(axes, sizes, strict=True):
        parted = tensor.unflatten(axis, (-1, size))
        mean = parted.mean(axis + 1, keepdim=True)
        tensor = mean.expand_as(parted).flatten(axis, axis + 1)
    return tensor


def _flat(values):
    if isinstance(values, dict):
        values = list(values.values())
    if isinstance(values, list | tuple):
        return [x for value in values for x in _flat(value)]
    return [values]
