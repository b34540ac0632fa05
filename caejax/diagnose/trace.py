"""What a model does, one operation after the other, whatever it is written in."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np


class Step(NamedTuple):
    """One operation on arrays (B, C, n1, ..., nd), channels second.

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


class Change(NamedTuple):
    """What is other in a run than in the model.

    Attributes:
      weight: the kernel of a convolution, in place of its own; or None.
      mean: (groups, axis): the channels along the axis whose group is the same are
        replaced by their mean in the result; or None.
    """

    weight: np.ndarray | None = None
    mean: tuple[np.ndarray, int] | None = None


Watch = Callable[[int, np.ndarray], None]


class Trace(NamedTuple):
    """A model that was watched while it ran.

    Attributes:
      steps: what it did, in order.
      results: the indices of the steps whose results it returned.
      run: (inputs, changes by step, watch) -> its first result (B, ...); watch, where
        it is not None, is shown the result of each step in `watched`.
      channels_last: whether arrays have their channels last.
      about: what the user should know of how it was read.
    """

    steps: list[Step]
    results: tuple[int, ...]
    run: Callable[..., np.ndarray]
    about: tuple[str, ...] = ()


Changes = Mapping[int, Change]


def mean_of_channels(array: Any, groups: np.ndarray, axis: int, xp: Any) -> Any:
    """Replaces channels of one group by their mean, by a product with a matrix."""
    count = groups.max() + 1
    member = np.zeros((len(groups), count), np.float32)
    member[np.arange(len(groups)), groups] = 1
    matrix = (member / member.sum(0)) @ member.T
    return xp(array, matrix, axis)
