"""What is measured: systems as plain data, their layers, weights and arithmetic.

Nothing here knows of a library's layers; caejax, Flax and PyTorch are made from
`layers` and `random_weights` alike.
"""

import importlib.util
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from caejax.models.decoders import pooled_size
from caejax.models.kinds import UPSAMPLING, kernel_shape

CONFIGS = Path(__file__).parents[2] / "configs"


class System(NamedTuple):
    """A convolutional denoiser, 3 x 3 convolutions and 2 x 2 max-pools.

    Attributes:
      name: of the system.
      widths: channels of the decoder's stages, from the image inwards, and of the
        encoder's but for the last.
      latent: channels of the encoder's last stage, hence of the code.
      kind: a name of `caejax.models.kinds.UPSAMPLING`.
      batch: images a step.
      side: height and width of the images, which have one channel.
      note: how it differs from the published system, if it does.
    """

    name: str
    widths: tuple[int, ...]
    latent: int
    kind: str = "nearest_k3"
    batch: int = 128
    side: int = 28
    note: str = ""


class Layer(NamedTuple):
    """One layer with weights.

    Attributes:
      part: "encode" (convolution, ReLU, pool), "upsample" (upsampling, crop, ReLU)
        or "image" (convolution).
      kind: "conv" or a name of `UPSAMPLING`.
      channels, features: going in and coming out.
      side: of the square input.
      size: side of the output.
    """

    part: str
    kind: str
    channels: int
    features: int
    side: int
    size: int


class Weights(NamedTuple):
    """Kernel in caejax's and Flax's layout, and bias (features,)."""

    kernel: np.ndarray
    bias: np.ndarray


def published() -> dict[str, System]:
    """The published systems that caejax's general model expresses, and its own."""
    systems = (
        System(
            "A",
            (32, 32, 16),
            16,
            batch=200,
            note="4 x 4 is doubled and cropped to 7 x 7; the source resizes 4 to 7",
        ),
        System("B", (64, 64, 32), 32, note="the same about 4 to 7"),
        System(
            "C-like",
            (16, 8, 8),
            8,
            note="resizes come before convolutions, SAME everywhere, Adam; the "
            "source resizes after them, one convolution is VALID, Adadelta",
        ),
        System(
            "E-like",
            (16, 4),
            4,
            "deconv_k2",
            batch=20,
            note="the decoder mirrors the encoder, 4 then 16, and a convolution ends "
            "it; the source goes to 16 and straight to the image, squared error",
        ),
        System("F", (32, 32), 32, "deconv_k3", note="noise 0.5, the source has 0.4"),
        mnist_denoise(),
    )
    return {system.name: system for system in systems}


def mnist_denoise() -> System:
    """Layers and batch of configs/mnist_denoise.py."""
    path = CONFIGS / "mnist_denoise.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config()
    return System(
        path.stem,
        tuple(config.model.widths),
        config.model.latent_channels,
        config.model.upsampling,
        config.train.batch_size,
        note="the config's layers and batch, a constant learning rate",
    )


def kinds() -> dict[str, System]:
    """System A with every kind of upsampling."""
    base = published()["A"]
    return {kind: base._replace(name=kind, kind=kind, note="") for kind in UPSAMPLING}


def scaling() -> dict[str, list[tuple[float, System]]]:
    """System A with one of its sizes varied: by axis, values and systems."""
    base = published()["A"]._replace(batch=128)
    narrow, wide = ((16, 16, 8), 8), ((64, 64, 32), 32)
    axes = {
        "batch size": [(n, base._replace(batch=n)) for n in (32, 64, 128, 256, 512)],
        # The largest images bound the batch.
        "image side": [
            (n, base._replace(batch=16, side=n)) for n in (28, 64, 128, 256)
        ],
        "width": [
            (factor, base._replace(widths=widths, latent=latent))
            for factor, (widths, latent) in (
                (0.5, narrow),
                (1, (base.widths, base.latent)),
                (2, wide),
            )
        ],
        "depth": [
            (n, base._replace(widths=(32,) * (n - 1) + (16,))) for n in (2, 3, 4)
        ],
    }
    return {
        axis: [(x, s._replace(name=f"{axis} {x}", note="")) for x, s in points]
        for axis, points in axes.items()
    }


def layers(system: System) -> list[Layer]:
    """All layers with weights, from image to image."""
    return [*_encoder(system), *_decoder(system)]


def _encoder(system: System) -> Iterator[Layer]:
    channels, side = 1, system.side
    for features in (*system.widths[:-1], system.latent):
        yield Layer("encode", "conv", channels, features, side, side)
        channels, side = features, -(-side // 2)


def _decoder(system: System) -> Iterator[Layer]:
    depth = len(system.widths)
    channels = system.latent
    for stage, features in enumerate(system.widths[::-1], start=1):
        side, size = (
            pooled_size((system.side,) * 2, depth - n)[0] for n in (stage - 1, stage)
        )
        yield Layer("upsample", system.kind, channels, features, side, size)
        channels = features
    yield Layer("image", "conv", channels, 1, system.side, system.side)


def random_weights(system: System, seed: int = 0) -> list[Weights]:
    """He-normal kernels and small biases, the same in every process."""
    rng = np.random.default_rng(seed)

    def draw(layer):
        if layer.kind == "conv":
            shape, variance = (3, 3, layer.channels, layer.features), 1.0
        else:
            kind = UPSAMPLING[layer.kind]
            shape = kernel_shape(kind, layer.channels, layer.features)
            variance = kind.variance
        scale = math.sqrt(2 * variance / math.prod(shape[:3]))
        kernel = scale * rng.standard_normal(shape, np.float32)
        bias = 0.1 * rng.standard_normal(layer.features, np.float32)
        return Weights(kernel.astype(np.float32), bias.astype(np.float32))

    return [draw(layer) for layer in layers(system)]


def random_images(system: System, count: int, seed: int = 0) -> np.ndarray:
    """(count, side, side, 1) float32 images with the 256 values of MNIST's."""
    rng = np.random.default_rng(seed)
    shape = (count, system.side, system.side, 1)
    return rng.integers(0, 256, shape).astype(np.float32) / 255


def parameters(system: System) -> int:
    """Numbers learnt."""
    return sum(kernel.size + bias.size for kernel, bias in random_weights(system))


def forward_flops(layer: Layer) -> int:
    """Additions and multiplications of a layer for one image.

    As the layer is defined, whatever shortcuts are taken: a resize is done before
    its convolution, a transposed convolution multiplies every input pixel with
    every tap, and zeros beyond the border count. Resizes, blurs, sums of channels,
    biases, ReLUs and pools are left out.
    """
    if layer.kind == "conv":
        return 2 * 9 * layer.channels * layer.features * layer.side**2
    kind = UPSAMPLING[layer.kind]
    taps = math.prod(kernel_shape(kind, layer.channels, layer.features))
    low = kind.transposed or kind.phases > 1
    return 2 * taps * (layer.side if low else 2 * layer.side) ** 2


def step_flops(system: System) -> int:
    """Of one training step: forward, and twice that backward."""
    return 3 * system.batch * sum(map(forward_flops, layers(system)))
