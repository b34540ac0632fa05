"""Tests of what runs a trained model in batches."""

import numpy as np

from caejax.inference.trained import in_batches


def test_batches_are_of_one_size_and_lose_nothing():
    sizes, done = [], []

    def double(x, y):
        sizes.append(len(x))
        return x + y

    items = np.arange(7)
    outputs = list(in_batches(double, items, items, size=3, advance=done.append))
    assert outputs == [0, 2, 4, 6, 8, 10, 12]
    assert (sizes, done) == ([3, 3, 3], [3, 3, 1])
