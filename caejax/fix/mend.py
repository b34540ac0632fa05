"""One change of a model's weights."""

from typing import Any, NamedTuple

import numpy as np


class Mend(NamedTuple):
    """What is to be written into a layer, or several that share it.

    Attributes:
      name: of the layer.
      steps: its operations, whose kernel, biases or scales these are.
      holds: where the model keeps what is replaced; see `Step`.
      old: what is there, laid out as `Step.weight` or `Step.bias` is.
      new: what replaces it.
      shape: as the model has it, if that is another.
      what: "kernel", "bias", or "scale" of other numbers that each channel has.
    """

    name: str
    steps: tuple[int, ...]
    holds: Any
    old: np.ndarray
    new: np.ndarray
    shape: tuple[int, ...] | None = None
    what: str = "kernel"

    @property
    def moved(self) -> float:
        """By how much, relative to what was there: the ratio of the norms."""
        old, new = (np.asarray(x, np.float64) for x in (self.old, self.new))
        size = float(np.linalg.norm(old))
        return float(np.linalg.norm(new - old)) / max(size, 1e-300)
