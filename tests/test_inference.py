"""Tiles, neighbours, mixtures and image files, against values known otherwise."""

import tracemalloc

import jax
import numpy as np
import pytest
from PIL import Image
from scipy.stats import multivariate_normal

from caejax.config import default
from caejax.errors import CaejaxError
from caejax.inference import any_size, image_files, mixture
from caejax.inference.neighbours import nearest
from caejax.inference.tiles import Axis, blend, cut, fade
from caejax.inference.trained import Trained, in_batches, reconstruct
from caejax.models.autoencoders import create_model


def axes(size, **tiling):
    return tuple(Axis(n, **tiling) for n in size)


def test_tiles_by_hand():
    rows, columns = Axis(2, 3, centred=True), Axis(6, 4, 1)
    assert (rows.count, rows.starts) == (1, [0])
    assert (columns.count, columns.length, columns.starts) == (2, 7, [0, 3])
    assert Axis(5, 8, centred=True).starts == [-1]
    assert Axis(8, 8, 4).count == 1
    assert Axis(9, 8, 4).starts == [0, 4]
    assert Axis(9, 8, 4, shift=2).starts == [-2, 2]
    assert Axis(9, 8, 4, shift=4).starts == [-4, 0, 4]
    image = np.arange(12.0).reshape(2, 6, 1)
    first, second = cut(image, rows, columns)
    below = [6, 7, 8, 9]  # the last row again
    np.testing.assert_array_equal(first[..., 0], [[0, 1, 2, 3], below, below])
    below = [9, 10, 11, 11]
    np.testing.assert_array_equal(second[..., 0], [[3, 4, 5, 5], below, below])


def test_fade_by_hand():
    # sin^2 at 22.5 and 67.5 degrees, one pixel of margin on both sides.
    half = np.sqrt(0.5) / 2
    expected = [0, 0.5 - half, 0.5 + half, 1]
    np.testing.assert_allclose(fade(Axis(9, 8, 4, margin=1)), expected, atol=1e-7)


TILINGS = [
    {"tile": 5, "overlap": 2},
    {"tile": 6, "overlap": 3, "centred": True},
    {"tile": 8, "overlap": 4, "margin": 1, "shift": 3},
    {"tile": 1},
    {"tile": 64, "overlap": 32},
]


@pytest.mark.parametrize("tiling", TILINGS)
@pytest.mark.parametrize("size", [(1, 1), (2, 7), (17, 30)])
def test_tiles_left_alone_are_the_image_bit_for_bit(normal, tiling, size):
    image = normal(*size, 2)
    both = axes(size, **tiling)
    np.testing.assert_array_equal(blend(cut(image, *both), *both), image)


@pytest.mark.parametrize("tiling", TILINGS[:3])
def test_weights_sum_to_one_without_a_step(tiling):
    size = (14, 23)
    rows, columns = axes(size, **tiling)
    shape, count = (rows.tile, columns.tile, 1), rows.count * columns.count
    weights = [
        blend((np.full(shape, float(i == j)) for j in range(count)), rows, columns)
        for i in range(count)
    ]
    assert min(w.min() for w in weights) >= 0
    np.testing.assert_allclose(sum(weights), 1, atol=1e-6)
    # Half a cosine over r pixels rises by at most pi / (2 r) from one to the next.
    steepest = np.pi / 2 / (rows.overlap - 2 * rows.margin)
    steps = [np.abs(np.diff(w, axis=axis)).max() for w in weights for axis in (0, 1)]
    assert max(steps) <= steepest


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
    both = axes(image.shape[:2], tile=96, overlap=64, margin=22)
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


def test_memory_grows_with_the_image_alone():
    both = axes((1000, 2000), tile=64, overlap=16)
    image = np.zeros((1000, 2000, 1), np.float32)
    tracemalloc.start()
    blend(cut(image, *both), *both)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.3 * image.nbytes


def test_batches_are_of_one_size_and_lose_nothing():
    sizes, done = [], []

    def double(x, y):
        sizes.append(len(x))
        return x + y

    items = np.arange(7)
    outputs = list(in_batches(double, items, items, size=3, advance=done.append))
    assert outputs == [0, 2, 4, 6, 8, 10, 12]
    assert (sizes, done) == ([3, 3, 3], [3, 3, 1])


def test_neighbours_by_hand():
    codes = np.array([[0.0, 0], [3, 4], [0, 1], [0, -1], [9, 9]])
    indices, distances = nearest(codes[:2], codes, 3, own=np.array([0, 1]))
    assert indices.tolist() == [[2, 3, 1], [2, 0, 3]]
    np.testing.assert_allclose(distances, [[1, 1, 5], np.sqrt([18, 25, 34])])
    indices, distances = nearest(codes[4:], codes, 1)
    assert (indices.tolist(), distances.tolist()) == ([[4]], [[0]])


def test_neighbours_agree_with_all_distances(normal):
    queries, codes = normal(300, 5), normal(70, 5)
    expected = np.linalg.norm(queries[:, None] - codes[None], axis=-1)
    indices, distances = nearest(queries, codes, 4)
    np.testing.assert_array_equal(indices, np.argsort(expected, axis=1)[:, :4])
    np.testing.assert_allclose(distances, np.sort(expected, axis=1)[:, :4], rtol=1e-5)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_one_gaussian_is_mean_and_covariance(normal, rng):
    codes = normal(200, 3) @ np.array([[1, 0.5, 0], [0, 2, 0], [0, 0, 0.1]]) + 5
    fitted, likelihood = mixture.fit(codes, 1, diagonal=False, rng=rng)
    covariance = np.cov(codes.T, bias=True)
    np.testing.assert_allclose(fitted.means[0], codes.mean(0), rtol=1e-6)
    np.testing.assert_allclose(fitted.covariances[0], covariance, atol=1e-5)
    reference = multivariate_normal(codes.mean(0), covariance).logpdf(codes).mean()
    assert likelihood == pytest.approx(reference, abs=1e-3)
    fitted, _ = mixture.fit(codes, 1, diagonal=True, rng=rng)
    np.testing.assert_allclose(fitted.covariances[0], codes.var(0), rtol=1e-3)


@pytest.mark.parametrize("diagonal", [False, True])
def test_densities_are_scipys(normal, diagonal):
    roots = normal(2, 3, 3).astype(np.float64)
    covariances = roots @ roots.swapaxes(1, 2) + np.eye(3)
    if diagonal:
        covariances = covariances.diagonal(axis1=1, axis2=2)
    both = mixture.Mixture(np.array([0.3, 0.7]), np.float64(normal(2, 3)), covariances)
    x = np.float64(normal(6, 3))
    # SciPy takes a vector for the diagonal, too.
    expected = [
        np.log(weight) + multivariate_normal(mean, covariance).logpdf(x)
        for weight, mean, covariance in zip(*both, strict=True)
    ]
    np.testing.assert_allclose(mixture.log_densities(both, x).T, expected, rtol=1e-9)


@pytest.mark.parametrize("diagonal", [False, True])
def test_a_mixture_is_found_again_from_its_draws(rng, diagonal):
    wide, narrow = np.array([4.0, 1.0]), np.array([0.25, 0.25])
    covariances = np.stack([wide, narrow])
    if not diagonal:
        covariances = np.stack([np.array([[4, 1.2], [1.2, 1]]), np.diag(narrow)])
    true = mixture.Mixture(
        np.array([0.25, 0.75]), np.array([[0.0, 0.0], [8.0, 3.0]]), covariances
    )
    draws = mixture.draw(true, 20_000, rng)
    steps = []
    fitted, _ = mixture.fit(draws, 2, diagonal=diagonal, rng=rng, advance=steps.append)
    order = np.argsort(fitted.weights)
    np.testing.assert_allclose(fitted.weights[order], true.weights, atol=0.01)
    np.testing.assert_allclose(fitted.means[order], true.means, atol=0.08)
    np.testing.assert_allclose(fitted.covariances[order], covariances, atol=0.15)
    assert 1 < len(steps) < mixture.STEPS


def test_dead_units_and_equal_codes_do_no_harm(rng):
    codes = np.zeros((30, 4))
    codes[:15, 1] = 1
    for values in (codes, np.zeros((30, 4))):
        for diagonal in (False, True):
            fitted, likelihood = mixture.fit(values, 3, diagonal=diagonal, rng=rng)
            assert np.isfinite(likelihood)
            assert np.isfinite(mixture.draw(fitted, 9, rng)).all()


def test_grey_and_colour_are_checked_against_the_model(tmp_path):
    Image.new("L", (2, 3), 51).save(tmp_path / "grey.png")
    Image.new("RGB", (2, 3), (51, 51, 51)).save(tmp_path / "plain.png")
    Image.new("RGB", (2, 3), (51, 0, 0)).save(tmp_path / "red.png")

    def read(name, channels, convert=False):
        return image_files.read(tmp_path / name, channels, convert=convert)

    grey = np.full((3, 2, 1), 0.2, np.float32)
    np.testing.assert_allclose(read("grey.png", 1), grey)
    np.testing.assert_allclose(read("plain.png", 1), grey)
    np.testing.assert_allclose(read("plain.png", 3), grey.repeat(3, axis=-1))
    np.testing.assert_allclose(
        read("grey.png", 3, convert=True), grey.repeat(3, axis=-1)
    )
    np.testing.assert_allclose(read("red.png", 1, convert=True), 0.299 * grey)
    for name, channels, words in (
        ("grey.png", 3, r"grey\.png is grey, .* add --convert"),
        ("red.png", 1, r"red\.png is in colour, .* add --convert"),
        ("red.png", 2, "images of 2 channels"),
    ):
        with pytest.raises(CaejaxError, match=rf"\A.*{words}.*\Z"):
            read(name, channels)


def test_names_are_told_apart():
    paths = [image_files.Path(p) for p in ("a/x.png", "x.jpg", "X.gif", "x-2.b.png")]
    names = image_files.output_names(paths, taken=["codes"])
    assert names == ["x", "x-2", "X-3", "x-2.b"]
    assert image_files.output_names([image_files.Path("codes.png")], ["codes"]) == [
        "codes-2"
    ]
