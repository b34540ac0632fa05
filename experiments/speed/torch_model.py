"""The systems in PyTorch, as `caejax.models.torch_kernels` composes the kinds."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from caejax.models.kinds import CONTENT, UPSAMPLING, guide_shapes, offset_groups
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
    "deconv_k4_tied": 1,
}


class TorchUpsample(nn.Module):
    """A kind of upsampling: (B, C, H, W) to (B, features, 2H, 2W), or beyond.

    A transposed convolution with an odd kernel leaves a last row and column to be
    cropped; one without padding, all that it paints.
    """

    def __init__(self, channels: int, features: int, kind: str, *, valid: bool):
        super().__init__()
        self.kind = kind
        own_bias = kind in (*RESIZED, *DECONV_PADDING, *CONTENT)
        k = UPSAMPLING[kind].kernel_size
        if kind in (*RESIZED, *CONTENT):
            groups = -(-channels // 4) if kind == "bilinear_additive" else channels
            self.layer = nn.Conv2d(groups, features, k, padding=0 if valid else k // 2)
        elif kind.startswith("deconv"):
            self.layer = nn.ConvTranspose2d(
                channels,
                features,
                k,
                stride=2,
                padding=0 if valid else DECONV_PADDING.get(kind, 0),
                bias=own_bias,
            )
        else:
            self.layer = nn.Conv2d(channels, 4 * features, 3, padding=1, bias=False)
        if not own_bias:
            self.bias = nn.Parameter(torch.zeros(features))
        shapes = guide_shapes(UPSAMPLING[kind], channels)
        self.guides = nn.ModuleDict({name: _conv(x) for name, x in shapes.items()})
        if kind in TIES:
            parametrize.register_parametrization(self.layer, "weight", TIES[kind][1]())
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
        if self.kind in CONTENT:
            return self.layer(RESIZE_BY_CONTENT[self.kind](x, self.guides))
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
        free, _ = TIES.get(self.kind, (self.kind, None))
        kernel = np.ascontiguousarray(to_torch(weights.kernel, free))
        bias = self.layer.bias if self.layer.bias is not None else self.bias
        weight = self.layer.weight
        if self.kind in TIES:
            weight = self.layer.parametrizations.weight.original
        with torch.no_grad():
            weight.copy_(torch.from_numpy(kernel))
            bias.copy_(torch.from_numpy(weights.bias))
        for name, guide in weights.guides.items():
            _set(self.guides[name], guide)


class TiedTransposed(nn.Module):
    """(C, F, k, k) with k even to the nearest whose four phases have one sum."""

    def forward(self, weight: Tensor) -> Tensor:
        """Projects."""
        phases = weight.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))
        means = phases.mean((2, 4), keepdim=True)
        tied = phases - means + means.mean((3, 5), keepdim=True)
        return tied.flatten(4).flatten(2, 3)


class TiedShuffle(nn.Module):
    """(4 F, C, 3, 3), phase innermost, to the nearest whose phases have one sum."""

    def forward(self, weight: Tensor) -> Tensor:
        """Projects."""
        phases = weight.unflatten(0, (-1, 4))
        means = phases.mean((3, 4), keepdim=True)
        return (phases - means + means.mean(1, keepdim=True)).flatten(0, 1)


# By kind: the kind without projection, and the projection.
TIES = {
    "deconv_k4_tied": ("deconv_k4", TiedTransposed),
    "shuffle_tied": ("shuffle_k3", TiedShuffle),
}


def carafe(x: Tensor, guides: nn.ModuleDict) -> Tensor:
    """Wang et al., arXiv 1905.02188: sums of 25 neighbours, by a softmax a pixel."""
    batch, channels, height, width = x.shape
    logits = guides["content_encoder"](guides["channel_compressor"](x))
    weights = functional.pixel_shuffle(logits, 2).softmax(1)
    around = functional.unfold(x, 5, padding=2).view(batch, -1, height, width)
    around = functional.interpolate(around, scale_factor=2, mode="nearest")
    return (around.view(batch, channels, 25, 2 * height, -1) * weights[:, None]).sum(2)


def dysample(x: Tensor, guides: nn.ModuleDict) -> Tensor:
    """Liu et al., arXiv 2308.15085, style "lp": bilinear samples at learnt places."""
    batch, channels, height, width = x.shape
    groups = offset_groups(channels)
    offset = functional.pixel_shuffle(guides["offset"](x) / 4, 2)
    offset = offset.view(batch, 2, groups, 2 * height, 2 * width)
    # The centres of the output's pixels, in pixels of the input; then in [-1, 1].
    across, down = ((torch.arange(2 * n) + 0.5) / 2 for n in (width, height))
    across = (offset[:, 0] + across) * 2 / width - 1
    down = (offset[:, 1] + down[:, None]) * 2 / height - 1
    y = functional.grid_sample(
        x.reshape(batch * groups, -1, height, width),
        torch.stack([across, down], -1).flatten(0, 1),
        padding_mode="border",
        align_corners=False,
    )
    return y.view(batch, channels, 2 * height, 2 * width)


RESIZE_BY_CONTENT = {"carafe": carafe, "dysample": dysample}


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
    module = _conv((k, k, channels, layer.features), valid=layer.valid)
    _set(module, weights)
    return module


def _conv(shape: tuple[int, ...], *, valid: bool = False) -> nn.Conv2d:
    """The convolution of a kernel (k, k, C, F)."""
    k, _, channels, features = shape
    return nn.Conv2d(channels, features, k, padding=0 if valid else k // 2)


def _set(module: nn.Conv2d, weights: Weights) -> None:
    with torch.no_grad():
        # (h, w, C, F) to (F, C, h, w).
        kernel = weights.kernel.transpose(3, 2, 0, 1).copy()
        module.weight.copy_(torch.from_numpy(kernel))
        module.bias.copy_(torch.from_numpy(weights.bias))
