"""Places inside of conditions and loops that no run shows: what their kernels say."""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import numpy_helper

from caejax.diagnose import onnx_moves, phases
from caejax.diagnose.onnx_bodies import called, graphs_in
from caejax.diagnose.places import HIDDEN, Place


def list_places(
    node: onnx.NodeProto, weights: Mapping[str, np.ndarray], within: str = ""
) -> list[Place]:
    """The places inside of a node's graphs, by their nodes alone.

    Args:
      node: with graphs inside.
      weights: by name, of the graphs around it.
      within: what the nodes around it are called.
    """
    label = f"{within}{called(node)}/"
    found = []
    for _, graph in graphs_in(node):
        known = {x.name: numpy_helper.to_array(x) for x in graph.initializer}
        known = {**weights, **known}
        makers = {x: one for one in graph.node for x in one.output}
        for one in graph.node:
            found += list_places(one, known, label)
            place = _place(one, known, makers, label)
            found += [] if place is None else [place]
    return found


def _place(node, weights, makers, label):
    about = onnx_moves.attributes(node)
    name = f"{label}{called(node)}"
    if node.op_type == "ConvTranspose":
        kernel = weights.get(node.input[1])
        dims = 2 if kernel is None else kernel.ndim - 2
        stride = tuple(about.get("strides", [1] * dims))
        if max(stride) == 1:
            return None
        taps = () if kernel is None else kernel.shape[2:]
        read = kernel is not None and phases.of_transposed(
            kernel, stride, tuple(about.get("dilations", [1] * dims))
        )
        return _listed(name, node.op_type, stride, taps, read or None)
    if node.op_type == "DepthToSpace":
        block = about["blocksize"]
        maker = makers.get(node.input[0])
        kernel = bias = None
        if maker is not None and maker.op_type == "Conv":
            kernel = weights.get(maker.input[1])
            bias = weights.get(maker.input[2]) if len(maker.input) > 2 else None
        if kernel is None:
            return _listed(name, node.op_type, (block, block), (), None)
        numbers = np.arange(len(kernel)).reshape(1, -1, 1, 1)
        mode = about.get("mode", "DCR")
        order = onnx_moves.depth_to_space(numbers, block, mode)[0].transpose(1, 2, 0)
        read = phases.of_shuffle(kernel, order, bias)
        operation = f"Conv + {node.op_type}"
        return _listed(
            f"{label}{called(maker)}", operation, (block, block), kernel.shape[2:], read
        )
    if node.op_type in ("Resize", "Upsample"):
        given = [weights[x] for x in node.input[1:] if x in weights]
        scales = next((x for x in given if x.size > 2 and x.dtype.kind == "f"), None)
        stride = () if scales is None else tuple(float(x) for x in scales[2:])
        operation = f"{node.op_type} ({about.get('mode', b'nearest')})"
        return _listed(name, operation, stride, (), None)
    return None


def _listed(name, operation, stride, kernel, read):
    return Place(name, operation, stride, kernel, read, {}, -1, -1, HIDDEN)
