"""What a model does, one operation after the other, whatever it is written in."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np

NOTHING: Mapping[Any, Any] = MappingProxyType({})


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
      move: of a layout, what it does, for an array of any type.
      mode: of a resize, how.
      holds: where the model keeps weight and bias: of PyTorch tensors that lie in its
        memory and are laid out like `weight` and `bias`, of ONNX their names.
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


class Change(NamedTuple):
    """What is other in a run than in the model.

    Attributes:
      weight: the kernel of a convolution, in place of its own; or None.
      mean: (groups, axis): the channels along the axis whose group is the same are
        replaced by their mean in the result; or None.
      value: what the result is replaced by, with channels second; or None.
      edge: whether a convolution, not a transposed one, or an operation that only
        pads, continues its input by the pixels at its borders in place of zeros.
      statistics: of an operation that normalises over space, the ones that it uses in
        place of its own; or None. What they are is the library's affair.
    """

    weight: np.ndarray | None = None
    mean: tuple[np.ndarray, int] | None = None
    value: np.ndarray | None = None
    edge: bool = False
    statistics: Any = None


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
      results: the indices of the steps whose results it returned.
      run: see `Run`.
      statistics: the changes that keep what is computed over all of space, means and
        variances, as it was then.
      channel: the axis of the channels inside of the model, 1 or -1.
      about: what the user should know of how it was read.
      tensors: steps by the names of their results, where those have names.
    """

    steps: list[Step]
    results: tuple[int, ...]
    run: "Run"
    statistics: Mapping[int, Change]
    channel: int = 1
    about: tuple[str, ...] = ()
    tensors: Mapping[str, int] = NOTHING


def spatial(shape: tuple[int, ...], channel: int) -> tuple[int, ...]:
    """Sizes along the spatial axes of (B, C, n1, ..., nd) or (B, n1, ..., nd, C)."""
    return shape[2:] if channel == 1 else shape[1:-1]


def averaging(groups: np.ndarray) -> np.ndarray:
    """The (C, C) matrix that replaces channels by the means of their groups."""
    member = np.eye(groups.max() + 1, dtype=np.float32)[groups]
    return (member / member.sum(0)) @ member.T
