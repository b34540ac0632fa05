"""Means over photographs: patches of one are alike, and count as one."""

from collections.abc import Mapping

import numpy as np

MOST = 256  # groups that are kept; of more, neighbours are put together
PREFIX = "group_"


def group_means(
    each: Mapping[str, np.ndarray], index: np.ndarray, count: int, together: int
) -> dict[str, np.ndarray]:
    """Means of single images' values over the photographs that they come from.

    Where there are more photographs than are kept, or images are no patches, groups are
    of neighbours; for images that are independent of each other, that changes nothing
    but how many values there are.

    Args:
      each: values by name, (n,).
      index: which images of the split they are of, (n,).
      count: the number of images in the split.
      together: how many neighbouring images are patches of one photograph.

    Returns:
      group_NAME by name, (G,) float32, at most 256; NaN where no image is of a group.
    """
    photographs = -(-count // together)
    groups = min(MOST, photographs)
    group = np.asarray(index) // together * groups // photographs
    images = np.bincount(group, minlength=groups)
    with np.errstate(invalid="ignore"):
        return {
            PREFIX + name: (np.bincount(group, x, groups) / images).astype(np.float32)
            for name, x in each.items()
        }
