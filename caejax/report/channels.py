"""Images of any number of channels as pictures: grey, colour, or one by one."""

import numpy as np
from matplotlib.axes import Axes

from caejax.report.style import bare


def planes(images: np.ndarray) -> int:
    """How many pictures an image (..., H, W, C) takes: C, but one if grey or colour."""
    channels = images.shape[-1]
    return 1 if channels in (1, 3) else channels


def grey(images: np.ndarray) -> np.ndarray:
    """Colours as their mean, (..., H, W, 1); other numbers of channels as they are."""
    return images.mean(-1, keepdims=True) if planes(images) == 1 else images


def apart(image: np.ndarray) -> np.ndarray:
    """The channels of an image one below the other, with white between them.

    Args:
      image: the image, (H, W, C) in [0, 1].

    Returns:
      The image itself if it has one channel or three, else (H', W, 1).
    """
    count = planes(image)
    if count == 1:
        return image
    gap = np.ones((gap_of(image), *image.shape[1:]))
    spaced = np.moveaxis(np.concatenate([image, gap]), -1, 0)
    return np.concatenate(list(spaced))[: -len(gap), :, None]


def gap_of(image: np.ndarray) -> int:
    """The number of white rows between the channels of an image (H, W, C)."""
    return max(1, len(image) // 28)


def aspect(image: np.ndarray) -> float:
    """Height over width of an image (H, W, C) as it is drawn."""
    return planes(image) * image.shape[0] / image.shape[1]


def show_image(axis: Axes, image: np.ndarray) -> None:
    """Draws one (H, W, C) image in [0, 1] without axes.

    Other numbers of channels than one and three are drawn one below the other, with
    their numbers on the left of a figure's first column.
    """
    picture = apart(image)
    axis.imshow(
        picture.squeeze(-1) if picture.shape[-1] == 1 else picture, vmin=0, vmax=1
    )
    bare(axis)
    count, place = planes(image), axis.get_subplotspec()
    if count > 1 and (place is None or place.is_first_col()):
        centres = np.arange(count) * (len(image) + gap_of(image)) + len(image) / 2
        number_channels(axis, centres)


def number_channels(axis: Axes, centres: np.ndarray) -> None:
    """Writes the channels' numbers on the left of an axis, at these heights."""
    names = [f"ch {number}" for number in range(1, len(centres) + 1)]
    axis.set_yticks(centres, names, fontsize=5)
    axis.tick_params(axis="y", length=0, pad=1)
