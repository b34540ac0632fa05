"""Parameters of a model, made those of the same model of other channels."""

from collections.abc import Mapping

import flax.linen as nn
import numpy as np

from caejax.models.named import named_shapes


def in_channels(
    arrays: Mapping[str, np.ndarray], there: nn.Module, here: nn.Module
) -> Mapping[str, np.ndarray]:
    """Parameters for images of as many channels as another model is made for.

    A kernel that reads the image reads the mean of its channels, one that writes it
    writes the same into each: a grey model takes a colour image to what it makes of its
    mean, and a colour model a grey image to the mean of what it makes. So are grey
    and colour networks made from each other where pretrained ones are used.

    Args:
      arrays: the parameters by the names of `named_shapes`.
      there: the model that they are of.
      here: the model that they are to be of.

    Returns:
      The parameters of `here`, or `arrays` as they are if the two models differ in
      more than the size and the channels of their images, or not in these.
    """
    before, now = there.shape[-1], here.shape[-1]
    shapes = named_shapes(here)
    alike = before != now and shapes == named_shapes(there.clone(shape=here.shape))
    if not alike or set(arrays) != set(shapes):
        return arrays
    return {name: _fit(x, shapes[name], before, now) for name, x in arrays.items()}


def _fit(array, shape, before, now):
    if array.ndim != len(shape):
        return array
    for axis, side in enumerate(array.shape):
        if (side, shape[axis]) == (before, now):
            # The last axis of a kernel is what it writes, the one before what it reads.
            reads = axis == array.ndim - 2
            whole = np.sum if reads else np.mean
            one = whole(array, axis, keepdims=True) / (now if reads else 1)
            array = np.repeat(one, now, axis)
    return array
