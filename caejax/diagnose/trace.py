"""What a model does, one operation after the other, whatever it is written in."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np

NOTHING: Mapping[Any, Any] = MappingProxyType({})


class Parameter(NamedTuple):
    """Numbers of an operation that treats each channel by itself.

    Attributes:
      values: (K, ...), what each channel has.
      holds: where the model keeps them; see `Step`.
      shape: as they are there, if that is another.
      adds: 1 or -1 where they are added to the result, or taken from it; else 0.
    """

    values: np.ndarray
    holds: Any = None
    shape: tuple[int, ...] | None = None
    adds: int = 0


class Each(NamedTuple):
    """What an operation does to each channel by itself, with numbers of its own.

    Attributes:
      axis: of the channels, in the result.
      parameters: those numbers.
      scale, shift: (K,), where it multiplies by the one and adds the other; None where
        it does something else.
      groups: of channels, where it normalises each of them by what it is over space;
        else 1.
    """

    axis: int
    parameters: tuple[Parameter, ...] = ()
    scale: np.ndarray | None = None
    shift: np.ndarray | None = None
    groups: int = 1


class Step(NamedTuple):
    """One operation.

    Attributes:
      index: its place in the order in which operations run, the same in every run.
      name: the layer it belongs to, as its authors call it.
      kind: "transposed", "convolution", "linear", "layout" (elements are moved or
        repeated only), "resize", or "other".
      label: what its library calls it.
      sources: indices of the steps that made its inputs; of weights there are none.
      shape_in: shape of its first input.
      shape: shape of its result.
      weight: of a transposed convolution (C, F, k1, ..., kd), of a convolution
        (F, C, k1, ..., kd), of a linear layer (F, C); F or C of one group.
      bias: (F,) of all groups, or None.
      stride, padding, dilation: of each axis; the padding at its start.
      groups: of channels.
      move: of a layout, what it does, for an array of any type; of what takes a part
        of its input (kind "other"), too, which then has the shape `shape_in`.
      mode: of a resize, how.
      holds: where the model keeps weight and bias: of PyTorch tensors that lie in its
        memory and are laid out like `weight` and `bias`, of ONNX their names.
      each: of what treats each channel by itself, or all alike with numbers (its axis
        is then -1, and its numbers have no axis).
      joins: of what puts features beside each other the axis, and for each of the
        sources where it begins and ends along that.
      apart: whether it takes features from elsewhere, so that its pixels do not lie as
        those of its input do; see `elsewhere`.
    """

    index: int
    name: str
    kind: str
    label: str
    sources: tuple[int, ...]
    shape_in: tuple[int, ...]
    shape: tuple[int, ...]
    weight: np.ndarray | None = None
    bias: np.ndarray | None = None
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    groups: int = 1
    move: Callable[[np.ndarray], np.ndarray] | None = None
    mode: str = ""
    holds: tuple[Any, Any] = (None, None)
    each: Each | None = None
    joins: tuple[int, tuple[tuple[int, int], ...]] | None = None
    apart: bool = False


class Change(NamedTuple):
    """What is other in a run than in the model.

    Attributes:
      weight: the kernel of a convolution, in place of its own; or None.
      mean: (groups, axis): the channels along the axis whose group is the same are
        replaced by their mean in the result; or None.
      blocks: (axes, sizes): blocks of these sizes along the axes are replaced by their
        means in the result; or None.
      turned: (axes, size): blocks of that size along these two axes are transposed in
        the result; or None.
      value: what the result is replaced by, with channels second; or None.
      edge: whether a convolution, transposed or not, or an operation that only pads,
        continues its input by the pixels at its borders in place of zeros.
      statistics: of an operation that normalises over space, the ones that it uses in
        place of its own; or None. What they are is the library's affair.
    """

    weight: np.ndarray | None = None
    mean: tuple[np.ndarray, int] | None = None
    blocks: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    turned: tuple[tuple[int, int], int] | None = None
    value: np.ndarray | None = None
    edge: bool = False
    statistics: Any = None


def beyond(taps: int, stride: int, dilation: int, more: int = 0) -> int:
    """How many pixels around its input a transposed convolution would read.

    Args:
      taps, stride, dilation: of it, along one axis.
      more: pixels that are added to its result at the end.
    """
    return -(-(dilation * (taps - 1) + more) // stride)


class Run(Protocol):
    """Runs a watched model on several inputs, which is loaded once for all of them."""

    def __call__(
        self,
        inputs: Sequence[Sequence[np.ndarray]],
        changes: Mapping[int, Change] = NOTHING,
        watch: Mapping[int, Callable[[np.ndarray], None]] = NOTHING,
    ) -> list[np.ndarray]:
        """The first result of each.

        Args:
          inputs: for each run what the model is called with. Here and in what is
            returned and shown channels are second.
          changes: what is other than in the model, by step.
          watch: by step, what is shown its result in each run; step -1 is the first
            input.
        """


class Trace(NamedTuple):
    """A model that was watched while it ran.

    Attributes:
      steps: what it did, in order, with shapes and axes as they are inside of it.
      results: the indices of the steps whose results it returned, the first that of
        the one that is looked at.
      run: see `Run`.
      statistics: the changes that keep what is computed over all of space, means and
        variances, as it was then.
      channel: the axis of the channels inside of the model, 1 or -1.
      about: what the user should know of how it was read.
      tensors: steps by the names of their results, where those have names.
      unseen: places that no run shows, known by their kernels at most; they are
        `places.Place`s.
      bodies: what has parts that are not looked into, in words.
      form: what the model is: "jax", "torch", "onnx", or "run" of a run of caejax.
    """

    steps: list[Step]
    results: tuple[int, ...]
    run: "Run"
    statistics: Mapping[int, Change]
    channel: int = 1
    about: tuple[str, ...] = ()
    tensors: Mapping[str, int] = NOTHING
    unseen: tuple[Any, ...] = ()
    bodies: str = ""
    form: str = "jax"


def spatial(shape: tuple[int, ...], channel: int) -> tuple[int, ...]:
    """Sizes along the spatial axes of (B, C, n1, ..., nd) or (B, n1, ..., nd, C)."""
    return shape[2:] if channel == 1 else shape[1:-1]


def own_channels_second(array: np.ndarray, channel: int, own: int | None) -> np.ndarray:
    """An array as runs show it, with its own channels second.

    Args:
      array: whose axis `channel` was moved there.
      channel: of the model's images.
      own: of the array, as it was made; None for the same.
    """
    if own is None:
        return array
    return np.moveaxis(np.moveaxis(array, 1, channel), own, 1)


def of_images(dims: Sequence[int], given: int) -> int:
    """Which of several results is looked at: the first that may hold images.

    Args:
      dims: how many axes each has.
      given: how many the model's first input has.

    Returns:
      Of the first with as many axes as the input, or else with spatial ones, or else of
      the first the number.
    """
    alike = (n for n, count in enumerate(dims) if count == given > 2)
    spatial = (n for n, count in enumerate(dims) if count > 2)
    return next(alike, next(spatial, 0))


def averaging(groups: np.ndarray) -> np.ndarray:
    """The (C, C) matrix that replaces channels by the means of their groups."""
    member = np.eye(groups.max() + 1, dtype=np.float32)[groups]
    return (member / member.sum(0)) @ member.T


def block_means(
    image: np.ndarray, axes: Sequence[int], sizes: Sequence[int]
) -> np.ndarray:
    """An image in which each block of these sizes along these axes is its mean."""
    for axis, size in zip(axes, sizes, strict=True):
        shape = image.shape
        parted = image.reshape(*shape[:axis], -1, size, *shape[axis + 1 :])
        mean = parted.mean(axis + 1, keepdims=True)
        image = np.broadcast_to(mean, parted.shape).reshape(shape)
    return image


def turn_blocks(
    shape: Sequence[int], axes: tuple[int, int], size: int
) -> tuple[list[int], list[int]]:
    """How blocks along two axes are transposed: the shape that parts them, and the
    order of its axes; what is so moved is then of the old shape again.
    """
    parted: list[int] = []
    order: list[int] = []
    inside = {}
    for axis, count in enumerate(shape):
        order.append(len(parted))
        if axis in axes:
            inside[axis] = (len(order), len(parted) + 1)
            order.append(-1)
            parted += [count // size, size]
        else:
            parted.append(count)
    first, second = (inside[axis] for axis in axes)
    order[first[0]], order[second[0]] = second[1], first[1]
    return parted, order


def along_one_axis(
    values: np.ndarray, shape: Sequence[int]
) -> tuple[int | None, np.ndarray] | None:
    """The axis along which numbers of a pointwise operation differ, and those numbers.

    Args:
      values: what is broadcast against features of the shape.
      shape: of the features.

    Returns:
      The axis and one number for each place along it; (None, number) where there is
      one for all; None where they differ along several axes.
    """
    values = np.asarray(values)
    if values.ndim > len(shape):
        return None
    padded = values.reshape((1,) * (len(shape) - values.ndim) + values.shape)
    axes = [n for n, size in enumerate(padded.shape) if size > 1]
    if len(axes) > 1:  # or repeated already
        axes = [n for n in axes if (padded != padded.take([0], n)).any()]
    if len(axes) > 1 or any(padded.shape[n] != shape[n] for n in axes):
        return None
    if not axes:
        return None, padded.ravel()[0]
    line = np.moveaxis(padded, axes[0], -1)
    return axes[0], line.reshape(-1, line.shape[-1])[0]


def pointwise(
    label: str, values: np.ndarray, shape: Sequence[int], first: bool, holds: Any
) -> Each | None:
    """What adding, subtracting, multiplying or dividing by numbers does to channels.

    Args:
      label: of the operation, as libraries call it.
      values: the numbers.
      shape: of the result.
      first: whether features come first, and the numbers second.
      holds: where the model keeps the numbers; see `Step`.

    Returns:
      None of another operation, or of numbers that differ along several axes.
    """
    kind = label.lower().removesuffix("_")
    found = along_one_axis(values, shape) if kind in _ARITHMETIC else None
    if found is None or (kind == "div" and not first):
        return None
    axis, line = found[0], np.asarray(found[1], np.float64)
    if kind in ("mul", "div"):
        with np.errstate(divide="ignore"):
            scale, shift = (line if kind == "mul" else 1 / line), np.zeros_like(line)
        adds = 0
    else:
        adds = -1 if kind == "sub" and first else 1
        shift = adds * line
        scale = np.full_like(line, -1.0 if kind == "sub" and not first else 1.0)
    if axis is None:
        return Each(-1, (), scale, shift)
    own = Parameter(
        found[1],
        holds if np.size(values) == line.size else None,
        np.shape(values),
        adds,
    )
    return Each(axis, (own,), scale, shift)


_ARITHMETIC = {"add", "add_any", "sub", "mul", "div"}
