"""Nodes and constants of an ONNX graph, and the operations that models share."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper

_LAST = 2**31 - 1  # an end of a slice that takes all


class Graph:
    """A graph that grows node by node: a call adds one and returns its output's name.

    All maps are (N, C, H, W), kernels as caejax has them, (k, k, C, F).
    """

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: dict[str, np.ndarray] = {}
        self._inputs: list[Any] = []
        self._output = ""

    def __call__(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node with one output."""
        name = f"{op.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, inputs, [name], name, **attributes))
        return name

    def constant(self, value: Any) -> str:
        """A constant; floats are float32, whole numbers int64."""
        array = np.asarray(value)
        array = array.astype(np.int64 if array.dtype.kind in "iu" else np.float32)
        name = f"constant_{len(self._constants)}"
        self._constants[name] = array
        return name

    def integers(self, *lists: Sequence[int]) -> list[str]:
        """Constants of whole numbers, one a list."""
        return [self.constant(np.array(numbers, np.int64)) for numbers in lists]

    def input(self, name: str, shape: Sequence[int | str]) -> None:
        """Adds an input; sides that are open have names."""
        kind = TensorProto.FLOAT
        self._inputs.append(helper.make_tensor_value_info(name, kind, shape))

    def output(self, name: str, x: str) -> None:
        """Names the graph's one output."""
        self._nodes.append(helper.make_node("Identity", [x], [name], name))
        self._output = name

    def model(
        self, producer: str, opset: int, shape: Sequence[int | str]
    ) -> ModelProto:
        """The whole as a model that has been checked.

        Args:
          producer: the program's name.
          opset: the version of ONNX's operators.
          shape: the output's shape.
        """
        kind = TensorProto.FLOAT
        graph = helper.make_graph(
            self._nodes,
            producer,
            self._inputs,
            [helper.make_tensor_value_info(self._output, kind, shape)],
            [numpy_helper.from_array(x, name) for name, x in self._constants.items()],
        )
        # The version of the format that came with the operators.
        opsets = [helper.make_opsetid("", opset)]
        model = helper.make_model(
            graph,
            producer_name=producer,
            opset_imports=opsets,
            ir_version=helper.find_min_ir_version_for(opsets),
        )
        checker.check_model(model, full_check=True)
        return model

    def activation(self, x: str, name: str) -> str:
        """One of `caejax.models.layers.ACTIVATIONS`."""
        ops = {"relu": "Relu", "sigmoid": "Sigmoid"}
        return x if name == "linear" else self(ops[name], x)

    def conv(
        self,
        x: str,
        layer: Mapping[str, np.ndarray],
        *,
        stride: int = 1,
        valid: bool = False,
    ) -> str:
        """A convolution with SAME padding, as `caejax.models.layers.Conv`."""
        kernel = np.asarray(layer["kernel"])
        weight = self.constant(kernel.transpose(3, 2, 0, 1))
        bias = [self.constant(np.asarray(layer["bias"]))] if "bias" in layer else []
        settings: dict[str, Any] = {"strides": [stride, stride]}
        settings["kernel_shape"] = list(kernel.shape[:2])
        # Zeros at the end where their number is odd.
        settings["auto_pad"] = "VALID" if valid else "SAME_UPPER"
        return self("Conv", x, weight, *bias, **settings)

    def depthwise(
        self,
        x: str,
        kernel: np.ndarray,
        channels: int,
        *,
        stride: int = 1,
        bias: np.ndarray | None = None,
    ) -> str:
        """Filters each channel with the same kernel (k, k), where it fits."""
        weight = np.broadcast_to(kernel, (channels, 1, *kernel.shape))
        extra = [] if bias is None else [self.constant(np.asarray(bias))]
        return self(
            "Conv",
            x,
            self.constant(np.float32(weight)),
            *extra,
            group=channels,
            strides=[stride, stride],
        )

    def padded(self, x: str, pads: Sequence[int], *, mode: str = "constant") -> str:
        """Pads with (above, left, below, right) zeros, or edges."""
        top, left, bottom, right = pads
        widths = self.integers([0, 0, top, left, 0, 0, bottom, right])[0]
        return self("Pad", x, widths, mode=mode)

    def cropped(self, x: str, other: str) -> str:
        """The upper left of a map, as high and wide as another."""
        ends = self("Shape", other, start=2)
        starts, axes = self.integers([0, 0], [2, 3])
        return self("Slice", x, starts, ends, axes)

    def filled_up(self, x: str, multiple: int) -> str:
        """Mirrored at its end, as `caejax.ops.images.filled_up`."""
        zero, one, two = (self.constant(np.array(i, np.int64)) for i in (0, 1, 2))
        whole = self.constant(np.array(multiple, np.int64))
        for axis in (2, 3):
            size = self("Shape", x, start=axis, end=axis + 1)
            size = self("Squeeze", size, self.integers([0])[0])
            # Its remainder has the divisor's sign.
            missing = self("Mod", self("Neg", size), whole)
            places = self("Range", zero, self("Add", size, missing), one)
            last = self("Sub", size, one)
            mirrored = self("Sub", self("Mul", last, two), places)
            places = self("Max", self("Min", places, mirrored), zero)
            x = self("Gather", x, places, axis=axis)
        return x

    def shifted(self, x: str, i: int, j: int, room: int) -> str:
        """Of a map that has so much more room, what begins at (i, j)."""
        ends = [k - room if k < room else _LAST for k in (i, j)]
        return self("Slice", x, *self.integers([i, j], ends, [2, 3]))

    def resized(self, x: str, mode: str, factor: int = 2, **attributes: Any) -> str:
        """Enlarges height and width by a whole number."""
        scales = self.constant(np.array([1, 1, factor, factor], np.float32))
        return self("Resize", x, "", scales, mode=mode, **attributes)

    def nearest(self, x: str, factor: Fraction) -> str:
        """Pixel i shows pixel floor(i q / p), as `caejax.ops.nearest`."""
        p, q = factor.numerator, factor.denominator
        if p > 1:
            where = {
                "coordinate_transformation_mode": "asymmetric",
                "nearest_mode": "floor",
            }
            x = self.resized(x, "nearest", p, **where)
        if q == 1:
            return x
        # Whole groups of q alone, of which the first pixel is kept.
        first = self.integers([0, 0], [_LAST, _LAST], [2, 3], [q, q])
        shape = self("Shape", x, start=2)
        whole = self("Div", shape, self.integers([q, q])[0])
        whole = self("Mul", whole, self.integers([q, q])[0])
        starts, axes = self.integers([0, 0], [2, 3])
        return self("Slice", self("Slice", x, starts, whole, axes), *first)

    def flat(self, x: str) -> str:
        """(N, C, H, W) to (N, H W C), channels innermost."""
        x = self("Transpose", x, perm=[0, 2, 3, 1])
        return self("Flatten", x, axis=1)

    def unflat(self, x: str, shape: tuple[int, int, int]) -> str:
        """`flat` undone, to images of a shape (H, W, C)."""
        x = self("Reshape", x, self.integers([-1, *shape])[0])
        return self("Transpose", x, perm=[0, 3, 1, 2])

    def dense(self, x: str, kernel: np.ndarray, bias: np.ndarray) -> str:
        """A dense layer."""
        parts = [self.constant(np.asarray(array)) for array in (kernel, bias)]
        return self("Gemm", x, *parts)
