"""Images drawn at random."""

import numpy as np

SHAPE = (4, 3, 2)


def correlated_images():
    """Makes a function that draws images in [0, 1], or noisy ones.

    They are of `SHAPE`, and their pixels go together.
    """
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(24, 24)) / 5

    def draw(count, sigma=0.0):
        x = 1 / (1 + np.exp(-2 * rng.normal(size=(count, 24)) @ mixing))
        x += sigma * rng.normal(size=x.shape)
        return x.reshape(count, *SHAPE).astype(np.float32)

    return draw
