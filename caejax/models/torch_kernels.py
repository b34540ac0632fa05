"""Kernels of the upsampling layers, to PyTorch's layout and back.

With the weight w and the bias b, F = torch.nn.functional and x (B, C, H, W), a kind
equals

- deconv_k2, k4, k6: `F.conv_transpose2d(x, w, b, stride=2, padding=P)`, P = 0, 1, 2;
  deconv_k4_tied is as k4;
- deconv_k3, k5: the same with P = 0, 1, without its last row and column. The usual
  padding=1 (k3) or 2 (k5) with output_padding=1 lies one pixel later;
- all of these with `valid`: the same with P = 0, nothing cut off;
- nearest_k3, bilinear_k3: `F.interpolate(x, scale_factor=2, mode=...)`, then
  `F.conv2d(..., w, b, padding=1)`; nearest_k5 has padding=2;
- bicubic_k3: the same with mode="bicubic", antialias=True. Without antialias PyTorch
  takes a = -0.75 instead of -0.5 and repeats the border's pixels;
- bilinear_additive: bilinear `F.interpolate`, sums of four consecutive channels, then
  `F.conv2d(..., w, b, padding=1)`;
- shuffle_k3, shuffle_icnr, shuffle_tied:
  `F.pixel_shuffle(F.conv2d(x, w, padding=1), 2)`, then b, one for all phases;
- shuffle_hold: the same before b, then
  `F.avg_pool2d(F.pad(y, (1, 0, 1, 0), mode="replicate"), 2, stride=1)`, then b;
- deconv_k3_fir: `F.conv_transpose2d(x, w, stride=2)`, `F.pad(y, (1, 1, 1, 1))`, a
  depthwise `F.conv2d` with the outer product of [1, 3, 3, 1] / 4, then b;
- carafe, dysample: the published module (mmcv's `CARAFEPack` with a quarter of the
  channels for compressed_channels; `DySample` as it is by default, which takes
  multiples of four channels only), then `F.conv2d(..., w, b, padding=1)`. The module's
  convolutions are the parameters of the same names, their channels in the same order:
  the kernel (k, k, C, F) transposed to (F, C, k, k).

The weight of a projected kind (deconv_k4_tied, shuffle_tied) is the projected kernel; a
weight that comes back is projected when it is used.
"""

import numpy as np

from caejax.models.kinds import check_kernel, find_kind, used_kernel
from caejax.ops.foreign import as_numpy


def to_torch(kernel: np.ndarray, kind: str) -> np.ndarray:
    """The PyTorch weight that does what a kernel does.

    Args:
      kernel: the layer's parameter "kernel", (k, k, C, F); (3, 3, C, 4F) of a
        shuffle, phase outermost.
      kind: a name of `caejax.models.kinds.UPSAMPLING`.

    Returns:
      The weight: (C, F, k, k), turned, of a transposed convolution, since PyTorch
      paints its weight and Flax correlates; (4F, C, 3, 3) of a shuffle, feature
      outermost as `pixel_shuffle` wants; (F, C, k, k) of other convolutions.

    Raises:
      ValueError: no such kind, or a kernel that is not of it.
    """
    kernel = as_numpy(kernel, "kernel")
    found = check_kernel(kernel.shape, kind)
    kernel = np.asarray(used_kernel(kernel, found))
    if found.transposed:
        return np.flip(kernel, (0, 1)).transpose(2, 3, 0, 1).copy()
    k, _, channels, depth = kernel.shape
    weight = kernel.reshape(k, k, channels, found.phases, -1).transpose(4, 3, 2, 0, 1)
    return weight.reshape(depth, channels, k, k)


def from_torch(weight: np.ndarray, kind: str) -> np.ndarray:
    """The kernel that does what a PyTorch weight does, `to_torch` undone.

    But for the projection of a projected kind, which `to_torch` has done.

    Args:
      weight: the PyTorch weight, (C, F, k, k) of a transposed convolution,
        (4F, C, 3, 3) of a shuffle, (F, C, k, k) of other convolutions.
      kind: a name of `caejax.models.kinds.UPSAMPLING`.

    Returns:
      The kernel, (k, k, C, F), or (3, 3, C, 4F) of a shuffle.

    Raises:
      ValueError: no such kind, or a weight that is not of it.
    """
    weight, found = as_numpy(weight, "weight"), find_kind(kind)
    _check_weight(weight.shape, kind)
    if found.transposed:
        return np.flip(weight, (2, 3)).transpose(2, 3, 0, 1).copy()
    depth, channels, k, _ = weight.shape
    kernel = weight.reshape(-1, found.phases, channels, k, k).transpose(3, 4, 2, 1, 0)
    return kernel.reshape(k, k, channels, depth)


def _check_weight(shape, name):
    kind = find_kind(name)
    k = kind.kernel_size
    if len(shape) != 4 or shape[2:] != (k, k) or shape[0] % kind.phases:
        features = f"{kind.phases}F" if kind.phases > 1 else "F"
        first = "C, F" if kind.transposed else f"{features}, C"
        raise ValueError(
            f"weight has shape {tuple(shape)}; {name} needs ({first}, {k}, {k})"
        )
