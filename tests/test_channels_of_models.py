"""Tests of models that are made from those of other channels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from caejax.config.load import load_config
from caejax.models.channels import in_channels
from caejax.models.named import from_arrays, named_arrays
from caejax.training.task import model_from_config


def make(channels, **fields):
    config = load_config("denoiser_gray")
    config.data.channels, config.data.image_size = channels, (16, 16)
    config.model.widths, config.model.decoder_widths = (4, 8), (8, 3)
    config.model.latent_channels = 3
    config.model.update(fields)
    return model_from_config(config)


def draw(model):
    image = jnp.zeros((1, *model.shape))
    params = model.init(jax.random.key(0), image)["params"]
    keys = iter(jax.random.split(jax.random.key(1), 99))
    return jax.tree.map(
        lambda x: x + 0.1 * jax.random.normal(next(keys), x.shape), params
    )


def test_a_colour_model_does_to_an_image_what_the_grey_one_does_to_its_mean():
    grey, colour = make(1), make(3)
    params = draw(grey)
    arrays = in_channels(named_arrays(params), grey, colour)
    own = from_arrays(colour, arrays, "grey")
    images = jax.random.uniform(jax.random.key(2), (2, 16, 16, 3))
    mean = images.mean(-1, keepdims=True)
    noise = grey.apply({"params": params}, mean) - mean
    np.testing.assert_allclose(
        colour.apply({"params": own}, images) - images,
        jnp.broadcast_to(noise, images.shape),
        rtol=1e-4,
        atol=1e-5,
    )


def test_a_grey_model_makes_the_mean_of_what_the_colour_one_makes():
    grey, colour = make(1, residual=False), make(3, residual=False)
    params = draw(colour)
    own = from_arrays(grey, in_channels(named_arrays(params), colour, grey), "colour")
    image = jax.random.uniform(jax.random.key(2), (1, 16, 16, 1))
    three = colour.apply({"params": params}, jnp.repeat(image, 3, -1))
    np.testing.assert_allclose(
        grey.apply({"params": own}, image),
        three.mean(-1, keepdims=True),
        rtol=1e-4,
        atol=1e-5,
    )


def test_there_and_back_is_the_same():
    grey, colour = make(1), make(3)
    arrays = named_arrays(draw(grey))
    back = in_channels(in_channels(arrays, grey, colour), colour, grey)
    assert set(back) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_allclose(back[name], array, rtol=1e-6)


@pytest.mark.parametrize("fields", [{"widths": (4, 9)}, {"skips": "none"}, {}])
def test_other_models_are_left_alone(fields):
    """Also one of the same channels, and where latent channels alone would fit."""
    there = make(1 if fields else 3, **fields)
    arrays = named_arrays(draw(there))
    assert in_channels(arrays, there, make(3)) is arrays
