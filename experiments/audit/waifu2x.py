"""Waifu2x's networks that double images, in PyTorch, with the weights that it ships.

As in `waifu2x/srcnn.py` of the package (MIT): convolutions without padding, and at the
end one transposed convolution of 4 x 4 taps and stride 2 without a bias.
"""

import itertools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch.nn import Conv2d, ConvTranspose2d, Linear, Module
from torch.nn.functional import leaky_relu, relu

_LAST = {"kernel_size": 4, "stride": 2, "padding": 3, "bias": False}


class UpConv7(Module):
    """Six convolutions, and the transposed one."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 16, 32, 64, 128, 256, 256)
        for n, (c, f) in enumerate(itertools.pairwise(widths), 1):
            setattr(self, f"conv{n}", Conv2d(c, f, 3))
        self.conv7 = ConvTranspose2d(256, 3, **_LAST)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) in [0, 1] to (B, 3, 2 H - 28, 2 W - 28)."""
        for n in range(1, 7):
            x = leaky_relu(getattr(self, f"conv{n}")(x), 0.1)
        return self.conv7(x)


class _Residual(Module):
    """Two convolutions, weighed by channel, beside the middle of their input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = Conv2d(width, width, 3), Conv2d(width, width, 3)
        self.fc1, self.fc2 = Linear(width, width // 4), Linear(width // 4, width)

    def forward(self, x):
        h = leaky_relu(self.conv2(leaky_relu(self.conv1(x), 0.1)), 0.1)
        gates = torch.sigmoid(self.fc2(relu(self.fc1(h.mean((2, 3))))))
        return h * gates[:, :, None, None] + x[:, :, 2:-2, 2:-2]


class UpResNet10(Module):
    """Five residual blocks, and the transposed convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_pre = Conv2d(3, 64, 3)
        for n in range(1, 6):
            setattr(self, f"res{n}", _Residual(64))
        self.conv_bridge = Conv2d(64, 64, 3)
        self.conv_post = ConvTranspose2d(64, 3, **_LAST)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) in [0, 1] to (B, 3, 2 H - 52, 2 W - 52)."""
        h = bridge = leaky_relu(self.conv_pre(x), 0.1)
        for n in range(1, 6):
            h = getattr(self, f"res{n}")(h)
        h = leaky_relu(self.conv_bridge(h), 0.1)
        return self.conv_post(h + bridge[:, :, 11:-11, 11:-11])


NETWORKS = {"upconv7": UpConv7, "upresnet10": UpResNet10}


def trained(network: str, file: Path) -> Module:
    """A network with the weights of a file of the package."""
    with np.load(file) as kept:
        weights = {_name(name): torch.from_numpy(kept[name]) for name in kept.files}
    module = NETWORKS[network]()
    module.load_state_dict(weights)
    return module.eval()


def _name(chainer: str) -> str:
    """`res1/conv1/W` as PyTorch calls it: `res1.conv1.weight`."""
    *layers, last = chainer.split("/")
    return ".".join([*layers, {"W": "weight", "b": "bias"}[last]])


def untrained(network: str, seed: int) -> Module:
    """A network as Chainer starts it: LeCun's normal kernels, biases of 0."""
    torch.manual_seed(seed)
    module = NETWORKS[network]()
    state: Mapping[str, torch.Tensor] = module.state_dict()
    for name, values in state.items():
        # Chainer's fan in: all but the first axis, of transposed kernels, too.
        spread = values[0].numel() ** -0.5 if name.endswith("weight") else 0.0
        values.copy_(torch.randn(values.shape) * spread)
    return module.eval()
