"""ONNX operations that only move or repeat elements, for arrays of any type."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from onnx import NodeProto, helper

Move = Callable[[np.ndarray], np.ndarray]


def attributes(node: NodeProto) -> dict[str, Any]:
    """An operation's attributes by name, text as `str`."""
    found = {x.name: helper.get_attribute_value(x) for x in node.attribute}
    return {k: v.decode() if isinstance(v, bytes) else v for k, v in found.items()}


def mover(node: NodeProto, values: Mapping[str, Any]) -> Move | None:
    """What an operation does to elements, or None where it does more than move them.

    Args:
      node: the operation.
      values: by name, of all that is known beside its first input.
    """
    about = attributes(node)
    rest = _beside(node, values)
    given = rest[0] if rest else None
    name = node.op_type
    if name in ("Identity", "Dropout"):
        return lambda x: x
    if name == "Transpose":
        return lambda x: x.transpose(about.get("perm"))
    if name == "Einsum":
        return _permuting(about["equation"])
    if name == "DepthToSpace":
        return lambda x: depth_to_space(x, about["blocksize"], about.get("mode", "DCR"))
    if name == "Flatten":
        axis = about.get("axis", 1)
        return lambda x: x.reshape(int(np.prod(x.shape[:axis])), -1)
    if name in ("Squeeze", "Unsqueeze"):
        axes = about.get("axes", given)
        return _squeeze(axes) if name == "Squeeze" else _unsqueeze(axes)
    shape = about.get("shape") if name == "Reshape" else None
    shape = given if shape is None else shape
    if name == "Col2Im" and given is not None and rest[1] is not None:
        return _tiling(about, given.tolist(), rest[1].tolist())
    if shape is None:
        return None
    if name == "Reshape":
        return lambda x: x.reshape(_sizes(x, shape, about.get("allowzero", 0)))
    if name == "Expand":
        return lambda x: np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(shape)))
    if name == "Tile":
        return lambda x: np.tile(x, tuple(shape))
    return None


def _tiling(about, image, block):
    """Of patches that are put beside each other, each pixel of one; else None."""
    dims = len(block)
    beside = about.get("strides", [1] * dims) == block
    if not beside or any(about.get("pads", ())) or max(about.get("dilations", [1])) > 1:
        return None
    grid = [n // s for n, s in zip(image, block, strict=True)]
    order = [axis for n in range(dims) for axis in (2 + dims + n, 2 + n)]

    def put(x):
        x = x.reshape(len(x), -1, *block, *grid).transpose(0, 1, *order)
        return x.reshape(*x.shape[:2], *image)

    return put


def _permuting(equation):
    """Of an equation that names the axes of one array in another order; else None."""
    given, arrow, made = equation.replace(" ", "").partition("->")
    if not arrow or sorted(given) != sorted(made) or len({*given}) < len(given):
        return None
    return lambda x: x.transpose([given.index(axis) for axis in made])


def _beside(node, values):
    """What an operation is given beside its first input; None for what is not known."""
    return [np.asarray(values[x]) if x in values else None for x in node.input[1:]]


def taker(node: NodeProto, values: Mapping[str, Any]) -> Move | None:
    """What an operation takes of its first input, or None where it takes no part.

    Args:
      node: the operation.
      values: by name, of all that is known beside its first input.
    """
    about = attributes(node)
    rest = _beside(node, values)
    if node.op_type == "Gather" and rest and rest[0] is not None:
        return lambda x: x.take(rest[0].astype(int), about.get("axis", 0))
    if node.op_type != "Slice":
        return None
    given = [about.get("starts"), about.get("ends"), about.get("axes"), None]
    given = [*rest, *given[len(rest) :]] if rest else given
    starts, ends, axes, steps = given
    if starts is None or ends is None:
        return None
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps

    def take(x):
        for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
            end = None if step < 0 and end < -x.shape[int(axis)] else int(end)
            cut = [slice(None)] * x.ndim
            cut[int(axis)] = slice(int(start), end, int(step))
            x = x[tuple(cut)]
        return x

    return take


def part(node: NodeProto, number: int, sizes: list[int]) -> Move:
    """What one of the parts is of which `Split` makes several.

    Args:
      node: the operation.
      number: of the part.
      sizes: of all parts along the axis.
    """
    axis = attributes(node).get("axis", 0)
    return lambda x: np.split(x, np.cumsum(sizes)[:-1], axis)[number]


def _sizes(x, shape, allowzero):
    """The new shape, in which 0 stands for what is there."""
    if allowzero:
        return tuple(shape)
    return tuple(x.shape[n] if size == 0 else size for n, size in enumerate(shape))


def _squeeze(axes):
    return lambda x: x.squeeze(None if axes is None else tuple(map(int, axes)))


def _unsqueeze(axes):
    return lambda x: np.expand_dims(x, tuple(map(int, axes)))


def depth_to_space(x: np.ndarray, block: int, mode: str) -> np.ndarray:
    """ONNX's DepthToSpace of (B, C, H, W); "DCR" has the phase outermost."""
    count, channels, height, width = x.shape
    left = channels // block**2
    if mode == "DCR":
        x = x.reshape(count, block, block, left, height, width)
        x = x.transpose(0, 3, 4, 1, 5, 2)
    else:
        x = x.reshape(count, left, block, block, height, width)
        x = x.transpose(0, 1, 4, 2, 5, 3)
    return x.reshape(count, left, height * block, width * block)
