"""Which codes are near which."""

import numpy as np
from scipy.spatial.distance import cdist

_BLOCK = 256


def nearest(
    queries: np.ndarray, codes: np.ndarray, k: int, own: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest codes of each query by Euclidean distance.

    Args:
      queries: (Q, D).
      codes: (N, D).
      k: The number of neighbours, at most N, or N - 1 with own.
      own: (Q,), the index of each query among the codes, where it is left out.

    Returns:
      Indices into codes (Q, k), nearest first and of equals the lower index
      first, and distances (Q, k).
    """
    indices = np.empty((len(queries), k), np.int64)
    distances = np.empty((len(queries), k))
    for first in range(0, len(queries), _BLOCK):
        block = slice(first, first + _BLOCK)
        all_distances = cdist(queries[block], codes)
        if own is not None:
            all_distances[np.arange(len(all_distances)), own[block]] = np.inf
        order = np.argsort(all_distances, axis=1, kind="stable")[:, :k]
        indices[block] = order
        distances[block] = np.take_along_axis(all_distances, order, axis=1)
    return indices, distances
