"""The systems in PyTorch, as `caejax.models.torch_kernels` composes the kinds."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from caejax.models.kinds import UPSAMPLING
from caejax.models.torch_kernels import to_torch
from experiments.speed.systems import Step, System, Weights, plan

RESIZED = {
    "nearest_k3": {"mode": "nearest"},
    "nearest_k5": {"mode": "nearest"},
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
    """A kind of upsampling: (B, C, H, W) to (B, features, 2H, 2W), or beyond.

    A transposed convolution with an odd kernel leaves a last row and column to be
    cropped; one without padding, all that it paints.
    """

    def __init__(self, channels: int, features: int, kind: str, *, valid: bool):
        super().__init__()
        self.kind = kind
        own_bias = kind in RESIZED or kind in DECONV_PADDING
        if kind in RESIZED:
            groups = -(-channels // 4) if kind == "bilinear_additive" else channels
            k = UPSAMPLING[kind].kernel_size
            self.layer = nn.Conv2d(groups, features, k, padding=0 if valid else k // 2)
        elif kind.startswith("deconv"):
            self.layer = nn.ConvTranspose2d(
                channels,
                features,
                3 if kind == "deconv_k3_fir" else int(kind[-1]),
                stride=2,
                padding=0 if valid else DECONV_PADDING.get(kind, 0),
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
            return self.layer(x)
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
    """A system: (B, C, H, W) images to logits of the same shape, float32."""

    def __init__(self, system: System, weights: Sequence[Weights | None]):
        super().__init__()
        self.plan = plan(system)
        pairs = zip(self.plan, weights, strict=True)
        self.layers = nn.ModuleList([_module(*pair) for pair in pairs])

    def forward(self, x: Tensor) -> Tensor:
        """Encodes and decodes."""
        for step, module in zip(self.plan, self.layers, strict=True):
            x, (height, width, _) = module(x), step.after
            if x.shape[2:] != (height, width):
                x = x[:, :, :height, :width]
            if step.layer.activation != "linear":
                x = getattr(torch, step.layer.activation)(x)
        return x.float()


def _module(step: Step, weights: Weights | None) -> nn.Module:
    layer, channels = step.layer, step.before[2]
    if layer.op == "pool":
        return nn.MaxPool2d(2, ceil_mode=not layer.valid)
    if layer.op == "nearest":
        return nn.Upsample(step.after[:2])
    if layer.op != "conv":
        module = TorchUpsample(channels, layer.features, layer.op, valid=layer.valid)
        module.set_weights(weights)
        return module
    k = layer.kernel_size
    padding = 0 if layer.valid else k // 2
    module = nn.Conv2d(channels, layer.features, k, padding=padding)
    with torch.no_grad():
        # (h, w, C, F) to (F, C, h, w).
        kernel = weights.kernel.transpose(3, 2, 0, 1).copy()
        module.weight.copy_(torch.from_numpy(kernel))
        module.bias.copy_(torch.from_numpy(weights.bias))
    return module
