"""Tests of what is looked at in convolutional models."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.runs import new_state
from helpers.tiny import tiny_config

from caejax.config import override
from caejax.corruptions import choose
from caejax.losses import LOSSES
from caejax.metrics import checkerboard, evaluator, pictures, probes
from caejax.metrics.evaluator import probe
from caejax.metrics.noise import corrupt_examples
from caejax.ops.images import as_float
from caejax.training.images import load_images
from caejax.training.task import subject_of, task_from_config


@pytest.fixture(scope="module")
def tiny():
    """Subject, parameters and test images."""
    config = tiny_config()
    task = task_from_config(config, total_steps=1)
    return subject_of(task), new_state(task).params, load_images(config)["test"]


def test_gradients_are_those_of_the_loss_for_the_corrupted_input(tiny, key):
    subject, params, images = tiny
    noisy = corrupt_examples(
        choose("gaussian"), key, images, jnp.arange(len(images)), 0.3
    )

    def loss(noisy):
        linear = subject.model.apply({"params": params}, noisy)
        return LOSSES["bce"].per_image(linear, images).sum()

    gradient = jax.jit(jax.grad(loss))(noisy)
    found = probe(subject, params, images, key, 0.3, "init")
    gradients = {name: x for name, x in found.items() if name.startswith("grad")}
    assert gradients == pytest.approx(
        {
            f"grad_phase_db_s{s}": float(checkerboard.grad_phase_db(gradient, s))
            for s in (2, 4, 8)
        },
        abs=1e-3,
    )


def test_gradients_are_of_images_over_the_whole_split(tiny, key, monkeypatch):
    """Neighbours may be patches of one photograph, so the first ones are not enough."""
    subject, params, images = tiny
    metrics = evaluator._having(evaluator.due("init"), "gradient")
    rest = subject, params
    chosen = np.array([0, (len(images) - 1) // 2, len(images) - 1])
    monkeypatch.setattr(probes, "GRADIENT_IMAGES", len(chosen))
    found = probes.gradient_values(metrics, *rest, images, key, 0.3)
    other = np.zeros_like(images)
    other[chosen] = images[chosen]
    assert found == probes.gradient_values(metrics, *rest, other, key, 0.3)
    other[chosen[1:]] = 0
    assert found != probes.gradient_values(metrics, *rest, other, key, 0.3)


def test_the_start_is_measured_in_each_way(tiny, key):
    values = probe(*tiny, key, 0.3, "init")
    names = ("dc_ripple_db", "dc_ripple_image_db", "dc_ripple_relative_db")
    names += ("dc_ripple_grey", "dc_ripple_image_grey", "ripple_visibility")
    names += ("ramp_ripple_db", "ramp_ripple_grey", "grad_phase_db", "overlap_db")
    assert set(values) == {f"{name}_s{s}" for name in names for s in (2, 4, 8)}
    # A decoder of two stages has no pattern of period 8 of its own.
    assert values["overlap_db_s8"] == values["overlap_db_s4"]


def layered(*, image_size, encoder, decoder):
    """Subject, parameters and test images of a model given layer by layer."""
    config = tiny_config()
    config.data.image_size = image_size
    override(config, "model.encoder", "layers")
    config.model.encoder_layers = encoder
    config.model.decoder_layers = decoder
    task = task_from_config(config, total_steps=1)
    return subject_of(task), new_state(task).params, load_images(config)["test"]


def test_layers_of_sizes_of_their_own_are_looked_into(key):
    """Sides of 2, 6, 10, ... pixels are kept, others are not."""
    subject, params, images = layered(
        image_size=14,
        encoder=("conv3 2 relu", "pool", "pool valid"),
        decoder=("deconv_k3 4 valid relu", "nearest_k3 1"),
    )
    values = probe(subject, params, images, key, 0.3, "init")
    assert values["dc_ripple_db_s4"] > -60
    assert values["overlap_db_s2"] > 4
    arrays = pictures.samples(subject, params, images, key, 0.3)
    np.testing.assert_allclose(
        arrays["gallery_input"][5, 3, :, 0], np.linspace(0, 1, 32), atol=1e-6
    )
    assert arrays["gallery_ripple"].shape == (8, 32, 32, 1)


def test_layers_that_keep_one_size_only_have_no_gallery(key):
    subject, params, images = layered(
        image_size=14,
        encoder=("conv3 2", "pool", "pool"),
        decoder=("nearest 7/4", "nearest 2", "conv3 1"),
    )
    values = probe(subject, params, images, key, 0.3, "init")
    assert values["dc_ripple_db_s8"] < -100
    assert "overlap_db_s2" not in values
    arrays = pictures.samples(subject, params, images, key, 0.3)
    assert set(arrays) == {"target", "input", "output", "flat"}


def test_models_without_a_lattice_have_nothing_to_show(key):
    config = tiny_config()
    config.model.encoder = "dense"
    task, images = task_from_config(config, 1), load_images(config)["test"]
    params, subject = new_state(task).params, subject_of(task)
    for when in ("init", "probe", "test"):
        assert probe(subject, params, images, key, 0.3, when) == {}
    arrays = pictures.samples(subject, params, images, key, 0.3)
    assert set(arrays) == {"target", "input", "output"}


def test_samples_are_from_all_over_the_split(tiny, key):
    subject, params, images = tiny
    assert len(images) > pictures.SAMPLES
    arrays = pictures.samples(subject, params, images, key, 0.3)
    clean = as_float(images)
    index = jnp.arange(len(clean))
    noisy = corrupt_examples(subject.corruption, key, clean, index, 0.3)
    for name, all_images in (("target", clean), ("input", noisy)):
        shown = arrays[name]
        assert len(shown) == pictures.SAMPLES
        ends = all_images[jnp.array([0, -1])]
        np.testing.assert_allclose(shown[[0, -1]], ends, atol=1e-6)
        assert len({image.tobytes() for image in shown}) == pictures.SAMPLES
    few = pictures.samples(subject, params, images[:3], key, 0.3)
    np.testing.assert_array_equal(few["target"], clean[:3])


def test_gallery_shows_flat_colours_and_gradients(tiny, key):
    arrays = pictures.samples(*tiny, key, 0.3)
    inputs = arrays["gallery_input"]
    assert inputs.shape == (8, 32, 32, 1)
    for image, grey in zip(inputs, (0, 0.25, 0.5, 0.75, 1), strict=False):
        assert (image == grey).all()
    np.testing.assert_allclose(inputs[5, 3, :, 0], np.linspace(0, 1, 32), atol=1e-6)
    np.testing.assert_allclose(inputs[6, :, 3, 0], np.linspace(0, 1, 32), atol=1e-6)
    for name in ("gallery_output", "gallery_ripple"):
        assert arrays[name].shape == inputs.shape
    # The tiny model resizes by nearest neighbours, so flat inputs stay flat.
    assert np.abs(arrays["gallery_ripple"][:5]).max() < 1e-5


def test_gallery_of_colours():
    images = pictures.gallery_images(8, 4, 3)
    assert images.shape == (10, 16, 16, 3)
    assert images.min() == 0
    assert images.max() == 1
    assert (images[3] == [1, 0, 0]).all()
    # The outermost colours go on around the part that is shown.
    assert (images[7, :, :5] == 0).all()
    assert (images[7, :, -5:] == 1).all()


def test_trends_go_and_patterns_stay(normal):
    pattern = np.tile(normal(8, 8), (4, 4))
    pattern -= pattern.mean()
    y, x = np.mgrid[:32, :32].astype(np.float32)
    image = (pattern + 3 + 0.5 * y - 0.2 * x)[None, ..., None]
    rest = np.asarray(jax.jit(pictures.without_trend, static_argnums=1)(image, 8))
    inside = slice(4, -4)
    np.testing.assert_allclose(
        rest[0, inside, inside, 0], pattern[inside, inside], atol=1e-4
    )
