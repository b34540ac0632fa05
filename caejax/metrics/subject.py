"""What is measured, as plain data."""

from typing import NamedTuple

from caejax.corruptions import Chosen
from caejax.models.protocol import Autoencoder
from caejax.parameters import Choice


class Subject(NamedTuple):
    """What is measured, as far as compiled programs depend on it.

    Attributes:
      model: the Linen module.
      loss: the loss, as `caejax.losses.choose` returns it.
      corruption: the corruption, as `caejax.corruptions.choose` returns it.
      chunk: about how many images a device takes at a time; 0 for all.
    """

    model: Autoencoder
    loss: Choice
    corruption: Chosen
    chunk: int = 0
