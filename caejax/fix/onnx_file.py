"""Mends ONNX models."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from caejax.diagnose import onnx_bodies
from caejax.diagnose.onnx_file import factor, trace_laid_out
from caejax.errors import CaejaxError
from caejax.files.atomic import replacing
from caejax.fix.mend import Mend
from caejax.fix.mends import find_mends, is_clean

_WHOLE = 2**31 - 1  # bytes that one file of ONNX may have


def fix_model(
    model: onnx.ModelProto, inputs: Sequence[np.ndarray]
) -> tuple[onnx.ModelProto, list[Mend], list[str]]:
    """Mends a copy of a model.

    Args:
      model: as `caejax.diagnose.onnx_file.read` gives it.
      inputs: what it can be run with.

    Returns:
      The copy, what was changed in it, and sentences about what could not be.
    """
    mended, mends, left, branches = _mended(model, inputs, ())
    for name in branches:
        with contextlib.suppress(CaejaxError):  # it cannot be run with these inputs
            mended, more, why, _ = _mended(mended, inputs, (name,))
            mends, left = mends + more, left + why
    return mended, mends, list(dict.fromkeys(left))


def _mended(model, inputs, other):
    """Of the branches that inputs take, but for these conditions."""
    trace, laid = trace_laid_out(model, inputs, other)
    mends, left = find_mends(trace, inputs, lambda name: name, apart=True)
    left += [
        f"{place.name}: {place.note}; it stays as it is"
        for place in trace.unseen
        if not is_clean(place)
    ]
    names = {index: name for name, index in trace.tensors.items()}
    mended = onnx.ModelProto()
    mended.CopyFrom(model)
    kept = [mend for mend in mends if mend.holds is not None]
    left += [
        f"{mend.name}: its {mend.what} is not kept as one number a channel; it stays "
        "as it is"
        for mend in mends
        if mend.holds is None
    ]
    for number, mend in enumerate(kept):
        _put(mended, laid, {names[step] for step in mend.steps}, mend, number)
    return mended, kept, left, laid.branches


def _put(model, laid, made, mend, number):
    """Replaces weights: in place, or where others use them beside them.

    Args:
      model: to be changed.
      laid: it, as it was run.
      made: the results of the nodes whose weights these are.
      mend: what is to be changed.
      number: of the change.
    """
    nodes, paths = {}, {}
    for node in laid.model.graph.node:
        if made & {*node.output}:
            path = laid.nodes[next(x for x in node.output if x)]
            slot = list(node.input).index(mend.holds)
            nodes[path, slot] = onnx_bodies.graph_at(model, path[:-1]).node[path[-1]]
            paths[path, slot] = path[:-1]
    owner, own = laid.weights.get(mend.holds, ((), mend.holds))
    graph = onnx_bodies.graph_at(model, owner)
    kept = next((x for x in graph.initializer if x.name == own), None)
    (_, slot), node = next(iter(nodes.items()))
    value = _laid_out(mend, node, slot, kept)
    if kept is not None and _users(graph, own) == len(nodes):
        kept.CopyFrom(numpy_helper.from_array(value, kept.name))
        return
    for (path, slot), node in nodes.items():
        name = f"{node.input[slot]}.fixed.{number}"
        inside = onnx_bodies.graph_at(model, paths[path, slot])
        if all(x.name != name for x in inside.initializer):
            inside.initializer.append(numpy_helper.from_array(value, name))
        node.input[slot] = name


def _users(graph, name):
    return sum(name in node.input for node in onnx_bodies.nodes_in(graph))


def _laid_out(mend, node, slot, kept):
    """The new values as the file has them: linear layers may be transposed."""
    value = mend.new / factor(node, slot)
    if node.op_type in ("Gemm", "MatMul") and value.ndim == 2:
        turned = any(x.name == "transB" and x.i for x in node.attribute)
        value = value if turned else value.T
    if kept is None:  # a node makes them
        value = value if mend.shape is None else value.reshape(mend.shape)
        return np.ascontiguousarray(value, mend.old.dtype)
    old = numpy_helper.to_array(kept)
    return np.ascontiguousarray(value.reshape(old.shape)).astype(old.dtype)


def write(model: onnx.ModelProto, path: Path) -> None:
    """Writes a model; weights beyond what one file may hold go beside it."""
    if model.ByteSize() < _WHOLE:
        with replacing(path) as file:
            file.write(model.SerializeToString())
        return
    onnx.save(
        model,
        str(path),
        save_as_external_data=True,
        location=f"{path.name}.data",
    )
