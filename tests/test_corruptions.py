"""Tests of the corruptions."""

import functools
import inspect
import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
import skimage.util
from PIL import Image

from caejax.config import default, override
from caejax.config.check import check
from caejax.corruptions import CORRUPTIONS, choose
from caejax.corruptions import corrupt as corrupt_by
from caejax.errors import CaejaxError
from caejax.parameters import resolve

CAMERA = ["poisson_gaussian", "speckle", "jpeg", "blur", "mixture"]
NOISES = ["gaussian", "masking", "salt_and_pepper", *CAMERA]
SHAPES = ["cross", "box"]
FUNCTIONS = {name: resolve(entry.function) for name, entry in CORRUPTIONS.items()}
COMPILED = {
    name: jax.jit(functools.partial(corrupt_by, choose(name))) for name in CORRUPTIONS
}
ONCE = jax.jit(corrupt_by, static_argnums=0)
LEVEL = 0.6
GREY = np.full((16, 30, 40, 3), 0.5, np.float32)


@pytest.fixture
def images():
    """Sixteen colour images, not square, of values in [0.2, 0.8]."""
    values = np.random.default_rng(0).uniform(0.2, 0.8, (16, 30, 40, 3))
    return np.float32(values)


def corrupt(name, key, images, level=LEVEL):
    return COMPILED[name](key, images, level)


def test_every_name_is_tested():
    assert list(CORRUPTIONS) == ["none", *NOISES, *SHAPES]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_signature(name):
    parameters = inspect.signature(FUNCTIONS[name]).parameters
    kinds = {name: parameter.kind for name, parameter in parameters.items()}
    positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
    own = CORRUPTIONS[name].params
    assert list(kinds) == ["key", "images", "level", *own]
    assert kinds == {
        "key": positional,
        "images": positional,
        **dict.fromkeys(["level", *own], inspect.Parameter.KEYWORD_ONLY),
    }
    defaults = {key: parameters[key].default for key in own}
    assert defaults == {key: own[key].default for key in own}


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("level", [LEVEL, np.float32(LEVEL)], ids=["weak", "float32"])
def test_keeps_shape_and_dtype(name, dtype, level, key):
    images = jax.ShapeDtypeStruct((2, 8, 9, 3), dtype)
    corrupted = jax.eval_shape(
        lambda x, level: corrupt(name, key, x, level), images, level
    )
    assert (corrupted.shape, corrupted.dtype) == (images.shape, dtype)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_keeps_the_range(name, key, images):
    images = np.round(images)  # wholly black and wholly white
    for level in (0.0, LEVEL, 1.0):
        y = np.asarray(corrupt(name, key, images, level))
        assert 0 <= y.min() <= y.max() <= 1


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_level_zero_changes_nothing(name, key, images):
    np.testing.assert_array_equal(corrupt(name, key, images, 0.0), images)


# Grey files of one quality are alike: see the tests of these two.
@pytest.mark.parametrize(
    "name", [x for x in (*NOISES, *SHAPES) if x not in ("jpeg", "mixture")]
)
def test_depends_on_the_key_and_on_the_image(name, images):
    first, again, other = (
        np.asarray(corrupt(name, jax.random.key(seed), images)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    y = np.asarray(corrupt(name, jax.random.key(1), GREY)).reshape(len(images), -1)
    assert len(np.unique(y, axis=0)) == len(images)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_level_may_be_static_or_traced(name, key, images):
    by_name = functools.partial(corrupt_by, choose(name))
    static = jax.jit(lambda key, x: by_name(key, x, LEVEL))(key, images)
    np.testing.assert_allclose(corrupt(name, key, images), static, atol=1e-6)


def test_none(key, images):
    np.testing.assert_array_equal(corrupt("none", key, images), images)


def test_gaussian_has_the_standard_deviation(key):
    images = GREY
    noise = np.asarray(corrupt("gaussian", key, images, 0.1)) - 0.5
    assert noise.std() == pytest.approx(0.1, rel=0.02)
    assert noise.mean() == pytest.approx(0, abs=0.002)
    assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.05


def test_gaussian_is_clipped(key):
    y = np.asarray(corrupt("gaussian", key, GREY, 0.5))
    # A normal number is beyond one standard deviation in 15.87 % on either side.
    assert (y == 0).mean() == pytest.approx(0.1587, abs=0.02)
    assert (y == 1).mean() == pytest.approx(0.1587, abs=0.02)


def test_noise_that_is_not_clipped_is_normal(key):
    images = np.full((3, 64, 64, 1), 0.9, np.float32)
    levels = np.array([0.0, 0.1, 0.4], np.float32)
    y = np.asarray(corrupt_by(choose("gaussian", clip=False), key, images, levels))
    np.testing.assert_array_equal(y[0], images[0])
    for noise, level in zip(y[1:] - images[1:], levels[1:], strict=True):
        assert noise.std() == pytest.approx(level, rel=0.05)
        assert (noise > level).mean() == pytest.approx(0.1587, abs=0.02)
    # Clipped, it is the same but for what is beyond.
    clipped = corrupt_by(choose("gaussian"), key, images, levels)
    np.testing.assert_array_equal(clipped, y.clip(0, 1))


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_level_each_is_that_of_the_image(name, key, images):
    levels = np.linspace(0.1, 0.9, len(images), dtype=np.float32)
    each = np.asarray(corrupt_by(choose(name), key, images, levels))
    for i in (0, 7, 15):
        one = corrupt_by(choose(name), key, images, levels[i])
        np.testing.assert_allclose(each[i], one[i], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "black", "white"), [("masking", 0.3, 0), ("salt_and_pepper", 0.15, 0.15)]
)
def test_rates(name, black, white, key):
    y = np.asarray(corrupt(name, key, GREY, 0.3))
    assert (y == 0).mean() == pytest.approx(black, abs=0.01)
    assert (y == 1).mean() == pytest.approx(white, abs=0.01)
    assert (y == 0.5).mean() == pytest.approx(0.7, abs=0.01)
    # All channels of a pixel share its fate.
    np.testing.assert_array_equal(y, np.broadcast_to(y[..., :1], y.shape))


@pytest.mark.parametrize("salt", [0.0, 0.25, 1.0])
def test_salt_is_a_share_of_the_changed(salt, key):
    choice = choose("salt_and_pepper", salt=salt)
    y = np.asarray(jax.jit(corrupt_by, static_argnums=0)(choice, key, GREY, 0.4))
    assert (y == 1).mean() == pytest.approx(0.4 * salt, abs=0.01)
    assert (y == 0).mean() == pytest.approx(0.4 * (1 - salt), abs=0.01)


def test_without_parameters_salt_and_pepper_is_what_it_was(key, images):
    def before(key, images, level):
        u = jax.random.uniform(key, (*images.shape[:-1], 1))
        return jnp.where(u < level / 2, 0, jnp.where(u < level, 1, images))

    for level in (0.1, 0.3, 0.77):
        now = jax.jit(corrupt_by, static_argnums=0)(
            choose("salt_and_pepper"), key, images, level
        )
        np.testing.assert_array_equal(now, jax.jit(before)(key, images, level))


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_what_the_table_says(name, key, images):
    entry, difference = CORRUPTIONS[name], corrupt(name, key, images, 0.3) - images
    changed = np.asarray(difference) != 0
    assert changed.any() == entry.changes == (entry.level is not None)
    assert changed.any(-1).sum() == changed.all(-1).sum()
    # Channels that change together all become the same; noise of its own does not.
    values = np.ptp(np.asarray(corrupt(name, key, images, 0.3)), axis=-1)
    same = (values[changed.all(-1)] == 0).all()
    assert same == (entry.channels != "each by itself")
    assert entry.noise == (name in NOISES)
    assert entry.gaussian == (name == "gaussian")
    assert (entry.task == "inpaint") == (name in SHAPES)


def test_level_one_leaves_nothing(key, images):
    assert not np.asarray(corrupt("masking", key, images, 1.0)).any()
    assert set(np.unique(corrupt("salt_and_pepper", key, images, 1.0))) == {0, 1}


def span(hits):
    """First and one past the last index, all between being hit."""
    first, *_, last = np.flatnonzero(hits) if hits.sum() > 1 else [hits.argmax()] * 2
    assert hits[first : last + 1].all()
    return first, last + 1


def blackened(name, seed, level, images):
    """The pixels of each image that are now black; the others are as before."""
    y = np.asarray(corrupt(name, jax.random.key(seed), images, level))
    black = (y == 0).all(-1)
    np.testing.assert_array_equal(y[~black], np.asarray(images)[~black])
    return black


def within(length, side, low, high):
    """A length of pixels between two shares of the side, up to rounding."""
    return side * low - 1 <= length <= side * high + 1


@pytest.mark.parametrize("level", [0.3, 0.6])
@pytest.mark.parametrize("seed", range(3))
def test_box_is_a_rectangle(level, seed, images):
    height, width = images.shape[1:3]
    for black in blackened("box", seed, level, images):
        rows, columns = black.any(1), black.any(0)
        np.testing.assert_array_equal(black, np.outer(rows, columns))
        for hits, side in [(rows, height), (columns, width)]:
            first, end = span(hits)
            assert within(end - first, side, level / 2, level)


@pytest.mark.parametrize("level", [0.4, 0.6])
@pytest.mark.parametrize("seed", range(3))
def test_cross_is_two_bars(level, seed, images):
    height, width = images.shape[1:3]
    for black in blackened("cross", seed, level, images):
        rows, columns = black.any(1), black.any(0)
        # The ends of each bar show how thick it is.
        thin_columns, thin_rows = black[rows.argmax()], black[:, columns.argmax()]
        bars = np.outer(rows, thin_columns) | np.outer(thin_rows, columns)
        np.testing.assert_array_equal(black, bars)
        for long, thin, side in [
            (rows, thin_rows, height),
            (columns, thin_columns, width),
        ]:
            (first, end), (start, stop) = span(long), span(thin)
            centre = (start + stop) / 2
            assert side / 4 - 1 <= centre <= 3 * side / 4 + 1
            assert within(stop - start, side, 0.05, 0.15)
            # The border may cut one end.
            length = 2 * max(centre - first, end - centre)
            assert within(length, side, level / 2 - 1 / side, level + 1 / side)


def test_cross_is_at_least_a_pixel_thick():
    images = np.ones((64, 8, 8, 1), np.float32)
    black = blackened("cross", 0, 1.0, images)
    assert black.any((1, 2)).all()
    assert (black.any(1).sum(1) >= 3).all()
    assert (black.any(2).sum(1) >= 3).all()


@pytest.mark.parametrize("name", SHAPES)
def test_higher_level_blackens_more(name, images):
    areas = [blackened(name, 0, level, images).mean() for level in (0.2, 0.5, 0.9)]
    assert areas == sorted(areas)
    assert areas[0] < areas[-1]


def camera(name, images, level, **params):
    choice = choose(name, clip=False, **params)
    return np.asarray(ONCE(choice, jax.random.key(3), images, level))


def test_photons_are_those_of_numpy():
    rng = np.random.default_rng(0)
    images = np.full((1, 100, 100, 2), [0.7, 0.05], np.float32)
    level, a = 0.2, (0.5 * 0.2) ** 2
    made = camera("poisson_gaussian", images, level, shot=0.5, read=0.3)
    noise = 0.3 * level * rng.normal(size=images.shape)
    other = a * rng.poisson(images / a) + noise
    for channel, x in enumerate((0.7, 0.05)):
        mine, theirs = (y[..., channel].ravel() for y in (made, other))
        assert mine.mean() == pytest.approx(x, abs=0.005)
        assert mine.var() == pytest.approx(a * x + (0.3 * level) ** 2, rel=0.06)
        assert scipy.stats.ks_2samp(mine, theirs).pvalue > 0.01
    without = camera("poisson_gaussian", images, level, shot=0.0, read=0.3)
    assert (without - images).std() == pytest.approx(0.3 * level, rel=0.03)


@pytest.mark.parametrize("level", [0, 1e-30, 1e-7, 1e-5, 3e-5, 1e-4])
def test_photons_may_be_too_many_to_be_counted(level):
    images = np.full((1, 8, 8, 1), 0.7, np.float32)
    made = camera("poisson_gaussian", images, level, read=0.0)
    np.testing.assert_allclose(made, images, atol=6 * level + 1e-6)


def test_speckle_is_that_of_scikit_image():
    images = np.full((1, 100, 100, 3), 0.4, np.float32)
    made = camera("speckle", images, 0.3)
    theirs = skimage.util.random_noise(
        images, mode="speckle", rng=0, var=0.3**2, clip=False
    )
    assert scipy.stats.ks_2samp(made.ravel(), theirs.ravel()).pvalue > 0.01
    noise = camera("speckle", 0 * images, 0.3, offset=0.5, shared=0.8).reshape(-1, 3)
    assert noise.std() == pytest.approx(0.3 * 0.5, rel=0.03)
    assert np.corrcoef(noise[:, 0], noise[:, 2])[0, 1] == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize(
    ("channels", "subsample", "size"),
    [
        (1, 0, (45, 61)),
        (3, 0, (45, 61)),
        (3, 1, (45, 61)),
        (3, 1, (46, 58)),
        (3, 1, (61, 4)),
    ],
)
def test_jpeg_is_that_of_pillow(channels, subsample, size):
    rng = np.random.default_rng(0)
    values = 128 + 4 * rng.normal(size=(*size, channels)).cumsum(0).cumsum(1) / 6
    pixels = values.clip(0, 255).astype(np.uint8)
    qualities = np.float32([15, 20, 49, 80, 95])
    images = np.repeat(np.float32(pixels[None] / 255), len(qualities), axis=0)
    fixed = {"worst": 1.0, "best": 1.0, "subsample": subsample}
    made = camera("jpeg", images, (100 - qualities) / 99, **fixed)
    for quality, mine in zip(qualities, np.rint(255 * made), strict=True):
        file = io.BytesIO()
        picture = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
        picture.save(file, "jpeg", quality=int(quality), subsampling=2 * subsample)
        theirs = np.float32(Image.open(file)).reshape(pixels.shape)
        off = np.abs(mine - theirs)
        assert (off > 0).mean() < 0.01
        # Luma and chroma may each be rounded the other way.
        assert off.max() <= (1 if channels == 1 else 2)
        assert np.abs(pixels - theirs).max() > 1


def test_jpeg_draws_a_quality_an_image(images):
    alike = np.repeat(images[:1], 16, axis=0)
    made = camera("jpeg", alike, 1.0)
    assert len(np.unique(made.reshape(16, -1), axis=0)) > 8
    weak, strong = (
        np.abs(camera("jpeg", images, 1.0, worst=q, best=q, subsample=0) - images)
        for q in (90.0, 15.0)
    )
    assert weak.mean() < strong.mean() / 2


def test_blur_is_that_of_scipy(images):
    made = camera("blur", images, 0.5, width=3.0, noise=0.0)
    theirs = scipy.ndimage.gaussian_filter(
        images, 1.5, axes=(1, 2), mode="nearest", radius=12
    )
    np.testing.assert_allclose(made, theirs, atol=1e-5)
    noise = camera("blur", GREY, 0.5, noise=0.2) - GREY
    assert noise.std() == pytest.approx(0.1, rel=0.03)


def test_mixture_draws_one_way_an_image():
    images = np.full((200, 8, 8, 1), 0.5, np.float32)
    others = dict.fromkeys(("poisson_gaussian", "jpeg", "blur"), 0.0)
    made = camera("mixture", images, 0.2, **others, gaussian=3.0, speckle=1.0)
    spreads = made.std(axis=(1, 2, 3))  # 0.2 of noise, 0.1 of speckle
    assert (spreads > 0.14).mean() == pytest.approx(0.75, abs=0.09)
    levels = np.where(np.arange(200) < 100, 0, 0.2).astype(np.float32)
    made = camera("mixture", images, levels)
    np.testing.assert_array_equal(made[:100], images[:100])
    assert (made[100:] != images[100:]).any()


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        ("jpeg", {"worst": 90.0, "best": 20.0}, "quality of 90, above the best, 20"),
        ("mixture", dict.fromkeys(["gaussian", *CAMERA[:-1]], 0.0), "nothing is drawn"),
    ],
)
def test_values_that_do_not_go_together_are_refused(name, params, words):
    with pytest.raises(CaejaxError, match=words):
        choose(name, **params)
    config = default()
    override(config, "corruption.name", name)
    for key, value in params.items():
        override(config, f"corruption.params.{key}", value)
    with pytest.raises(CaejaxError, match=rf"^config\.corruption\.params .*{words}"):
        check(config)
    choose("jpeg", worst=50.0, best=50.0)
    choose("mixture", **{**dict.fromkeys(CAMERA[:-1], 0.0), "gaussian": 0.1})
