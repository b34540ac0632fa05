"""What is measured: systems as plain data, their layers, weights and arithmetic.

caejax makes a system from its config's fields, Flax and PyTorch from `plan`; all take
`random_weights`.
"""

import itertools
import math
from typing import Any, NamedTuple

import numpy as np

from caejax.config.load import load_config
from caejax.models.kinds import (
    CONTENT,
    STRIDE,
    UPSAMPLING,
    guide_shapes,
    kernel_shape,
    valid_growth,
)
from caejax.models.stack import Layer, parse, shapes_after

BATCH = 128
PUBLISHED = {
    "A": "a_conv_denoiser",
    "B": "b_conv_denoiser",
    "C": "c_keras_conv",
    "E transposed": "e_transposed",
    "E upsampling": "e_upsampling",
    "E denoiser": "e_denoiser",
    "F": "f_keras_io",
}  # files of configs/seeds
GRID_WIDTHS, GRID_BATCHES = (32, 64, 128), (32, 128)
GRID_SIDES, GRID_CHANNELS = (28, 64, 128), (1, 3)

Shape = tuple[int, int, int]


class System(NamedTuple):
    """A convolutional autoencoder of square images.

    Attributes:
      name: the system's name.
      model: the fields of `config.model`, encoder "layers", or "conv" with a pooled
        code and a ReLU behind it.
      batch: the number of images a step.
      side: the height and width of the images.
      channels: the number of the images' channels.
    """

    name: str
    model: dict[str, Any]
    batch: int = BATCH
    side: int = 28
    channels: int = 1


class Step(NamedTuple):
    """A layer and its place in a system.

    Attributes:
      half: "encoder" or "decoder".
      layer: the layer that its words describe.
      before: the shape (H, W, C) that goes in.
      after: the shape (H, W, C) that comes out, cropped where the system crops.
    """

    half: str
    layer: Layer
    before: Shape
    after: Shape


class Weights(NamedTuple):
    """Kernel in caejax's and Flax's layout, and bias (features,).

    Attributes:
      guides: of a resize of `CONTENT`, those of its own convolutions, by name.
    """

    kernel: np.ndarray
    bias: np.ndarray
    guides: dict[str, "Weights"] = {}  # noqa: RUF012


def published() -> dict[str, System]:
    """The published systems, with their own batch too, and configs/mnist_denoise.py."""
    found = []
    for name, stem in PUBLISHED.items():
        own = from_config(name, f"seeds/{stem}")
        found.append(own._replace(batch=BATCH))
        if own.batch != BATCH:
            found.append(own._replace(name=f"{name} batch {own.batch}"))
    found.append(from_config("mnist_denoise", "mnist_denoise"))
    return {system.name: system for system in found}


def from_config(name: str, stem: str) -> System:
    """Layers and batch of a config that ships with caejax, by its name."""
    config = load_config(stem)
    return System(name, config.model.to_dict(), config.train.batch_size)


def general(
    widths: tuple[int, ...] = (32, 32, 16),
    kind: str = "nearest_k3",
    **settings: Any,
) -> System:
    """caejax's general model, by default with the widths of system A.

    The code has the last of the widths; every stage doubles its input, and odd sizes
    are cropped to.
    """
    model = {
        "encoder": "conv",
        "widths": widths,
        "latent_channels": widths[-1],
        "upsampling": kind,
        "bottleneck": "pooled",
        "code_activation": "relu",
    }
    return System("general", model, **settings)


def kinds() -> dict[str, System]:
    """The general model with every kind that is a fixed filter of a free kernel."""
    return {
        name: general(kind=name)._replace(name=name)
        for name, kind in UPSAMPLING.items()
        if not kind.projected and kind.run not in CONTENT
    }


def scaling() -> dict[str, list[tuple[float, System]]]:
    """The general model with one of its sizes varied: by axis, values and systems."""
    widths = {0.5: (16, 16, 8), 1: (32, 32, 16), 2: (64, 64, 32)}
    axes = {
        "batch size": {n: general(batch=n) for n in (32, 64, 128, 256, 512)},
        # The largest images bound the batch.
        "image side": {n: general(batch=16, side=n) for n in (28, 64, 128, 256)},
        "width": {factor: general(widths[factor]) for factor in widths},
        "depth": {n: general((32,) * (n - 1) + (16,)) for n in (2, 3, 4)},
    }
    return {
        axis: [(x, s._replace(name=f"{axis} {x}")) for x, s in points.items()]
        for axis, points in axes.items()
    }


def grid() -> list[System]:
    """Widths, batches and sizes of images, the most telling first.

    The widths of `configs/mnist_denoise.py` with three kinds, the published systems,
    then all kinds: with every width and batch in MNIST's size, in larger images of one
    and of three channels, at last every combination.
    """
    first = [
        general((64, 64, 32), kind) for kind in ("deconv_k3", "deconv_k4", "nearest_k3")
    ]
    seeds = [
        system._replace(batch=batch)
        for name, system in published().items()
        if "batch" not in name
        for batch in GRID_BATCHES
    ]
    found = {_cell(system): system for system in first}
    found |= {f"{system.name}, batch {system.batch}": system for system in seeds}
    cells = itertools.product(
        GRID_SIDES, GRID_CHANNELS, GRID_BATCHES[::-1], GRID_WIDTHS, UPSAMPLING
    )
    # Larger images first with the smallest of the rest.
    for side, channels, batch, width, kind in sorted(cells, key=_expense):
        widths = (width, width, width // 2)
        system = general(widths, kind, batch=batch, side=side, channels=channels)
        found.setdefault(_cell(system), system)
    return [system._replace(name=name) for name, system in found.items()]


def _expense(cell):
    side, channels, batch, width, _ = cell
    away = (side != GRID_SIDES[0]) + (channels != GRID_CHANNELS[0])
    return away and (batch != GRID_BATCHES[0]) + (width != GRID_WIDTHS[0]), away


def _cell(system):
    model = system.model
    widths = "-".join(map(str, model["widths"]))
    return (
        f"{model['upsampling']}, widths {widths}, batch {system.batch}, "
        f"{system.side} x {system.side} x {system.channels}"
    )


def words(system: System) -> dict[str, tuple[str, ...]]:
    """The layers of each half, as in `caejax.models.stack`.

    Those of the general model do not say what it crops.
    """
    model = system.model
    if model["encoder"] == "layers":
        return {half: model[f"{half}_layers"] for half in ("encoder", "decoder")}
    *outer, _ = widths = model["widths"]
    encoder = []
    for features in (*outer, model["latent_channels"]):
        encoder += [f"conv3 {features} relu", "pool"]
    decoder = [f"{model['upsampling']} {features} relu" for features in widths[::-1]]
    return {
        "encoder": tuple(encoder),
        "decoder": (*decoder, f"conv3 {system.channels}"),
    }


def plan(system: System) -> list[Step]:
    """All layers, from image to image."""
    shape: Shape = (system.side, system.side, system.channels)
    steps, pooled = [], []
    for half, layers in words(system).items():
        for one in layers:
            layer, (_, after) = parse(one), shapes_after((one,), shape)
            # The general model crops to the sizes that it has pooled.
            if system.model["encoder"] == "conv":
                if layer.op == "pool":
                    pooled.append(shape[:2])
                elif layer.op in UPSAMPLING:
                    after = (*pooled.pop(), after[2])
            steps.append(Step(half, layer, shape, after))
            shape = after
    return steps


def random_weights(system: System, seed: int = 0) -> list[Weights | None]:
    """He-normal kernels and small biases, the same in every process.

    One for each step of `plan`, None where nothing is learnt.
    """
    rng = np.random.default_rng(seed)

    def draw(step):
        shape = weight_shape(step)
        if shape is None:
            return None
        kind = UPSAMPLING.get(step.layer.op)
        weights = of_shape(shape, step.layer.features, kind.variance if kind else 1)
        if kind is None:
            return weights
        guides = guide_shapes(kind, step.before[2]).items()
        # As small as they start: their products are weights and places of pixels.
        made = {name: of_shape(shape, shape[-1], 0.01) for name, shape in guides}
        return weights._replace(guides=made)

    def of_shape(shape, features, variance):
        scale = math.sqrt(2 * variance / math.prod(shape[:3]))
        kernel = scale * rng.standard_normal(shape, np.float32)
        bias = 0.1 * rng.standard_normal(features, np.float32)
        return Weights(kernel.astype(np.float32), bias.astype(np.float32))

    return [draw(step) for step in plan(system)]


def weight_shape(step: Step) -> tuple[int, ...] | None:
    """Shape of a step's kernel in caejax's layout, None where nothing is learnt."""
    layer, channels = step.layer, step.before[2]
    if layer.op == "conv":
        return layer.kernel_size, layer.kernel_size, channels, layer.features
    if layer.op in UPSAMPLING:
        return kernel_shape(UPSAMPLING[layer.op], channels, layer.features)
    return None


def random_images(system: System, count: int, seed: int = 0) -> np.ndarray:
    """(count, side, side, channels) float32 images with the 256 values of MNIST's."""
    rng = np.random.default_rng(seed)
    shape = (count, system.side, system.side, system.channels)
    return rng.integers(0, 256, shape).astype(np.float32) / 255


def parameters(system: System) -> int:
    """How many numbers a system learns."""

    def count(weights):
        inner = sum(map(count, weights.guides.values()))
        return weights.kernel.size + weights.bias.size + inner

    return sum(map(count, filter(None, random_weights(system))))


def forward_flops(step: Step) -> int:
    """Additions and multiplications of a layer for one image.

    As the layer is defined, whatever shortcuts are taken: a resize is done before
    its convolution, a transposed convolution multiplies every input pixel with
    every tap, and zeros beyond the border count. Resizes, blurs, sums of channels,
    biases, activations and pools are left out.
    """
    shape = weight_shape(step)
    if shape is None:
        return 0
    layer, (height, width, _) = step.layer, step.before
    sides = step.after[:2]
    if kind := UPSAMPLING.get(layer.op):
        low = kind.transposed or kind.phases > 1
        growth = valid_growth(kind) if layer.valid else 0
        sides = [n if low else STRIDE * n + growth for n in (height, width)]
    return 2 * math.prod(shape) * math.prod(sides)


def step_flops(system: System) -> int:
    """The arithmetic of one training step: forward, and twice that backward."""
    return 3 * system.batch * sum(map(forward_flops, plan(system)))
