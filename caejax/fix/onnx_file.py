"""Mends ONNX models."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from caejax.diagnose.onnx_file import trace_model
from caejax.files.atomic import replacing
from caejax.fix.mend import Mend
from caejax.fix.mends import find_mends

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
    trace = trace_model(model, inputs)
    mends, left = find_mends(trace, lambda name: name, apart=True)
    names = {index: name for name, index in trace.tensors.items()}
    mended = onnx.ModelProto()
    mended.CopyFrom(model)
    for number, mend in enumerate(mends):
        made = {names[step] for step in mend.steps}
        nodes = [x for x in mended.graph.node if made & {*x.output}]
        _put(mended, nodes, mend, number)
    return mended, mends, left


def _put(model, nodes, mend, number):
    """Replaces weights: in place, or where others use them beside them."""
    weights = {x.name: x for x in model.graph.initializer}
    kept = weights.get(mend.holds)
    value = _laid_out(mend, nodes[0], kept)
    if kept is not None and _users(model, mend.holds) == len(nodes):
        kept.CopyFrom(numpy_helper.from_array(value, kept.name))
        return
    name = f"{mend.holds}.fixed.{number}"
    model.graph.initializer.append(numpy_helper.from_array(value, name))
    for node in nodes:
        node.input[list(node.input).index(mend.holds)] = name


def _users(model, name):
    return sum(name in node.input for node in model.graph.node)


def _laid_out(mend, node, kept):
    """The new values as the file has them: linear layers may be transposed."""
    value = mend.new
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
