"""What is measured, as plain data."""

from typing import NamedTuple

import jax

from caejax.corruptions import Chosen
from caejax.models.layers import ACTIVATIONS
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


class Output(NamedTuple):
    """What becomes of a model's linear output; the same for many models.

    Attributes:
      activation: a name of `caejax.models.layers.ACTIVATIONS`.
    """

    activation: str

    def to_image(self, linear: jax.Array) -> jax.Array:
        """As the model's."""
        return ACTIVATIONS[self.activation](linear)
