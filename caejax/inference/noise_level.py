"""The level of the noise in an image, for models that are to be told it."""

import numpy as np

from caejax.errors import CaejaxError
from caejax.metrics.units import GREYS
from caejax.parameters import within

_WANTED = "the noise's standard deviation as a number from 0 to 255, or leave it out"

# Daubechies' wavelet of two vanishing moments, its high-pass filter.
_HIGH = np.array([-0.482962913144690, 0.836516303737469, -0.224143868041857])
_HIGH = np.append(_HIGH, -0.129409522550921)
_MEDIAN = 0.6744897501960817  # of the absolute value of a standard normal number


def estimate(image: np.ndarray) -> float:
    """Standard deviation of Gaussian noise in an image, from its finest details.

    The median absolute value of the diagonal wavelet coefficients over that of a
    standard normal number (Donoho & Johnstone, "Ideal spatial adaptation by wavelet
    shrinkage", 1994), mean over channels. Failure modes: fine texture is taken for
    noise, which counts where there is little; noise that is clipped, or that
    neighbours share, is underestimated.

    Args:
      image: the image, (H, W, C), in [0, 1] but for the noise.

    Returns:
      The standard deviation in the image's own units; 0 where a side has fewer than
      four pixels.
    """
    if min(image.shape[:2]) < len(_HIGH):
        return 0.0
    details = image.astype(np.float64)
    for axis in (0, 1):
        windows = np.lib.stride_tricks.sliding_window_view(details, len(_HIGH), axis)
        details = np.moveaxis(np.moveaxis(windows, axis, 0)[::2], 0, axis) @ _HIGH
    return float(np.mean(np.median(np.abs(details), axis=(0, 1)) / _MEDIAN))


def with_level(
    images: np.ndarray, noise_map: bool, level: float | None = None
) -> np.ndarray:
    """Images as a model with a noise map takes them: the level is the last channel.

    Args:
      images: the images (N, H, W, C).
      noise_map: whether the model has a noise map; if not, they stay as they are.
      level: the noise's standard deviation in grey levels of 255; None to estimate that
        of each image.

    Returns:
      (N, H, W, C) or (N, H, W, C + 1), float32.

    Raises:
      CaejaxError: a level that is none, or for a model that is not told one.
    """
    if level is not None:
        level = within(level, "level", 0, GREYS, _WANTED)
    if not noise_map:
        if level is not None:
            raise CaejaxError(
                f"a noise level of {level:g} is given, but the model is not told one: "
                "it finds out by itself; leave it out"
            )
        return images
    if level is None:
        levels = np.array([estimate(image) for image in images])
    else:
        levels = np.full(len(images), level / GREYS)
    shape = (*images.shape[:3], 1)
    maps = np.broadcast_to(levels.reshape(-1, 1, 1, 1), shape)
    return np.concatenate([images, maps], axis=-1).astype(np.float32)
