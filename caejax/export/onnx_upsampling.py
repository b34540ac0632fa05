"""Upsampling layers in ONNX, as `caejax.models.torch_kernels` says them in PyTorch."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from caejax.export.onnx_graph import Graph
from caejax.models.kinds import REASSEMBLED, Kind, find_kind, offset_groups
from caejax.models.torch_kernels import to_torch

_LINEAR = {"coordinate_transformation_mode": "half_pixel"}
# Keys' cubic, its weights made to sum to one where pixels are missing.
_CUBIC = {**_LINEAR, "cubic_coeff_a": -0.5, "exclude_outside": 1}
_NEAREST = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
_FIR = np.array([1, 3, 3, 1]) / 4


def upsample(
    graph: Graph,
    x: str,
    layer: Mapping[str, Any],
    name: str,
    channels: int,
    *,
    valid: bool = False,
) -> str:
    """Adds a layer that doubles height and width.

    Args:
      graph: the graph.
      x: the map (N, C, H, W).
      layer: the layer's parameters.
      name: the layer's kind, a name of `caejax.models.kinds.UPSAMPLING`.
      channels: the map's number of channels.
      valid: as in `caejax.models.upsampling.Upsample`.
    """
    kind = find_kind(name)
    weight = to_torch(np.asarray(layer["kernel"]), name)
    bias = np.asarray(layer["bias"])
    if kind.transposed:
        return _transposed(graph, x, weight, bias, kind, valid)
    if kind.phases > 1:
        return _shuffled(graph, x, weight, bias, kind)
    if kind.run == "carafe":
        x = _carafe(graph, x, layer)
    elif kind.run == "dysample":
        x = _dysample(graph, x, layer)
    else:
        x = _resized(graph, _summed(graph, x, channels, kind), kind)
    return graph.conv(x, layer, valid=valid)


def _transposed(graph, x, weight, bias, kind, valid):
    k, blurred = kind.kernel_size, kind.run == "blur"
    before = 0 if valid or blurred else (k - 2) // 2
    after = 0 if valid or blurred else k - 2 - before
    parts = [graph.constant(weight)] + ([] if blurred else [graph.constant(bias)])
    pads = [before, before, after, after]
    y = graph("ConvTranspose", x, *parts, strides=[2, 2], pads=pads)
    if not blurred:
        return y
    y = graph.padded(y, (1, 1, 1, 1))
    return graph.depthwise(y, np.outer(_FIR, _FIR), len(bias), bias=bias)


def _shuffled(graph, x, weight, bias, kind):
    # One bias for all phases of a feature, which an average leaves as it is.
    layer = {"kernel": weight.transpose(2, 3, 1, 0), "bias": np.repeat(bias, 4)}
    y = graph("DepthToSpace", graph.conv(x, layer), blocksize=2, mode="CRD")
    if kind.run != "average":
        return y
    y = graph.padded(y, (1, 1, 0, 0), mode="edge")
    return graph("AveragePool", y, kernel_shape=[2, 2], strides=[1, 1])


def _summed(graph, x, channels, kind):
    """Sums of consecutive channels, as a convolution with ones."""
    if kind.group == 1:
        return x
    sums = -(-channels // kind.group)
    ones = np.repeat(np.eye(sums), kind.group, axis=0)[:channels]
    return graph.conv(x, {"kernel": ones[None, None]})


def _resized(graph, x, kind: Kind):
    if kind.run == "linear":
        return graph.resized(x, "linear", **_LINEAR)
    if kind.run == "cubic":
        return graph.resized(x, "cubic", **_CUBIC)
    return graph.resized(x, "nearest", **_NEAREST)


def _carafe(graph, x, layer):
    logits = graph.conv(x, layer["channel_compressor"])
    logits = graph.conv(logits, layer["content_encoder"])
    # In the published order the phase is innermost, as a shuffle takes it.
    logits = graph("DepthToSpace", logits, blocksize=2, mode="CRD")
    weights = graph("Softmax", logits, axis=1)
    side = round(REASSEMBLED**0.5)
    around = graph.padded(x, (side // 2,) * 4)
    parts = []
    for t in range(REASSEMBLED):
        weight = graph("Slice", weights, *graph.integers([t], [t + 1], [1]))
        part = graph.shifted(around, t // side, t % side, side - 1)
        part = graph.resized(part, "nearest", **_NEAREST)
        parts.append(graph("Mul", part, weight))
    return graph("Sum", *parts)


def _dysample(graph, x, layer):
    """Samples of `GridSample`, each group of channels as a batch of its own."""
    channels = np.asarray(layer["kernel"]).shape[2]
    groups = offset_groups(channels)
    offsets = graph.conv(x, layer["offset"])
    offsets = graph("DepthToSpace", offsets, blocksize=2, mode="CRD")
    grid = [
        _places(graph, x, offsets, groups, number, axis)
        for number, axis in enumerate((3, 2))  # columns come first
    ]
    grid = graph("Transpose", graph("Concat", *grid, axis=1), perm=[0, 2, 3, 1])
    apart = graph.integers([-1, channels // groups, 0, 0])[0]
    x = graph("Reshape", x, apart)
    y = graph("GridSample", x, grid, mode="linear", padding_mode="border")
    return graph("Reshape", y, graph.integers([-1, channels, 0, 0])[0])


def _places(graph, x, offsets, groups, number, axis):
    """Where the samples lie along an axis, -1 to 1: (N groups, 1, 2 H, 2 W)."""
    # An offset of one is a quarter of a pixel, and pixel i of the output lies at
    # (i + 1/2) / 2 - 1/2; the whole axis is size pixels long.
    own = [number * groups], [(number + 1) * groups], [1]
    moved = graph("Slice", offsets, *graph.integers(*own))
    moved = graph("Reshape", moved, graph.integers([-1, 1, 0, 0])[0])
    size = graph("Shape", x, start=axis, end=axis + 1)
    scalar = graph("Squeeze", size, graph.integers([0])[0])
    zero, one, two = (graph.constant(np.array(i, np.int64)) for i in (0, 1, 2))
    pixels = graph("Range", zero, graph("Mul", scalar, two), one)
    pixels = graph("Cast", pixels, to=1)
    along = [1, 1, -1, 1] if axis == 2 else [1, 1, 1, -1]
    pixels = graph("Reshape", pixels, graph.integers(along)[0])
    half = graph.constant(0.5)
    places = graph("Add", graph("Add", pixels, half), graph("Mul", moved, half))
    return graph(
        "Sub", graph("Div", places, graph("Cast", size, to=1)), graph.constant(1.0)
    )
