"""Autoencoders by name; what they all answer, `caejax.models.protocol` says."""

import dataclasses

from caejax.models.conv import ConvAutoencoder
from caejax.models.dense import DenseAutoencoder
from caejax.models.layered import LayersAutoencoder
from caejax.models.protocol import Autoencoder
from caejax.models.tied_dense import TiedDenseAutoencoder

__all__ = ["MODELS", "Autoencoder", "create_model"]

# The fields of their config sections stand in caejax.config.sections.
MODELS: dict[str, type[Autoencoder]] = {
    "conv": ConvAutoencoder,
    "layers": LayersAutoencoder,
    "dense": DenseAutoencoder,
    "tied_dense": TiedDenseAutoencoder,
}


def create_model(encoder: str, **settings) -> Autoencoder:
    """Makes an autoencoder by name.

    Args:
      encoder: the model's name, a key of `MODELS`.
      **settings: attributes of any of the models; those that this one does not
        have are left out, so one set of settings serves all.

    Returns:
      A Linen module with `encode`, `decode` and `__call__`.

    Raises:
      TypeError: a setting that no model has.
    """
    fields = {name: _field_names(model) for name, model in MODELS.items()}
    unknown = set(settings).difference(*fields.values())
    if unknown:
        raise TypeError(f"no model has the settings {sorted(unknown)}")
    own = {k: v for k, v in settings.items() if k in fields[encoder]}
    return MODELS[encoder](**own)


def _field_names(model):
    return {field.name for field in dataclasses.fields(model)}
