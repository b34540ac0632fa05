"""Finished runs of caejax, and models of them, as functions that can be watched."""

from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from caejax.diagnose import probe
from caejax.inference import trained


def input_shape(workdir: Path) -> tuple[int | None, ...]:
    """(C, H, W) of a run's images; None for sides that may be any."""
    found = trained.find(workdir)
    height, width, channels = found.model.shape
    if trained.takes_side(found, 2 * max(height, width)):
        return channels, None, None
    return channels, height, width


def as_function(workdir: Path) -> Callable[[np.ndarray], np.ndarray]:
    """A run's model, from images (1, C, H, W) in [0, 1] to such images."""
    found = trained.load(workdir)
    run = trained.reconstruct(found)

    def model(image):
        return np.moveaxis(np.asarray(run(np.moveaxis(image, 1, -1))), -1, 1)

    return model


def as_layers(
    found: trained.Trained,
) -> tuple[Callable[[jax.Array], jax.Array], np.ndarray]:
    """A trained model, up to its linear output, and an example of its inputs."""
    *sides, channels = found.model.shape
    if trained.takes_side(found, 2 * max(sides)):
        sides = [n * -(-probe.SIDE // n) for n in sides]
    rng = np.random.default_rng(0)
    example = rng.uniform(size=(1, *sides, channels)).astype(np.float32)

    # As layers, and not as the products that a CPU makes of them.
    model = found.model
    if hasattr(model, "path"):
        model = model.clone(path="stock")

    def run(x):
        return model.apply({"params": found.params}, x)

    return run, example
