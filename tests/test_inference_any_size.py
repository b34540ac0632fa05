"""Tests of models on images of any size."""

import jax
import numpy as np
import pytest

from caejax.config import default
from caejax.inference import any_size
from caejax.inference.tiles import Axis, blend, cut, fade
from caejax.inference.trained import Trained, in_batches, reconstruct
from caejax.models.autoencoders import create_model


def model(encoder="conv", shape=(16, 16, 1), **settings):
    """An untrained model; any parameters show what tiling does."""
    config = default()
    own = create_model(encoder, shape=shape, latent_channels=3, **settings)
    params = own.init(jax.random.key(0), np.zeros((1, *shape), np.float32))["params"]
    return Trained(config, own, params)


@pytest.fixture(scope="module")
def conv():
    return model(widths=(4, 4), upsampling="bilinear_k3")


def test_small_tiles_give_what_the_whole_image_gives_inside(conv, normal):
    image = np.abs(normal(150, 130, 1))
    whole = np.asarray(reconstruct(conv)(image[None]))[0]
    # Two poolings, bilinear: a pixel depends on those up to 21 away at most.
    both = tuple(Axis(n, 96, 64, margin=22) for n in image.shape[:2])
    tiles = in_batches(reconstruct(conv), cut(image, *both), size=4)
    inside = slice(None, -22)
    np.testing.assert_allclose(
        blend(tiles, *both)[inside, inside], whole[inside, inside], atol=1e-5
    )


def test_large_images_have_no_seams(conv, normal, monkeypatch):
    image = np.abs(normal(300, 200, 1))
    whole = np.asarray(reconstruct(conv)(image[None]))[0]
    shares = []
    monkeypatch.setattr(any_size, "SIDES", (64, 128))
    tiled = any_size.apply(reconstruct(conv), conv, image, shares.append)
    ((rows, columns),) = any_size.plan(conv, (300, 200))
    assert (rows.tile, rows.count, columns.count) == (128, 3, 2)
    assert sum(shares) == pytest.approx(1)
    inside = slice(None, -22)
    np.testing.assert_allclose(tiled[inside, inside], whole[inside, inside], atol=1e-3)


def test_convolutional_models_take_their_own_size_or_large_tiles(conv):
    sides = {
        size: any_size.plan(conv, size)[0][0].tile
        for size in [(1, 1), (16, 16), (17, 3), (65, 2), (513, 9)]
    }
    assert list(sides.values()) == [16, 16, 64, 128, 512]


def test_dense_models_take_their_own_size_only(normal):
    for encoder in ("dense", "tied_dense"):
        settings = {"widths": ()} if encoder == "dense" else {}
        dense = model(encoder, shape=(6, 4, 1), **settings)
        (rows, columns), (shifted, _) = any_size.plan(dense, (20, 4))
        assert (rows.tile, rows.overlap, columns.tile, columns.count) == (6, 3, 4, 1)
        image = np.abs(normal(20, 4, 1))
        output = any_size.apply(reconstruct(dense), dense, image)
        assert output.shape == image.shape
        assert (rows.starts[2:4], shifted.starts[2:5]) == ([6, 9], [5, 8, 11])
        tiles = np.stack([image[i : i + 6] for i in (5, 6, 8, 9, 11)])
        a, b, c, d, e = np.asarray(reconstruct(dense)(tiles))
        w = fade(rows)[:, None, None]
        first = (1 - w) * b[3:] + w * d[:3]  # pixels 9 to 11
        # 8 to 10, of which 9 and 10 are wanted, and 11 to 13, of which 11 is.
        second = np.concatenate(
            [((1 - w) * a[3:] + w * c[:3])[1:], ((1 - w) * c[3:] + w * e[:3])[:1]]
        )
        np.testing.assert_allclose(output[9:12], (first + second) / 2, atol=1e-6)


def test_what_depends_on_the_place_in_a_tile_repeats_with_its_quarter(normal):
    dense = model("dense", shape=(8, 8, 1), widths=())
    always = normal(8, 8, 1)

    def function(tiles):
        return np.broadcast_to(always, tiles.shape)

    output = any_size.apply(function, dense, np.zeros((40, 30, 1), np.float32))
    inside = output[8:-8, 8:-8]
    np.testing.assert_allclose(inside[2:], inside[:-2], atol=1e-6)
    np.testing.assert_allclose(inside[:, 2:], inside[:, :-2], atol=1e-6)
    assert inside.std() > 0.1  # it is still there


def test_small_images_are_filled_up_around(conv, normal):
    image = np.abs(normal(3, 16, 1))
    filled = np.pad(image, ((6, 7), (0, 0), (0, 0)), mode="edge")
    expected = np.asarray(reconstruct(conv)(filled[None]))[0, 6:9]
    output = any_size.apply(reconstruct(conv), conv, image)
    np.testing.assert_allclose(output, expected, atol=1e-6)
