"""ONNX files that are made by hand."""

import pytest


def onnx_file(
    path, nodes, weights, channels=3, sides=2, shape=None, version=17, kind=1
):
    """Writes a model from x to y; skips the test where onnx is not installed.

    Args:
      path: of the file, which is returned.
      nodes: each its operator, inputs, results and attributes.
      weights: arrays by name.
      channels: of x, whose other axes are open.
      sides: its number of spatial axes.
      shape: of x, in place of these.
      version: of the operators.
      kind: of the numbers of x, as ONNX counts them.
    """
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper = onnx.helper
    given = helper.make_tensor_value_info(
        "x", kind, shape or ["b", channels, *"hwd"[:sides]]
    )
    made = helper.make_tensor_value_info("y", 1, None)
    graph = helper.make_graph(
        [helper.make_node(*node[:3], **node[3]) for node in nodes],
        "graph",
        [given],
        [made],
        [onnx.numpy_helper.from_array(x, name) for name, x in weights.items()],
    )
    ids = [helper.make_opsetid("", version)]
    onnx.save(helper.make_model(graph, opset_imports=ids, ir_version=8), path)
    return path
