"""A model as an ONNX file, written from its own layers.

Images are (N, C, H, W), as ONNX has them, and N, H and W are open wherever the model
takes any.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from caejax.errors import CaejaxError
from caejax.export.onnx_graph import Graph
from caejax.export.onnx_upsampling import upsample
from caejax.files.atomic import replacing
from caejax.inference.trained import Trained
from caejax.models.encoders import STRIDED
from caejax.models.stack import parse, shapes_after

OPSET = 20
_BLUR = (0.125, 0.375, 0.375, 0.125)


def write(model: Trained, path: Path) -> str:
    """Writes the file; returns in words what it takes and gives.

    Raises:
      CaejaxError: a part of the model that ONNX does not have, or no package onnx.
    """
    try:
        import onnx  # noqa: F401
    except ModuleNotFoundError:
        raise CaejaxError(
            'ONNX files are written with the package onnx: pip install "caejax[onnx]"'
        ) from None
    config, module = model.config, model.model
    if config.model.get("dtype", "float32") != "float32":
        raise CaejaxError(
            f"models that compute in {config.model.dtype} are not written as ONNX: "
            "their rounding would be another; set config.model.dtype = 'float32'"
        )
    graph = Graph()
    height, width, channels = module.shape
    open_size = config.model.encoder == "conv"
    sides = ("height", "width") if open_size else (height, width)
    graph.input("image", ("batch", channels, *sides))
    if module.noise_map:
        graph.input("level", ("batch",))
    linear = _MODELS[config.model.encoder](graph, module, model.params)
    image = graph.activation(linear, module.output_activation)
    zero, one = graph.constant(0.0), graph.constant(1.0)
    graph.output("denoised", graph("Clip", image, zero, one))
    made = sides if open_size else module.output_size((height, width))
    proto = graph.model("caejax", OPSET, ("batch", channels, *made))
    with replacing(path) as file:
        file.write(proto.SerializeToString())
    size = "any size" if open_size else f"{height} x {width}"
    told = ", level (batch,) of 1" if module.noise_map else ""
    return (
        f"ONNX, opset {OPSET}: image (batch, {channels}, height, width), {size}{told} "
        "-> denoised in [0, 1]"
    )


def _conv_model(graph: Graph, module: Any, params: Any) -> str:
    image = "image"
    seen = graph.filled_up(image, module.stride) if module.filled_up else image
    if module.noise_map:
        one = graph("Slice", seen, *graph.integers([0], [1], [1]))
        level = graph("Unsqueeze", "level", graph.integers([1, 2, 3])[0])
        level = graph("Expand", level, graph("Shape", one))
        seen = graph("Concat", seen, level, axis=1)
    code, features = _encoded(graph, module, params["encoder"], seen)
    decoded = _decoded(graph, module, params["decoder"], code, features)
    if module.filled_up:
        decoded = graph.cropped(decoded, image)
    return graph("Sub", image, decoded) if module.residual else decoded


def _encoded(graph, module, params, x):
    layers = _in_order(params)
    widths, refine = module.widths, module._each(module.encoder_refine)
    features = []
    for stage in range(len(widths)):
        last = module.bottleneck == "pooled" and stage == len(widths) - 1
        activation = module.code_activation if last else "relu"
        strided = module.downsampling in STRIDED
        if strided:
            features.append(x)
        x = graph.conv(x, next(layers), stride=2 if strided else 1)
        for i in range(refine[stage]):
            x = graph.conv(graph("Relu", x), params[f"refine_{stage}_{i}"])
        x = graph.activation(x, activation)
        if not strided:
            features.append(x)
            x = _POOLS[module.downsampling](graph, x, _channels(params, stage, widths))
    if module.bottleneck == "projection":
        x = graph.activation(graph.conv(x, next(layers)), module.code_activation)
    return x, features


def _channels(params, stage, widths):
    return params[f"Conv_{stage}"]["kernel"].shape[-1]


def _decoded(graph, module, params, x, features):
    widths = module._decoder_widths
    refine = module._each(module.refine)
    channels = module.latent_channels
    for stage, (width, kind) in enumerate(zip(widths, module.stages, strict=True)):
        x = upsample(graph, x, params[f"Upsample_{stage}"], kind, channels)
        own = features[len(widths) - 1 - stage]
        x = graph.cropped(x, own)
        if module.skips in ("add", "concat"):
            kernel = np.asarray(params[f"skip_{stage}"]["kernel"])[None, None]
            skip = graph.conv(own, {"kernel": kernel})
            joined = {"add": ("Add", {}), "concat": ("Concat", {"axis": 1})}
            op, settings = joined[module.skips]
            x = graph(op, x, skip, **settings)
        channels = width if refine[stage] or module.skips != "concat" else 2 * width
        x = graph("Relu", x)
        for i in range(refine[stage]):
            x = graph("Relu", graph.conv(x, params[f"refine_{stage}_{i}"]))
    return graph.conv(x, params["Conv_0"])


def _max_pool(graph, x, channels, valid=False):
    del channels
    padding = "VALID" if valid else "SAME_UPPER"
    settings = {"kernel_shape": [2, 2], "strides": [2, 2], "auto_pad": padding}
    return graph("MaxPool", x, **settings)


def _blur_pool(graph, x, channels):
    x = graph.padded(x, (1, 1, 2, 2), mode="edge")
    return graph.depthwise(x, np.outer(_BLUR, _BLUR), channels, stride=2)


_POOLS = {"max_pool": _max_pool, "blur_pool": _blur_pool}


def _layers_model(graph, module, params):
    encoder, decoder = module.encoder_layers, module.decoder_layers
    x = _stack(graph, "image", params["encoder"], encoder, module.shape)
    return _stack(graph, x, params["decoder"], decoder, module.code_shape)


def _stack(graph, x, params, words, shape):
    convs, ups = _in_order(params), _in_order(params, "Upsample")
    channels = [sizes[-1] for sizes in shapes_after(words, shape)]
    for layer, before in zip(map(parse, words), channels[:-1], strict=True):
        if layer.op == "pool":
            x = _max_pool(graph, x, 0, layer.valid)
        elif layer.op == "nearest":
            x = graph.nearest(x, layer.factor)
        elif layer.op == "conv":
            x = graph.conv(x, next(convs), valid=layer.valid)
        else:
            x = upsample(graph, x, next(ups), layer.op, before, valid=layer.valid)
        x = graph.activation(x, layer.activation)
    return x


def _in_order(params, prefix="Conv"):
    number = 0
    while (name := f"{prefix}_{number}") in params:
        yield params[name]
        number += 1


def _dense_model(graph, module, params):
    x = graph.flat("image")
    encoder = list(_in_order(params["encoder"], "Dense"))
    decoder = list(_in_order(params["decoder"], "Dense"))
    hidden = ["relu"] * (len(encoder) - 1)
    activations = [*hidden, module.code_activation, *hidden, "linear"]
    for layer, activation in zip(encoder + decoder, activations, strict=True):
        x = graph.dense(x, layer["kernel"], layer["bias"])
        x = graph.activation(x, activation)
    return graph.unflat(x, module.shape)


def _tied_model(graph, module, params):
    kernel = np.asarray(params["kernel"])
    x = graph.dense(graph.flat("image"), kernel, params["code_bias"])
    x = graph.activation(x, module.code_activation)
    return graph.unflat(graph.dense(x, kernel.T, params["pixel_bias"]), module.shape)


_MODELS: dict[str, Callable[[Graph, Any, Any], str]] = {
    "conv": _conv_model,
    "layers": _layers_model,
    "dense": _dense_model,
    "tied_dense": _tied_model,
}
