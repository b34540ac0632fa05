"""Watches a JAX function while it runs, with or without Flax."""

import contextlib
import re
from collections.abc import Callable, Sequence
from itertools import groupby, takewhile

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from caejax.diagnose import failures, reach, roles
from caejax.diagnose.jax_bodies import BODIES, Bodies
from caejax.diagnose.trace import (
    NOTHING,
    Change,
    Step,
    Trace,
    averaging,
    block_means,
    of_images,
    pointwise,
    turn_blocks,
)
from caejax.errors import CaejaxError, causes_of
from caejax.ops import paths

_LAYOUTS = {"reshape", "transpose", "broadcast_in_dim", "squeeze", "expand_dims"}
_POINTWISE = ("add", "add_any", "sub", "mul", "div")
_TAKING = ("slice", "dynamic_slice", "gather", "rev")


def trace_function(
    function: Callable[..., jax.Array], inputs: Sequence[np.ndarray]
) -> Trace:
    """Traces a function and notes what it does.

    Args:
      function: takes arrays (B, n1, ..., nd, C), and returns one, or several of which
        the first that may hold images is looked at.
      inputs: what it is called with.

    Returns:
      The trace; arrays that go into its `run` and come out of it have their channels
      second.

    Raises:
      CaejaxError: the function cannot be run with these inputs, or returns nothing.
    """
    with failures.told("the function", inputs, _mend), _as_layers():
        closed = jax.make_jaxpr(function)(*inputs)
    if not closed.out_avals:
        raise CaejaxError(
            "the function returns no array; diagnose one that returns what it makes"
        )
    dims = max(0, np.ndim(inputs[0]) - 2)

    def run(inputs, changes=NOTHING, watch=NOTHING):
        found = []
        for arrays in inputs:
            if -1 in watch:
                watch[-1](arrays[0])
            given = [np.moveaxis(x, 1, -1) if x.ndim > 2 else x for x in arrays]
            bodies.restart()
            made = _Run(changes, watch, dims, bodies).call(
                closed, [(x, -1) for x in given]
            )
            image = np.asarray(made[shown][0], np.float32)
            found.append(np.moveaxis(image, -1, 1) if image.ndim > 2 else image)
        return found

    bodies = Bodies()
    first = _Run(NOTHING, NOTHING, dims, bodies)
    results = first.call(closed, [(x, -1) for x in inputs])
    shown = of_images([np.ndim(x) for x, _ in results], np.ndim(inputs[0]))
    results = [results[shown], *results[:shown], *results[shown + 1 :]]
    indices = tuple(-1 if index is None else index for _, index in results)
    steps = _without_root(first.steps)
    told = " and ".join(bodies.told)
    trace = Trace(steps, indices, run, first.statistics, channel=-1, bodies=told)
    _check_channels(trace, np.shape(inputs[0]))
    return trace


def _check_channels(trace, shape):
    """Refuses functions of images whose channels come second.

    Raises:
      CaejaxError: what is given, or what is returned, is such.
    """
    layer, axis = reach.first_layer(trace, shape)
    takes = layer is not None and layer.kind != "linear" and axis == 1 < len(shape) - 1
    steps = {step.index: step for step in trace.steps}
    result = steps.get(trace.results[0])
    made = () if result is None else roles.roles_of(result, steps, -1)
    second = made[1:2] == (roles.CHANNEL,) and roles.CHANNEL not in made[2:]
    returns = second and (roles.PLACE in made[2:] or len(made) > 3)
    if takes or returns:
        what = " and ".join(["takes"] * takes + ["returns"] * returns)
        call = f"function({'jnp.moveaxis(x, -1, 1)' if takes else 'x'})"
        call = f"jnp.moveaxis({call}, 1, -1)" if returns else call
        raise CaejaxError(
            f"the function {what} images with their channels second, and they have to "
            f"come last: diagnose(lambda x: {call}, x), with x of (B, H, W, C)"
        )


@contextlib.contextmanager
def _as_layers():
    """Traces layers of caejax as such, not as the products that a CPU makes of them.

    JAX keeps what it has traced by the name of the precision, too. So the user's own
    jitted functions go on as they were.
    """
    with paths.use("stock"), jax.default_matmul_precision("float32"):
        yield


def _mend(error):
    if any(isinstance(x, jax.errors.JAXTypeError) for x in causes_of(error)):
        return (
            "it takes its input out of JAX, as NumPy's functions and branches by "
            "values do: write it with jax.numpy"
        )
    if failures.is_of_shapes(error):
        return "give what it takes: of images (B, H, W, C), with channels last"
    return ""


def _without_root(steps):
    """Steps whose names leave out the modules that all of them are in, and methods."""
    parts = [_modules(step.name) for step in steps]
    alike = takewhile(lambda x: len(set(x)) == 1, zip(*parts, strict=False))
    root = len(list(alike))
    return [
        step._replace(name="/".join(part[root:]) or part[-1])
        for step, part in zip(steps, parts, strict=True)
    ]


def _modules(name):
    """The modules of a name, each once where its methods call each other.

    Flax writes "decoder.decode" where another method than `__call__` runs.
    """
    parts = [re.sub(r"\.[A-Za-z_]\w*$", "", part) for part in name.split("/")]
    return [part for part, _ in groupby(parts)]


class _Run:
    """One run through a function's operations, those of functions inside of it, too."""

    def __init__(self, changes, watch, dims, bodies):
        """dims: how many spatial axes there are, behind the first."""
        self._bodies = bodies
        self._space = {*range(1, dims + 1)}
        self.steps: list[Step] = []
        self.statistics: dict[int, Change] = {}
        self._changes, self._watch = changes, watch
        self._names: list[str] = []

    def call(self, closed, given):
        """Values and the steps that made them, of the function's results."""
        known = dict(zip(closed.jaxpr.invars, given, strict=True))
        known |= {
            var: (value, None)
            for var, value in zip(closed.jaxpr.constvars, closed.consts, strict=True)
        }

        def read(var):
            return (var.val, None) if isinstance(var, core.Literal) else known[var]

        for eqn in closed.jaxpr.eqns:
            made = self._equation(eqn, [read(x) for x in eqn.invars])
            known |= dict(zip(eqn.outvars, made, strict=True))
        return [read(x) for x in closed.jaxpr.outvars]

    def _equation(self, eqn, given):
        inner = _inner(eqn)
        if _resizes(eqn, given) or eqn.primitive.name == "conv_general_dilated":
            inner = self._bodies.once(eqn, _with_channels_last)
        elif eqn.primitive.name == "dot_general":
            inner = self._dense(eqn, [index for _, index in given])
        if inner is not None:
            self._names.append(str(eqn.source_info.name_stack))
            made = self.call(inner, given[len(given) - len(inner.jaxpr.invars) :])
            self._names.pop()
            return made
        sources = tuple(index for _, index in given if index is not None)
        values = [value for value, _ in given]
        if not sources:
            return [(x, None) for x in _bind(eqn, values)]
        if eqn.primitive.name in BODIES:
            self._names.append(str(eqn.source_info.name_stack))
            made = self._bodies.run(eqn, given, self.call)
            self._names.pop()
            if made is not None:
                return made
        index = len(self.steps)
        change = self._changes.get(index, Change())
        step = _known(self._step(index, eqn, given, sources), eqn, given)
        if change.weight is not None:
            values[1] = _as_jax(
                change.weight,
                eqn.params["dimension_numbers"],
                eqn.params["feature_group_count"],
            )
        if change.edge:
            eqn, values[0] = _continued(eqn, values[0])
        made = _bind(eqn, values)
        if self._is_over_space(eqn, step):
            if change.statistics is not None:
                made = change.statistics
            self.statistics[index] = Change(statistics=made)
        parted = eqn.primitive.name == "split"
        if parted:  # what they are parts of is what was given
            step = step._replace(move=lambda x: x)
        made[0] = self._noted(step, made[0])
        if not parted:
            return [(x, index) for x in made]
        # Each part is a step of its own: it may be changed alone.
        parts = []
        for n, part in enumerate(made):
            step = step._replace(
                index=len(self.steps), sources=(index,), move=_splitter(eqn, n)
            )
            parts.append((self._noted(step, part), step.index))
        return parts

    def _dense(self, eqn, sources):
        """Of a product of features with a matrix what it is as a dense layer, or None;
        see `_as_dense`.
        """
        known = [n for n, index in enumerate(sources) if index is not None]
        return self._bodies.once(eqn, _as_dense)[known[0]] if len(known) == 1 else None

    def _roles(self, index, shape):
        """What the axes are of a value of this shape, which a step has made."""
        if index == -1:
            return roles.of_input(shape, -1)
        found = roles.roles_of(self.steps[index], dict(enumerate(self.steps)), -1)
        return found if len(found) == len(shape) else (roles.UNKNOWN,) * len(shape)

    def _noted(self, step, made):
        """Notes a step, and what it made, changed if it is to be."""
        change = self._changes.get(step.index, Change())
        if change.mean is not None:
            groups, axis = change.mean
            mixed = np.moveaxis(np.asarray(made), axis, -1) @ averaging(groups)
            made = np.moveaxis(mixed, -1, axis).astype(made.dtype)
        if change.blocks is not None:
            made = block_means(np.asarray(made), *change.blocks).astype(made.dtype)
        if change.turned is not None:
            parted, order = turn_blocks(np.shape(made), *change.turned)
            made = np.reshape(made, parted).transpose(order).reshape(np.shape(made))
        if change.value is not None:
            made = np.moveaxis(change.value, 1, -1).astype(made.dtype)
        self.steps.append(step._replace(shape=tuple(np.shape(made))))
        if step.index in self._watch:
            self._watch[step.index](np.moveaxis(np.asarray(made), -1, 1))
        return made

    def _is_over_space(self, eqn, step):
        """Whether it is a sum over all of space, for a mean or a variance."""
        if eqn.primitive.name != "reduce_sum" or not self._space:
            return False
        axes = {*eqn.params["axes"]}
        if self._space <= axes:
            return True
        known = self._roles(step.sources[0], step.shape_in)
        space = {n for n, role in enumerate(known) if n and role == roles.PLACE}
        return len(space) == len(self._space) and space <= axes

    def _step(self, index, eqn, given, sources):
        first = next(value for value, step in given if step is not None)
        names = [*self._names, str(eqn.source_info.name_stack)]
        label = eqn.primitive.name
        name = "/".join(x for x in names if x) or label
        return Step(index, name, "other", label, sources, tuple(np.shape(first)), ())


def _inner(eqn):
    """The function inside an operation that only calls it."""
    if eqn.primitive.name in ("jit", "pjit", "closed_call", "remat", "checkpoint"):
        found = eqn.params["jaxpr"]
    elif eqn.primitive.name in ("custom_jvp_call", "custom_vjp_call"):
        found = eqn.params.get("call_jaxpr", eqn.params.get("fun_jaxpr"))
    else:
        return None
    return found if hasattr(found, "consts") else core.ClosedJaxpr(found, ())


def _resizes(eqn, given):
    """Whether it is `jax.image.resize`, which is looked at as one operation."""
    sources = [index for _, index in given if index is not None]
    return eqn.params.get("name") == "_resize" and len(sources) == len(given) == 1


def _resize(step, eqn, shape):
    """A resize, and its method by how far a pixel reaches in enlarged ones."""
    point = np.zeros(shape, np.float32)
    point[tuple(n // 2 for n in shape)] = 1
    (made,) = _bind(eqn, [point])
    sizes = zip(shape, np.shape(made), strict=True)
    axis, scale = max(enumerate(m / n for n, m in sizes), key=lambda pair: pair[1])
    others = tuple(i for i in range(len(shape)) if i != axis)
    reach = np.ceil(np.count_nonzero(np.abs(made).max(others)) / scale)
    mode = _METHODS.get(int(reach), "of another method")
    return step._replace(kind="resize", label="jax.image.resize", mode=mode)


_METHODS = {1: "nearest", 2: "linear", 4: "cubic", 6: "lanczos3", 10: "lanczos5"}


def _with_channels_last(eqn):
    """A resize, or convolution, of another layout as one that is moved before it and
    behind; None where images have their channels last already.
    """
    abstract = [jax.ShapeDtypeStruct(x.aval.shape, x.aval.dtype) for x in eqn.invars]
    shapes = abstract[0].shape, eqn.outvars[0].aval.shape
    dims = len(shapes[0])
    own = (0, dims - 1, *range(1, dims - 1))
    given = made = (0, 1, *range(2, dims))  # of the batch, of channels, of space
    if eqn.primitive.name == "conv_general_dilated":
        numbers = eqn.params["dimension_numbers"]
        given, made = numbers.lhs_spec, numbers.out_spec
        last = type(numbers)(own, numbers.rhs_spec, own)
        params = {**eqn.params, "dimension_numbers": last}

        def within(*values):
            return eqn.primitive.bind(*values, **params)

    else:
        larger = [a != b for a, b in zip(*shapes, strict=True)]
        if dims < 3 or larger[1] or not larger[-1]:
            return None

        @jax.jit
        def _resize(image):  # is known by its name
            return _to(_bind(eqn, [_to(image, own, given)])[0], made, own)

        within = _resize
    if given == made == own:
        return None
    return jax.make_jaxpr(
        lambda image, *rest: _to(within(_to(image, given, own), *rest), own, made)
    )(*abstract)


def _as_dense(eqn):
    """A product with a matrix as a dense layer between moves, if the first of its
    operands are features, and if the second are; None where there is no such, or it is
    a dense layer already.
    """
    return _dense_of(eqn, 0), _dense_of(eqn, 1)


def _dense_of(eqn, features):
    shapes = [x.aval.shape for x in eqn.invars]
    axes, batch = eqn.params["dimension_numbers"]
    if any(batch) or len(axes[0]) != 1 or min(map(len, shapes)) < 2:
        return None
    (own,), (other,) = axes[features], axes[1 - features]
    kept, matrix = len(shapes[features]) - 1, shapes[1 - features]
    if (features, own, other, len(matrix)) == (0, kept, 0, 2):
        return None
    numbers = (((kept,), (0,)), ((), ()))

    def within(*values):
        image = jnp.moveaxis(values[features], own, -1)
        weight = jnp.moveaxis(values[1 - features], other, 0)
        flat = weight.reshape(len(weight), -1)
        params = {**eqn.params, "dimension_numbers": numbers}
        made = eqn.primitive.bind(image, flat, **params)
        made = made.reshape(*image.shape[:-1], *weight.shape[1:])
        if features == 0:
            return made
        return jnp.moveaxis(made, range(kept), range(-kept, 0))

    abstract = [jax.ShapeDtypeStruct(x.aval.shape, x.aval.dtype) for x in eqn.invars]
    return jax.make_jaxpr(within)(*abstract)


def _to(image, given, made):
    """An image whose axes lie as in the one order, as in the other."""
    return image.transpose(np.take(given, np.argsort(made)).tolist())


def _bind(eqn, values):
    made = eqn.primitive.bind(*values, **eqn.params)
    return list(made) if eqn.primitive.multiple_results else [made]


def _known(step, eqn, given):
    name = eqn.primitive.name
    alone = len(step.sources) == 1
    if _resizes(eqn, given):
        return _resize(step, eqn, step.shape_in)
    if name == "conv_general_dilated" and given[1][1] is None:
        return _convolution(step, eqn.params, np.asarray(given[1][0]))
    if name in _LAYOUTS and alone:
        return step._replace(kind="layout", move=_mover(eqn))
    if name == "dot_general" and alone and given[1][1] is None:
        return _linear(step, eqn.params, np.asarray(given[1][0]))
    if name in _TAKING and alone and given[0][1] is not None:
        return step._replace(move=_taker(eqn, [value for value, _ in given[1:]]))
    if name in ("concatenate", "stack"):
        return _joined(step, eqn, given)
    if name in _POINTWISE and alone and len(given) == 2:
        first = given[0][1] is not None
        other = np.asarray(given[1 if first else 0][0])
        sizes = np.broadcast_shapes(*(np.shape(value) for value, _ in given))
        return step._replace(each=pointwise(name, other, sizes, first, None))
    return step


def _joined(step, eqn, given):
    """What puts features beside each other, with where each of them lies."""
    stacked = eqn.primitive.name == "stack"
    axis = eqn.params["axis" if stacked else "dimension"]
    sizes = [1 if stacked else np.shape(value)[axis] for value, _ in given]
    ends = np.cumsum(sizes).tolist()
    spans = zip(given, [0, *ends[:-1]], ends, strict=True)
    own = tuple((start, end) for (_, index), start, end in spans if index is not None)
    return step._replace(joins=(axis, own))


def _splitter(eqn, number):
    """What one of several parts is of what is split."""
    ends, axis = np.cumsum(eqn.params["sizes"])[:-1], eqn.params["axis"]
    return lambda x: np.split(x, ends, axis)[number]


def _taker(eqn, rest):
    def take(array):
        made = eqn.primitive.bind(array.astype(np.int32), *rest, **eqn.params)
        return np.asarray(made).astype(array.dtype)

    return take


def _convolution(step, params, kernel):
    numbers = params["dimension_numbers"]
    # (F, C / groups, k1, ..., kd), as in a correlation.
    weight = kernel.transpose(numbers.rhs_spec)
    enlarged, dilation = params["lhs_dilation"], params["rhs_dilation"]
    groups = params["feature_group_count"]
    padding = tuple(low for low, _ in params["padding"])
    label = f"conv{len(enlarged)}d"
    if max(enlarged) == 1:
        return step._replace(
            kind="convolution",
            label=label,
            weight=weight,
            stride=tuple(params["window_strides"]),
            padding=padding,
            dilation=tuple(dilation),
            groups=groups,
        )
    # As a transposed convolution the taps run the other way.
    taps = weight.shape[2:]
    padding = tuple(
        d * (k - 1) - low for d, k, low in zip(dilation, taps, padding, strict=True)
    )
    return step._replace(
        kind="transposed",
        label=f"transposed {label}",
        weight=_swapped(weight, groups),
        stride=tuple(enlarged),
        padding=padding,
        dilation=tuple(dilation),
        groups=groups,
    )


def _continued(eqn, image):
    """A convolution that pads nothing, and its input padded by what is at its borders.

    Of an operation that pads likewise, which then has nothing left to do.
    """
    around, params = [(0, 0)] * image.ndim, dict(eqn.params)
    if eqn.primitive.name == "pad":
        sizes = params["padding_config"]
        if any(inner for *_, inner in sizes):
            return eqn, image  # zeros between the pixels
        around = [(max(low, 0), max(high, 0)) for low, high, _ in sizes]
        params["padding_config"] = tuple(
            (min(low, 0), min(high, 0), 0) for low, high, _ in sizes
        )
    else:
        axes, sizes = params["dimension_numbers"].lhs_spec[2:], params["padding"]
        # Of a transposed one pixels lie apart: what is too much is cut off.
        left = []
        for axis, pair, step in zip(axes, sizes, params["lhs_dilation"], strict=True):
            low, high = around[axis] = tuple(max(-(-n // step), 0) for n in pair)
            left.append((pair[0] - step * low, pair[1] - step * high))
        params["padding"] = tuple(left)
    return eqn.replace(params=params), np.pad(image, around, mode="edge")


def _swapped(weight, groups):
    """(F, C / g, ...) to (C, F / g, ...) with the taps the other way, and back."""
    count, inside, *taps = weight.shape
    grouped = weight.reshape(groups, count // groups, inside, *taps).swapaxes(1, 2)
    axes = tuple(range(2, weight.ndim))
    return np.flip(grouped.reshape(groups * inside, count // groups, *taps), axes)


def _as_jax(weight, numbers, groups):
    back = np.argsort(numbers.rhs_spec)
    return _swapped(weight, groups).transpose(back)


def _mover(eqn):
    def move(array):
        moved = _bind_layout(eqn.primitive.name, eqn.params, array)
        return np.ascontiguousarray(moved)

    return move


def _bind_layout(name, params, array):
    if name == "reshape":
        return array.reshape(params["new_sizes"])
    if name == "transpose":
        return array.transpose(params["permutation"])
    if name == "squeeze":
        return array.squeeze(params["dimensions"])
    if name == "expand_dims":
        return np.expand_dims(array, params["dimensions"])
    shape = [1] * len(params["shape"])
    for size, axis in zip(array.shape, params["broadcast_dimensions"], strict=True):
        shape[axis] = size
    return np.broadcast_to(array.reshape(shape), params["shape"])


def _linear(step, params, weight):
    (here, there), (batch, _) = params["dimension_numbers"]
    last = tuple(here) == (len(step.shape_in) - 1,)
    if batch or not last or tuple(there) != (0,) or weight.ndim != 2:
        return step
    return step._replace(kind="linear", label="Dense", weight=weight.T)
