"""What the sources that draw their images have in common."""

import numpy as np

from caejax.errors import CaejaxError

MIN_SIZE = 8  # pixels a side, at which a digit can still be read


def check_request(
    train_size: int,
    test_size: int,
    image_size: tuple[int, int],
    channels: int,
    seed: int,
) -> None:
    """Raises CaejaxError for a request that no procedural source can meet."""
    for name, value in (("train_size", train_size), ("test_size", test_size)):
        if value < 0:
            raise CaejaxError(f"data.{name} is {value}: give 0 or more")
    if min(image_size) < MIN_SIZE:
        height, width = image_size
        raise CaejaxError(
            f"data.image_size is {height}x{width}: give at least {MIN_SIZE}x{MIN_SIZE}"
        )
    if channels not in (1, 3):
        raise CaejaxError(f"data.channels is {channels}: give 1 (grey) or 3 (colour)")
    if seed < 0:
        raise CaejaxError(f"data.seed is {seed}: give 0 or more")


def stream(seed: int, *where: int) -> np.random.Generator:
    """A generator that depends on `seed` and the place `where` it is used only."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=where))
