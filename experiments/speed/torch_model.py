"""The systems in PyTorch, as `caejax.models.torch_kernels` composes the kinds."""

from collections.abc import Sequence

import numpy as np
import torch
from systems import Layer, System, Weights, layers
from torch import Tensor, nn
from torch.nn import functional

from caejax.models.torch_kernels import to_torch

RESIZED = {
    "nearest_k3": {"mode": "nearest"},
    "bilinear_k3": {"mode": "bilinear"},
    "bicubic_k3": {"mode": "bicubic", "antialias": True},
    "bilinear_additive": {"mode": "bilinear"},
}
DECONV_PADDING = {
    "deconv_k2": 0,
    "deconv_k3": 0,
    "deconv_k4": 1,
    "deconv_k5": 1,
    "deconv_k6": 2,
}


class TorchUpsample(nn.Module):
    """A kind of upsampling: (B, C, H, W) to (B, features, 2H, 2W)."""

    def __init__(self, channels: int, features: int, kind: str):
        super().__init__()
        self.kind = kind
        own_bias = kind in RESIZED or kind in DECONV_PADDING
        if kind in RESIZED:
            groups = -(-channels // 4) if kind == "bilinear_additive" else channels
            self.layer = nn.Conv2d(groups, features, 3, padding=1)
        elif kind.startswith("deconv"):
            self.layer = nn.ConvTranspose2d(
                channels,
                features,
                3 if kind == "deconv_k3_fir" else int(kind[-1]),
                stride=2,
                padding=DECONV_PADDING.get(kind, 0),
                bias=own_bias,
            )
        else:
            self.layer = nn.Conv2d(channels, 4 * features, 3, padding=1, bias=False)
        if not own_bias:
            self.bias = nn.Parameter(torch.zeros(features))
        if kind == "deconv_k3_fir":
            taps = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32) / 16
            taps = torch.from_numpy(taps).expand(features, 1, 4, 4).clone()
            self.register_buffer("taps", taps)

    def forward(self, x: Tensor) -> Tensor:
        """Upsamples."""
        if self.kind in RESIZED:
            x = functional.interpolate(x, scale_factor=2, **RESIZED[self.kind])
            if self.kind == "bilinear_additive":
                x = torch.stack([part.sum(1) for part in x.split(4, 1)], 1)
            return self.layer(x)
        if self.kind in DECONV_PADDING:
            height, width = x.shape[2:]
            return self.layer(x)[:, :, : 2 * height, : 2 * width]
        x = self.layer(x)
        if self.kind == "deconv_k3_fir":
            taps = self.taps.to(x.dtype)
            x = functional.conv2d(x, taps, padding=1, groups=len(taps))
        else:
            x = functional.pixel_shuffle(x, 2)
        if self.kind == "shuffle_hold":
            x = functional.pad(x, (1, 0, 1, 0), mode="replicate")
            x = functional.avg_pool2d(x, 2, stride=1)
        return x + self.bias.to(x.dtype)[:, None, None]

    def set_weights(self, weights: Weights) -> None:
        """Takes over a kernel in caejax's layout, and a bias."""
        kernel = np.ascontiguousarray(to_torch(weights.kernel, self.kind))
        bias = self.layer.bias if self.layer.bias is not None else self.bias
        with torch.no_grad():
            self.layer.weight.copy_(torch.from_numpy(kernel))
            bias.copy_(torch.from_numpy(weights.bias))


class TorchAutoencoder(nn.Module):
    """A system: (B, 1, H, W) images to logits of the same shape, float32."""

    def __init__(self, system: System, weights: Sequence[Weights]):
        super().__init__()
        self.plan = layers(system)
        pairs = zip(self.plan, weights, strict=True)
        self.layers = nn.ModuleList([_module(*pair) for pair in pairs])

    def forward(self, x: Tensor) -> Tensor:
        """Encodes and decodes."""
        for layer, module in zip(self.plan, self.layers, strict=True):
            x = module(x)
            if layer.part == "upsample":
                x = x[:, :, : layer.size, : layer.size]
            if layer.part != "image":
                x = functional.relu(x)
            if layer.part == "encode":
                x = functional.max_pool2d(x, 2, ceil_mode=True)
        return x.float()


def _module(layer: Layer, weights: Weights) -> nn.Module:
    if layer.kind != "conv":
        module = TorchUpsample(layer.channels, layer.features, layer.kind)
        module.set_weights(weights)
        return module
    module = nn.Conv2d(layer.channels, layer.features, 3, padding=1)
    with torch.no_grad():
        # (h, w, C, F) to (F, C, h, w).
        kernel = weights.kernel.transpose(3, 2, 0, 1).copy()
        module.weight.copy_(torch.from_numpy(kernel))
        module.bias.copy_(torch.from_numpy(weights.bias))
    return module
