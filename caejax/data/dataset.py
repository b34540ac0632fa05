"""The one in-memory dataset that every source returns."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

PARTS = ("train", "val", "test")


class Split(NamedTuple):
    """One part of a dataset.

    Attributes:
      images: the images, (N, H, W, C) float32 in [0, 1].
      labels: the labels, (N,) int32, or None where the source has none.
      origin: what they were read from: hashes of contents, hexadecimal, by the name of
        a file or an array, in the order of the images; {} where they are generated.
    """

    images: np.ndarray
    labels: np.ndarray | None = None
    origin: Mapping[str, str] = MappingProxyType({})


class Dataset(NamedTuple):
    """Train, validation and test parts; validation never overlaps train.

    Attributes:
      train, val, test: the parts.
      note: a line about what was found and what was left out; "" where images are
        generated.
    """

    train: Split
    val: Split
    test: Split
    note: str = ""
