"""The one in-memory dataset that every source becomes."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

PARTS = ("train", "val", "test")


class Part(NamedTuple):
    """One part of a dataset as a source has read it.

    Attributes:
      images: the images, (N, H, W, C) uint8, or float in [0, 1].
      labels: the labels, (N,) integers, or None where the source has none.
      origin: what was read: hashes of contents, hexadecimal, by the name of a file or
        an array, in the order of the images; {} where they are generated.
    """

    images: np.ndarray
    labels: np.ndarray | None = None
    origin: Mapping[str, str] = MappingProxyType({})


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


class Found(NamedTuple):
    """A dataset, and where it comes from.

    Attributes:
      dataset: the parts.
      origins: the origin of each part, by name; of a validation part the one of the
        part that it was taken from.
      note: a line about what was found and what was left out; "" where images are
        generated.
    """

    dataset: Dataset
    origins: Mapping[str, Mapping[str, str]]
    note: str
