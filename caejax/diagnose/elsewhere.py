"""Operations that take features from elsewhere, and do not enlarge what they are given.

Deformable attention, crops of regions and warps take features at places that they are
told. What they make may be larger, but is the same image enlarged only where pixels a
stride apart are taken a pixel apart. Names do not tell: DySample enlarges by the same
`grid_sample` by which attention looks around. So each is given slopes, with the places
as they were.
"""

import functools
from collections.abc import Sequence

import numpy as np

from caejax.diagnose.places import is_enlarging, scale_of_unknown
from caejax.diagnose.trace import Change, Step, Trace

_LEFT = 0.25  # of an enlarged slope's variance, at most, by which a result differs
_INSIDE = 0.5  # of one, what is made of ones where most lies within the borders
_ROUNDING = 1e-3
_TOLD = (
    "takes features from places of its own, so it is not counted as enlarging, and "
    "what is drawn before it is not followed through it"
)


def noted(trace: Trace, inputs: Sequence[np.ndarray]) -> Trace:
    """Finds out which operations take features from elsewhere.

    Args:
      trace: of the model.
      inputs: what it was traced with.

    Returns:
      The trace, in which these steps are `apart`.
    """
    steps = {step.index: step for step in trace.steps}
    asked = [x for x in trace.steps if _may_be(x, steps, trace.channel)]
    if not asked:
        return trace
    told = _told(trace, inputs, asked, steps)
    apart = {
        step.index
        for together in _not_of_each_other(asked)
        for step in _apart(trace, inputs, together, told)
    }
    about = [f"{x.name} ({x.label}) {_TOLD}" for x in asked if x.index in apart]
    return trace._replace(
        steps=[x._replace(apart=x.index in apart) for x in trace.steps],
        about=(*trace.about, *dict.fromkeys(about)),
    )


def _not_of_each_other(asked):
    """Operations in groups, none of which reads what another of its group makes."""
    groups: list[list[Step]] = []
    for step in asked:
        read = {*step.sources}
        free = (x for x in groups if not read & {other.index for other in x})
        group = next(free, None)
        if group is None:
            groups.append([step])
        else:
            group.append(step)
    return groups


def _apart(trace, inputs, asked, told):
    """Those of some operations that take features from elsewhere."""
    dims = max(len(x.shape) for x in asked) - 2
    flat = _made(trace, inputs, asked, told, None)
    sloped = [_made(trace, inputs, asked, told, axis) for axis in range(2, 2 + dims)]
    for step in asked:
        sizes = _second(step.shape_in, trace.channel)
        made = [x[step.index] for x in sloped[: len(step.shape) - 2]]
        ones = flat[step.index]
        if _is_taken(ones) and not all(
            _follows(x, ones, sizes[axis], axis) for axis, x in enumerate(made, start=2)
        ):
            yield step


def _may_be(step, steps, channel):
    """Whether an operation is told where, or is taken for one that enlarges."""
    if not step.sources:  # what others write into
        return False
    scale = scale_of_unknown(step, steps, channel)
    told = len({*step.sources}) > 1 and {*scale} != {1}
    return bool(scale) and (told or is_enlarging(scale))


def _second(shape, channel):
    """A shape, with its channels second."""
    return shape if channel == 1 else (shape[0], shape[-1], *shape[1:-1])


def _told(trace, inputs, asked, steps):
    """What operations read beside features, by step."""
    found = {}
    read = {n for x in asked for n in x.sources[1:] if n >= 0}
    read -= {x.sources[0] for x in asked}
    # Of one axis there is no second one, where others have their channels.
    watch = {
        n: functools.partial(found.__setitem__, n)
        for n in read
        if len(steps[n].shape) > 1
    }
    if watch:
        trace.run([inputs], watch=watch)
    return found


def _made(trace, inputs, asked, told, axis):
    """What operations make of ones, or of pixels' numbers along an axis, by step."""
    found = {}
    read = {n for step in asked for n in step.sources[1:]}
    changes = {n: Change(value=told[n]) for n in read & {*told}}
    shapes = set()
    for step in asked:
        shape = _second(step.shape_in, trace.channel)
        changes[step.sources[0]] = Change(value=_numbers(shape, axis))
        shapes |= {shape, step.shape_in} if step.sources[0] == -1 else set()
    changes.pop(-1, None)
    given = [
        _numbers(x.shape, axis).astype(x.dtype) if x.shape in shapes else x
        for x in inputs
    ]
    watch = {x.index: functools.partial(found.__setitem__, x.index) for x in asked}
    trace.run([given], changes, watch)
    return found


def _numbers(shape, axis):
    if axis is None or axis >= len(shape):
        return np.ones(shape, np.float32)
    line = np.arange(shape[axis], dtype=np.float32)
    line = line.reshape(-1, *[1] * (len(shape) - axis - 1))
    return line * np.ones(shape, np.float32)


def _is_taken(ones):
    """Whether what is made of ones are ones, or nothing where it is beyond borders."""
    return bool(((ones > -_ROUNDING) & (ones < 1 + _ROUNDING)).all())


def _follows(made, ones, count, axis):
    """Whether a slope of so many pixels is one along an axis of a result, too.

    Where nothing is taken, beyond borders or between pixels, it is not looked at.
    """
    size = made.shape[axis]
    line = (np.arange(size) + 0.5) * count / size
    line = np.moveaxis(
        np.broadcast_to(line, np.moveaxis(made, axis, -1).shape), -1, axis
    )
    inside = ones > _INSIDE
    if size == 1 or count == 1 or not inside.any():
        return True
    differs = (made - line)[inside].var(dtype=np.float64)
    return bool(differs <= _LEFT * line[inside].var(dtype=np.float64))
