"""What is measured, as plain data."""

from typing import NamedTuple

from caejax.models.autoencoders import Autoencoder


class Subject(NamedTuple):
    """What is measured, as far as compiled programs depend on it.

    Attributes:
      model: the Linen module.
      loss: a name of `caejax.losses.LOSSES`.
      corruption: a name of `caejax.corruptions.CORRUPTIONS`.
      chunk: images a device takes at a time, about; 0 for all.
    """

    model: Autoencoder
    loss: str
    corruption: str
    chunk: int = 0
