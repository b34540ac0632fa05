"""Tests of the estimate of an image's noise, and of how models are told it."""

import jax
import numpy as np
import pytest
from helpers.layers import random_variables
from skimage.restoration import estimate_sigma

from caejax.errors import CaejaxError
from caejax.inference.noise_level import estimate, with_level
from caejax.inference.trained import Trained, reconstruct
from caejax.models.conv import ConvAutoencoder


@pytest.fixture
def smooth():
    """A colour image without details."""
    y, x = np.mgrid[:120, :161]
    return np.stack([np.sin(y / 40), np.cos(x / 30), (x + y) / 300], -1) / 3 + 0.5


@pytest.mark.parametrize("level", [0.02, 0.1, 0.5])
def test_it_is_that_of_scikit_image(level, smooth, normal):
    noisy = smooth + level * normal(*smooth.shape)
    theirs = np.mean(estimate_sigma(noisy, channel_axis=-1))
    assert estimate(noisy) == pytest.approx(theirs, rel=0.01)
    assert estimate(noisy) == pytest.approx(level, rel=0.05)
    assert estimate(noisy + 0.3) == pytest.approx(estimate(noisy), rel=1e-6)


def test_without_noise_or_room_there_is_none(smooth):
    assert estimate(smooth) < 1e-3
    assert estimate(smooth[:3]) == 0


def test_a_model_that_is_told_sees_the_level(normal):
    model = ConvAutoencoder(
        shape=(8, 8, 3),
        widths=(4,),
        latent_channels=2,
        upsampling="nearest_k3",
        output_activation="linear",
        noise_map=True,
    )
    variables, images = random_variables(model, normal), normal(2, 8, 8, 3) / 9 + 0.5
    run = reconstruct(Trained(None, model, variables["params"]))
    for level, given in ((51 / 255, 51.0), (None, None)):
        seen = with_level(images, model.noise_map, given)
        levels = [estimate(image) if level is None else level for image in images]
        expected = jax.jit(model.apply)(variables, images, np.float32(levels))
        np.testing.assert_allclose(run(seen), expected.clip(0, 1), atol=1e-6)
    with pytest.raises(CaejaxError, match="is not told one"):
        with_level(images, False, 25.0)
    assert with_level(images, False) is images


@pytest.mark.parametrize("level", ["25", -1, 300, np.nan, [25], np.ones(2)])
@pytest.mark.parametrize("noise_map", [False, True])
def test_what_is_no_level_is_told(level, noise_map):
    with pytest.raises(CaejaxError, match=r"level is .* number from 0 to 255"):
        with_level(np.zeros((1, 8, 8, 1)), noise_map, level)
