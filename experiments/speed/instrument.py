"""How long the instrument takes, on each of the sizes that it is made for.

    python -m experiments.speed.instrument

`caejax.diagnose` on an ONNX file of 100 MB and on a decoder of 50 million parameters,
and `caejax measure` on 100 images. Writes instrument.json beside itself. It needs the
extras onnx and torch.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from PIL import Image
from torch import nn

from caejax.diagnose import diagnose, onnx_file
from caejax.diagnose.places import find_places

HERE = Path(__file__).parent
LATENT, SIDE = 32, 32  # channels and pixels that the decoder takes; it gives 256
IMAGES, SHAPE = 100, (321, 481)


def main() -> None:
    """Measures all, prints and writes them."""
    found = {
        "device": f"{platform.machine()}, {os.cpu_count()} cores",
        "torch": torch.__version__,
        "onnx": onnx.__version__,
        **onnx_seconds(),
        **decoder_seconds(),
        **measure_seconds(),
    }
    (HERE / "instrument.json").write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


def onnx_seconds() -> dict[str, float]:
    """Seconds to read a file with a kernel of 100 MB, and to find its places."""
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.standard_normal((512, 512, 3, 3)).astype(np.float32),
        **{
            f"v{n}": rng.standard_normal((512, 512, 3, 3)).astype(np.float32)
            for n in range(10)
        },
    }
    nodes = [
        helper.make_node("Conv", [f"x{n}", f"v{n}"], [f"x{n + 1}"], pads=[1] * 4)
        for n in range(10)
    ]
    nodes.append(helper.make_node("ConvTranspose", ["x10", "w"], ["y"], strides=[2, 2]))
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x0", 1, [1, 512, 16, 16])],
        [helper.make_tensor_value_info("y", 1, None)],
        [numpy_helper.from_array(x, name) for name, x in weights.items()],
    )
    ids = [helper.make_opsetid("", 17)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(helper.make_model(graph, opset_imports=ids, ir_version=8), path)
        size, began = path.stat().st_size, time.perf_counter()
        model = onnx_file.read(path)
        find_places(onnx_file.trace_model(model, onnx_file.example(model)))
        read = time.perf_counter() - began
        diagnose(path)
        whole = time.perf_counter() - began - read
    return {"onnx_mb": size / 1e6, "onnx_read_s": read, "onnx_diagnose_s": whole}


def decoder_seconds() -> dict[str, float]:
    """Seconds to diagnose a decoder to 256 x 256."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Conv2d(LATENT, 1024, 3, padding=1), nn.ReLU()]
    for _ in range(4):
        layers += [nn.Conv2d(1024, 1024, 3, padding=1), nn.ReLU()]
    for width in (1024, 512, 256):
        layers += [nn.ConvTranspose2d(width, width // 2, 4, 2, 1), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Conv2d(128, 3, 3, padding=1))
    count = sum(x.numel() for x in model.parameters())
    began = time.perf_counter()
    found = diagnose(model, np.ones((1, LATENT, SIDE, SIDE), np.float32))
    seconds = time.perf_counter() - began
    return {
        "decoder_parameters": count,
        "decoder_places": len(found["places"]),
        "decoder_diagnose_s": seconds,
    }


def measure_seconds() -> dict[str, float]:
    """Seconds that the command takes for a folder of noise over smooth shades."""
    rng = np.random.default_rng(0)
    shade = 64 + np.add.outer(np.arange(SHAPE[0]), np.arange(SHAPE[1]))[..., None] / 10
    with tempfile.TemporaryDirectory() as folder:
        images, figure = Path(folder, "images"), Path(folder, "figure.png")
        images.mkdir()
        for i in range(IMAGES):
            image = shade + 4 * rng.standard_normal((*SHAPE, 3))
            Image.fromarray(np.uint8(image)).save(images / f"{i}.png")
        command = [sys.executable, "-m", "caejax", "measure", images]
        began = time.perf_counter()
        subprocess.run([*command, f"--figure={figure}"], check=True)
        seconds = time.perf_counter() - began
    return {"measure_images": IMAGES, "measure_s": seconds}


if __name__ == "__main__":
    main()
