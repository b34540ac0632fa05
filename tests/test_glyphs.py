"""Tests of the procedural digits."""

import itertools

import numpy as np
import pytest

from caejax.data import glyphs
from caejax.data.dataset import Split
from caejax.errors import CaejaxError

REQUEST = {
    "train_size": 4,
    "test_size": 2,
    "image_size": (28, 28),
    "channels": 1,
    "seed": 0,
}


def draw(size: int, **changes) -> Split:
    return glyphs.load(**REQUEST | {"train_size": size} | changes)[0]


@pytest.fixture(scope="module")
def digits() -> tuple[Split, Split]:
    return glyphs.load(**REQUEST | {"train_size": 2000, "test_size": 500})


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("image_size", [(8, 8), (28, 28), (20, 36), (256, 130)])
def test_arrays_follow_the_contract(image_size, channels):
    request = {"image_size": image_size, "channels": channels}
    for split, size in zip(glyphs.load(**REQUEST | request), (4, 2), strict=True):
        assert split.images.shape == (size, *image_size, channels)
        assert split.images.dtype == np.float32
        assert split.labels.shape == (size,)
        assert split.labels.dtype == np.int32
        assert split.images.min() == 0
        assert 0.5 < split.images.max() <= 1


def test_seed_decides_everything():
    first, again, other = draw(20), draw(20), draw(20, seed=1)
    np.testing.assert_array_equal(first.images, again.images)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert (first.labels != other.labels).any()
    assert not np.array_equal(first.images, other.images)


def test_a_larger_request_starts_with_the_smaller():
    few, many = draw(7), draw(33, test_size=9)
    np.testing.assert_array_equal(few.images, many.images[:7])
    np.testing.assert_array_equal(few.labels, many.labels[:7])


def test_no_image_comes_twice():
    train, test = glyphs.load(**REQUEST | {"train_size": 200, "test_size": 200})
    images = np.concatenate([train.images, test.images])
    assert len(np.unique(images, axis=0)) == 400
    assert (train.labels != test.labels).any()


def test_labels_are_balanced_and_shuffled():
    tens = draw(200).labels.reshape(20, 10)
    np.testing.assert_array_equal(np.sort(tens), np.tile(np.arange(10), (20, 1)))
    assert len(np.unique(tens, axis=0)) == 20


def test_ink_is_as_much_as_in_mnist(digits):
    # MNIST: a mean of 0.13, peaks near 1, 9 % of pixels on the edge of a stroke.
    images = digits[0].images
    assert 0.10 < images.mean() < 0.16
    assert images.max(axis=(1, 2, 3)).min() > 0.8
    edge = (images > 0.05) & (images < 0.85)
    assert 0.05 < edge.mean() < 0.15


def test_strokes_are_two_to_three_pixels_wide(digits):
    # A long stroke has two edges: its width is twice its area by its perimeter.
    # MNIST: a median of 2.5, and 2.4 from the 5th to the 95th percentile.
    ink = digits[0].images[..., 0] > 0.5
    edges = [np.diff(ink, axis=axis).sum(axis=(1, 2)) for axis in (1, 2)]
    perimeter = np.pi / 4 * sum(edges)
    width = 2 * ink.sum(axis=(1, 2)) / perimeter
    assert 2 < np.median(width) < 3
    assert 1 < np.ptp(np.percentile(width, (5, 95))) < 3


def test_digits_are_centred_with_a_margin(digits):
    images = digits[0].images[..., 0]
    assert np.count_nonzero(images[:, 2:-2, 2:-2]) == np.count_nonzero(images)
    assert images[:, 4:-4, 4:-4].sum() > 0.98 * images.sum()
    for axis, size in ((1, 15), (2, 20)):
        inked = (images > 0.1).any(axis=axis)
        first, last = inked.argmax(axis=1), 27 - inked[:, ::-1].argmax(axis=1)
        assert np.abs((first + last) / 2 - 13.5).max() <= 2
        assert np.mean(last - first + 1) == pytest.approx(size, abs=1)


def test_ones_lean_to_the_right_and_vary(digits):
    # MNIST: a mean of 0.25 and a deviation of 0.27 (pixels right by pixel up).
    images, labels, _ = digits[0]
    ones = images[labels == 1, ..., 0]
    up, right = 13.5 - np.arange(28)[:, None], np.arange(28) - 13.5
    slant = (ones * up * right).sum(axis=(1, 2)) / (ones * up**2).sum(axis=(1, 2))
    assert 0.05 < slant.mean() < 0.35
    assert 0.24 < slant.std() < 0.35


def test_classes_are_separable_but_varied(digits):
    # MNIST with as much data: 78 % by class means, 91 % by the nearest neighbour.
    (x, y), (x_test, y_test) = (
        (split.images.reshape(len(split.images), -1), split.labels) for split in digits
    )
    means = np.stack([x[y == digit].mean(axis=0) for digit in range(10)])
    assert 0.68 < np.mean(nearest(x_test, means) == y_test) < 0.88
    assert 0.85 < np.mean(y[nearest(x_test, x)] == y_test) < 0.98


def nearest(queries: np.ndarray, points: np.ndarray) -> np.ndarray:
    return ((points**2).sum(axis=1) - 2 * queries @ points.T).argmin(axis=1)


def test_image_size_changes_only_the_resolution():
    coarse, fine = draw(50).images, draw(50, image_size=(84, 84)).images
    pooled = fine.reshape(50, 28, 3, 28, 3, 1).mean(axis=(2, 4))
    assert np.abs(pooled - coarse).mean() < 0.012


def test_a_wide_image_is_a_square_one_with_more_paper():
    square, wide = draw(10).images, draw(10, image_size=(28, 48)).images
    paper = [(0, 0), (0, 0), (10, 10), (0, 0)]
    np.testing.assert_allclose(wide, np.pad(square, paper), atol=1e-4)


def test_colour_inks_the_same_strokes_in_one_hue_each():
    grey, colour = draw(20).images, draw(20, channels=3).images
    np.testing.assert_allclose(colour.max(axis=-1, keepdims=True), grey, atol=1e-6)
    hues = colour.max(axis=(1, 2))
    np.testing.assert_allclose(
        colour * hues.max(axis=-1)[:, None, None, None],
        grey * hues[:, None, None],
        atol=1e-6,
    )
    assert len(np.unique(hues, axis=0)) == 20


def test_spline_meets_its_points_and_keeps_lines_straight():
    points = np.array([[0, 0], [1, 2], [4, 3], [5, 0]], float)
    curve = glyphs._spline(points, steps=5)
    np.testing.assert_allclose(curve[[0, 4, 5, 9, 10, 14]], points[[0, 1, 1, 2, 2, 3]])
    # Halfway: (-a + 9b + 9c - d) / 16.
    np.testing.assert_allclose(curve[7], [40 / 16, 45 / 16])
    line = glyphs._spline(np.array([[0, 0], [1, 2], [2, 4]], float))
    np.testing.assert_allclose(line[:, 1], 2 * line[:, 0])


def test_ink_of_a_dot():
    pixels = glyphs._pixels((1, 9))
    ink = glyphs._ink(np.zeros((1, 2)), np.full(1, 2.0), pixels)
    inside = 0.5 + 1 / glyphs.EDGE
    expected = [0, 0, 0.5, inside, 1, inside, 0.5, 0, 0]
    np.testing.assert_allclose(ink, np.minimum(expected, 1), atol=1e-6)


def test_every_way_of_writing_is_in_shape():
    assert len(glyphs.DIGITS) == 10
    for path in itertools.chain(*glyphs._paths((28, 28))):
        np.testing.assert_allclose(path.points.min(axis=0), -path.points.max(axis=0))
        assert path.points[:, 1].max() == pytest.approx(1, abs=0.1)
        # Even steps, but for lifts of the pen.
        steps = np.linalg.norm(np.diff(path.points, axis=0), axis=1)
        assert np.mean(steps < 1.05 * np.median(steps)) > 0.95


def test_empty_split():
    images, labels, _ = draw(0)
    assert images.shape == (0, 28, 28, 1)
    assert labels.shape == (0,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": 2}, "channels is 2"),
        ({"image_size": (7, 28)}, "image_size is 7x28"),
        ({"image_size": (28, 7)}, "image_size is 28x7"),
        ({"train_size": -1}, "train_size is -1"),
        ({"test_size": -1}, "test_size is -1"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_impossible_requests(change, message):
    with pytest.raises(CaejaxError, match=rf"^data\.{message}: give .*$"):
        glyphs.load(**REQUEST | change)
