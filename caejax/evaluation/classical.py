"""Denoisers that are not trained, each with a grid to tune.

The median and non-local means need nothing else; the packages that the others need come
with `pip install caejax[baselines]`.
"""

import importlib.util
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import scipy.ndimage

from caejax.errors import CaejaxError
from caejax.ops.checks import check_images

Parameters = dict[str, float]


class Classical(NamedTuple):
    """A denoiser and what is to be tuned.

    Attributes:
      denoise: the function (images (N, H, W, C), **parameters) -> images, not clipped.
      grid: the parameters to choose from.
      packages: the packages that it needs: import name to name for pip.
      tuning_images: the most images that it is tuned on, where it is slow.
    """

    denoise: Callable[..., np.ndarray]
    grid: Sequence[Parameters]
    packages: dict[str, str]
    tuning_images: int = 200


def _median(images, *, size):
    """Median of size x size pixels, each channel by itself."""
    return scipy.ndimage.median_filter(images, (1, size, size, 1), mode="nearest")


def _non_local_means(images, *, h, patch_size):
    """Buades, Coll and Morel (2005), over patches within 6 pixels.

    Weights are exp(-d / h²), d the mean squared difference of two patches. Images are
    mirrored at their borders.
    """
    some = max(1, _CACHED // images[0].size)
    return np.concatenate(
        [
            _non_local_means_of(images[i : i + some], h, patch_size)
            for i in range(0, len(images), some)
        ]
    )


def _non_local_means_of(images, h, patch_size):
    margin, (height, width) = _REACH + patch_size // 2, images.shape[1:3]
    around = ((0, 0), (margin, margin), (margin, margin), (0, 0))
    padded = np.pad(np.asarray(images, np.float32), around, "reflect")
    rows, columns = (side + patch_size - 1 for side in (height, width))
    own = padded[:, _REACH:, _REACH:][:, :rows, :columns]
    inner = padded[:, patch_size // 2 :, patch_size // 2 :]
    total, mean = np.zeros((*images.shape[:3], 1), np.float32), np.zeros_like(images)
    for y, x in np.ndindex(2 * _REACH + 1, 2 * _REACH + 1):
        difference = padded[:, y : y + rows, x : x + columns] - own
        difference *= difference
        squared = difference.mean(-1) if images.shape[-1] > 1 else difference[..., 0]
        for axis in (1, 2):
            squared = _sums(squared, patch_size, axis)
        weight = np.exp(squared * np.float32(-1 / (h * patch_size) ** 2))[..., None]
        total += weight
        mean += weight * inner[:, y : y + height, x : x + width]
    return mean / total


def _sums(values, count, axis):
    """Sums of so many neighbours along an axis, which is shorter by the others."""
    windows = np.moveaxis(values, axis, 1)
    length = windows.shape[1] - count + 1
    sums = sum(windows[:, i : i + length] for i in range(count))
    return np.moveaxis(sums, 1, axis)


def _each(denoise):
    """Makes a denoiser of images of one of an image (H, W, C)."""

    def run(images, **parameters):
        return np.stack([denoise(image, **parameters) for image in images])

    return run


def _total_variation(image, *, weight):
    """Chambolle's (2004) algorithm for the model of Rudin, Osher and Fatemi."""
    from skimage.restoration import denoise_tv_chambolle

    return denoise_tv_chambolle(image, weight, channel_axis=-1)


def _wavelet(image, *, sigma, wavelet_levels):
    """Soft thresholds of BayesShrink (Chang, Yu and Vetterli, 2000), Haar wavelet."""
    from skimage.restoration import denoise_wavelet

    most = int(math.log2(min(image.shape[:2])))
    levels = min(wavelet_levels, most)
    return denoise_wavelet(image, sigma, wavelet_levels=levels, channel_axis=-1)


def _bm3d(image, *, sigma):
    """Dabov et al. (2007) by their package; colours in the opponent space (CBM3D)."""
    from bm3d import bm3d, bm3d_rgb

    if min(image.shape[:2]) < _BLOCK:
        raise CaejaxError(
            f"bm3d needs images of at least {_BLOCK}x{_BLOCK} pixels, got "
            f"{image.shape[0]}x{image.shape[1]}; leave it out of --references"
        )
    mean = image.mean()  # constants stay exactly as they are
    if image.shape[-1] == 3:
        return bm3d_rgb(image - mean, sigma) + mean
    channels = [bm3d(image[..., i] - mean, sigma) for i in range(image.shape[-1])]
    return np.stack(channels, axis=-1) + mean


def _grid(**values):
    """All combinations of the values of two parameters, or those of one."""
    grid = [{}]
    for name, choices in values.items():
        grid = [point | {name: value} for point in grid for value in choices]
    return tuple(grid)


_SKIMAGE = {"skimage": "scikit-image"}
_BLOCK = 8  # pixels of a side that bm3d compares
_REACH = 6  # pixels within which non-local means looks for patches
_CACHED = 1 << 17  # numbers that it takes at a time
_STRENGTHS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)

CLASSICAL = {
    "median": Classical(_median, _grid(size=(3, 5, 7, 9)), {}),
    "nlm": Classical(_non_local_means, _grid(h=_STRENGTHS, patch_size=(3, 5)), {}),
    "tv": Classical(_each(_total_variation), _grid(weight=_STRENGTHS), _SKIMAGE),
    "wavelet": Classical(
        _each(_wavelet),
        _grid(sigma=_STRENGTHS, wavelet_levels=(1, 2, 3)),
        _SKIMAGE | {"pywt": "PyWavelets"},
    ),
    "bm3d": Classical(_each(_bm3d), _grid(sigma=_STRENGTHS), {"bm3d": "bm3d"}, 20),
}


def missing_packages(name: str) -> list[str]:
    """Packages that a denoiser of `CLASSICAL` needs and that are not installed."""
    packages = CLASSICAL[name].packages.items()
    return [package for p, package in packages if importlib.util.find_spec(p) is None]


def denoise(name: str, noisy: np.ndarray, parameters: Parameters) -> np.ndarray:
    """Denoises images, each by itself.

    Args:
      name: a key of `CLASSICAL`.
      noisy: the noisy images, (N, H, W, C).
      parameters: the denoiser's parameters.

    Returns:
      The denoised images, (N, H, W, C) float32, clipped to [0, 1].
    """
    check_images(noisy, "noisy")
    images = CLASSICAL[name].denoise(np.asarray(noisy), **parameters)
    return np.clip(images, 0, 1).astype(np.float32)


def tune(
    name: str, noisy: np.ndarray, clean: np.ndarray
) -> tuple[Parameters, list[float]]:
    """Finds the parameters of least mean squared error.

    Args:
      name: a key of `CLASSICAL`.
      noisy: the noisy images, (N, H, W, C).
      clean: the same images without noise.

    Returns:
      The best point of the denoiser's grid, the first if several are equally good,
      and the errors of all points.
    """
    grid = CLASSICAL[name].grid
    errors = [float(((denoise(name, noisy, p) - clean) ** 2).mean()) for p in grid]
    return grid[int(np.argmin(errors))], errors
