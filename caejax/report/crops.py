"""Parts of pictures, enlarged: where there is most to be seen."""

import itertools

import numpy as np

LARGE = 64  # pixels; of pictures with longer sides, parts are shown enlarged
TIMES = 4  # as large

Window = tuple[slice, slice]


def is_large(images: np.ndarray) -> bool:
    """Whether (B, H, W, C) are so large that a part is to be shown enlarged."""
    return min(images.shape[1:3]) > LARGE


def fullest(image: np.ndarray, size: tuple[int, int], border: int = 0) -> Window:
    """The window of an image (H, W, C), of (h, w) pixels, in which values vary most.

    Of windows that lie on a grid of five places each way.

    Args:
      image: the image.
      size: the window's height and width.
      border: pixels of each side that the window leaves out, as far as there is room.
    """
    (height, width), (h, w) = image.shape[:2], size
    corners = itertools.product(
        _places(height - h, border),
        _places(width - w, border),
    )
    y, x = max(corners, key=lambda c: image[c[0] : c[0] + h, c[1] : c[1] + w].std())
    return slice(int(y), int(y) + h), slice(int(x), int(x) + w)


def _places(last, border):
    """Five from a border to the other, of which the farthest without one is last."""
    border = min(border, last // 2)
    return np.linspace(border, last - border, 5).astype(int)


def enlarged(images: np.ndarray, windows: list[Window]) -> np.ndarray:
    """A window of each of (B, H, W, C), as large as the whole; pixels stay squares."""
    height, width = images.shape[1:3]
    parts = []
    for image, window in zip(images, windows, strict=True):
        part = image[window]
        rows = np.arange(height) * part.shape[0] // height
        columns = np.arange(width) * part.shape[1] // width
        parts.append(part[rows][:, columns])
    return np.stack(parts)


def windows_of(images: np.ndarray) -> list[Window]:
    """For each of (B, H, W, C), the fullest window, a quarter as high and as wide."""
    size = images.shape[1] // TIMES, images.shape[2] // TIMES
    return [fullest(image, size) for image in images]
