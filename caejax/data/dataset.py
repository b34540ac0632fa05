"""The one in-memory dataset that every source returns."""

from typing import NamedTuple

import numpy as np


class Split(NamedTuple):
    """One part of a dataset.

    Attributes:
      images: the images, (N, H, W, C) float32 in [0, 1].
      labels: the labels, (N,) int32, or None where the source has none.
    """

    images: np.ndarray
    labels: np.ndarray | None = None


class Dataset(NamedTuple):
    """Train, validation and test parts; validation never overlaps train."""

    train: Split
    val: Split
    test: Split
