"""What the axes of features are: channels, or places.

How elements are moved does not tell which of them are channels: heads of an attention
lie beside each other as phases do, and the columns of an image as its channels. What
made the features does: a convolution has its channels on one axis, a linear layer
mostly on the last. From there on they are followed.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from caejax.diagnose.trace import Step

CHANNEL, PLACE, UNKNOWN = "channel", "place", "?"  # places of the batch, too
PLACES = "places"  # of several axes laid out along one, as tokens and detections are

Roles = tuple[str, ...]

# Quantised convolutions, of which kernels are not read.
_QUANTISED = {"convinteger", "qlinearconv"}
# Their results have channels last, and before those the directions of ONNX's.
_RECURRENT = {"lstm", "gru", "rnn", "dynamicquantizelstm"}

# Matrix products of features: of queries with keys, of weights with values.
PRODUCTS = {"bmm", "baddbmm", "matmul", "dot_general", "einsum"}


def roles_of(step: Step, steps: Mapping[int, Step], channel: int) -> Roles:
    """What each axis of a step's result is.

    Args:
      step: that made the features.
      steps: all of them, by index.
      channel: the axis of the channels of images, 1 or -1.
    """
    behind = [step]
    while (known := _made(behind[-1], channel)) is None:
        main = _main(behind[-1], steps)
        if main is None:
            read = set(behind[-1].sources) == {-1}
            known = of_input(behind[-1].shape_in, channel) if read else ()
            break
        behind.append(main)
    else:
        behind.pop()
    for one in reversed(behind):
        known = _through(one, known, steps, channel)
    return known


def _made(step, channel):
    """Of what has its channels on a certain axis, whatever it is given."""
    kinds = ("convolution", "transposed", "resize")
    label, dims = step.label.lower(), len(step.shape)
    if step.kind in kinds or label in _QUANTISED:
        return _with_channel(dims, channel)
    if label in _RECURRENT:
        return (
            (PLACE, CHANNEL, PLACE, CHANNEL) if dims == 4 else _with_channel(dims, -1)
        )
    return None


def _with_channel(dims, axis):
    found = [PLACE] * dims
    if dims > 1:
        found[axis] = CHANNEL
    return tuple(found)


def _main(step, steps):
    """The step whose result it is of, the one of the same shape if there is one."""
    made = [steps[n] for n in step.sources if n in steps]
    return next((x for x in made if x.shape == step.shape), made[0] if made else None)


def of_input(shape: Sequence[int], channel: int) -> Roles:
    """What the axes of a model's input are: an image's; tokens may have three."""
    dims = len(shape)
    return _with_channel(dims, channel) if dims > 3 else (UNKNOWN,) * dims


def _through(step, roles, steps, channel):
    roles = roles or (UNKNOWN,) * len(step.shape_in)
    if step.kind == "linear":
        # Of channels, or, where tokens are mixed, of places.
        return (*roles[:-1], CHANNEL if roles[-1] == UNKNOWN else roles[-1])
    if step.kind == "layout":
        return _moved(step, roles)
    if step.label.lower() in PRODUCTS:
        return _of_product(step, roles, steps, channel)
    if len(step.shape) == len(roles):
        return roles
    if len(step.shape) == len(roles) - 1:
        return _without_one(step, roles)
    if len(step.shape) == len(roles) + 1:
        return _with_one_more(step, roles)
    return (UNKNOWN,) * len(step.shape)


def _of_product(step, roles, steps, channel):
    """Rows of the first matrix, columns of the second."""
    if step.label.lower() not in ("bmm", "matmul") or len(step.sources) != 2:
        return (UNKNOWN,) * len(step.shape)
    first, second = (
        roles_of(steps[n], steps, channel) if n in steps else (UNKNOWN,)
        for n in step.sources
    )
    whole = len(first) == len(step.shape)
    return (*first[:-1], second[-1]) if whole else (UNKNOWN,) * len(step.shape)


def _without_one(step, roles):
    """An axis less: which one, where sizes tell it, or where it is all the same."""
    source = step.shape_in
    left = {
        roles[:n] + roles[n + 1 :]
        for n in range(len(source))
        if source[:n] + source[n + 1 :] == step.shape
    }
    return left.pop() if len(left) == 1 else (UNKNOWN,) * len(step.shape)


def _with_one_more(step, roles):
    """An axis more, as of features that are stacked, of which nothing is known."""
    made = step.shape
    grown = {
        (*roles[:n], UNKNOWN, *roles[n:])
        for n in range(len(made))
        if made[:n] + made[n + 1 :] == step.shape_in
    }
    return grown.pop() if len(grown) == 1 else (UNKNOWN,) * len(made)


def _moved(step, roles):
    """Of each axis what the axes are that it runs through."""
    runs = axes_along(step.shape_in, step.move)
    if len(roles) != len(step.shape_in):
        return (UNKNOWN,) * len(runs)
    cut = {axis for axis in range(len(roles)) if sum(axis in run for run in runs) > 1}

    def role(run):
        known = {roles[axis] for axis in run}
        if known <= {PLACE, PLACES} and known:
            if len(run) > 1:
                return PLACES
            return PLACE if run <= cut else known.pop()
        return known.pop() if len(known) == 1 else UNKNOWN

    return tuple(map(role, runs))


def axes_along(
    shape: Sequence[int], move: Callable[[np.ndarray], np.ndarray]
) -> list[set[int]]:
    """For each axis of what is moved, the axes of the source along which it runs.

    Args:
      shape: of the source.
      move: the moving, for an array of any type.
    """
    numbers = move(np.arange(np.prod(shape), dtype=np.int64).reshape(shape))
    found = []
    for axis in range(numbers.ndim):
        line = np.moveaxis(numbers, axis, 0).reshape(numbers.shape[axis], -1)[:, 0]
        places = np.unravel_index(np.ascontiguousarray(line), shape)
        found.append({n for n, x in enumerate(places) if (x != x[:1]).any()})
    return found
