"""Tests of the nearest codes."""

import numpy as np

from caejax.inference.neighbours import nearest


def test_neighbours_by_hand():
    codes = np.array([[0.0, 0], [3, 4], [0, 1], [0, -1], [9, 9]])
    indices, distances = nearest(codes[:2], codes, 3, own=np.array([0, 1]))
    assert indices.tolist() == [[2, 3, 1], [2, 0, 3]]
    np.testing.assert_allclose(distances, [[1, 1, 5], np.sqrt([18, 25, 34])])
    indices, distances = nearest(codes[4:], codes, 1)
    assert (indices.tolist(), distances.tolist()) == ([[4]], [[0]])


def test_neighbours_agree_with_all_distances(normal):
    queries, codes = normal(300, 5), normal(70, 5)
    expected = np.linalg.norm(queries[:, None] - codes[None], axis=-1)
    indices, distances = nearest(queries, codes, 4)
    np.testing.assert_array_equal(indices, np.argsort(expected, axis=1)[:, :4])
    np.testing.assert_allclose(distances, np.sort(expected, axis=1)[:, :4], rtol=1e-5)
