"""Tests that figures of any number of pictures fit a page."""

import numpy as np
import pytest

from caejax.report import applied
from caejax.report.style import PAGE, paper_style


@pytest.fixture
def pictures():
    """So many of 4x4 pixels, each of one grey, darker than the next."""

    def make(count):
        greys = np.linspace(0, 1, count).reshape(-1, 1, 1, 1)
        return np.broadcast_to(greys, (count, 4, 4, 1))

    with paper_style():
        yield make


def drawn(figure):
    """By the first value of each picture: the column and row of its axis."""
    axes = [axis for axis in figure.axes if axis.get_visible()]
    specs = [axis.get_subplotspec() for axis in axes]
    places = [(spec.colspan.start, spec.rowspan.start) for spec in specs]
    values = [float(axis.images[0].get_array().flat[0]) for axis in axes]
    return axes, dict(zip(values, places, strict=True))


def test_wide_rows_go_on_below(pictures):
    greys = pictures(60)
    figure = applied.rows({"image": greys[::2], "output": greys[1::2]})
    axes, places = drawn(figure)
    assert [places[x] for x in greys[::2, 0, 0, 0]] == [
        (i % 12, 2 * (i // 12)) for i in range(30)
    ]
    assert [places[x] for x in greys[1::2, 0, 0, 0]] == [
        (i % 12, 2 * (i // 12) + 1) for i in range(30)
    ]
    names = [axis.get_ylabel() for axis in axes]
    assert [name for name in names if name] == ["image", "output"] * 3
    assert figure.get_figwidth() == pytest.approx(PAGE)


def test_a_picture_s_size_does_not_depend_on_the_bands(pictures):
    def height(count):
        return applied.rows({"image": pictures(count)}).get_figheight()

    assert height(36) == pytest.approx(3 * height(12))
    assert height(25) == height(36)


def test_interpolation_and_neighbours_wrap_alike(pictures):
    greys = pictures(20)
    figure = applied.interpolation(
        (greys[0], greys[-1]), greys[1:-1], np.linspace(0, 1, 18)
    )
    axes, places = drawn(figure)
    assert list(places.values()) == [(i % 12, i // 12) for i in range(20)]
    assert axes[-1].get_title() == "second"
    found = np.broadcast_to(greys[1:], (1, *greys[1:].shape))
    figure = applied.neighbours(greys[:1], found, np.zeros((1, 19)))
    axes, places = drawn(figure)
    assert list(places.values()) == [(i % 12, i // 12) for i in range(20)]
    assert axes[-1].get_title() == "19"


def test_a_sheet_has_ten_in_a_row(pictures):
    (axis,) = applied.sheet(pictures(33)).axes
    picture = axis.images[0].get_array()
    assert picture.shape == (4 * 5 - 1, 10 * 5 - 1)  # a white line between them
    firsts = picture[::5, ::5].ravel()
    np.testing.assert_allclose(firsts[:33], np.linspace(0, 1, 33))
    assert np.all(firsts[33:] == 1)


def test_photographs_are_shown_pixel_for_pixel_with_parts_enlarged():
    rng = np.random.default_rng(0)
    image = np.full((80, 120, 1), 0.5)
    image[60:, 90:] = rng.random((20, 30, 1))
    output = image.copy()
    output[:20, :30] += 0.1 * rng.random((20, 30, 1))
    title = "a.png, 120 x 80 pixels, by denoiser_gray"
    one = applied.photograph(image, output, pixels=1e6, title=title)
    np.testing.assert_array_equal(one.image, image)
    with paper_style():
        figure = applied.photographs([one], "denoised")
    width = figure.get_figwidth() * 200
    axes = sorted(figure.axes, key=lambda axis: -axis.get_position().y0)
    for axis in axes[:2]:
        assert axis.get_position().width * width == pytest.approx(3 * 120)
    titles = [axis.get_title() for axis in axes]
    assert titles[:2] == ["input", "denoised"]
    assert sorted(titles[2:]) == [
        *("1: denoised", "1: input", "2: denoised", "2: input"),
    ]
    assert [text.get_text() for text in figure.texts] == [title]
    assert [text.get_text() for text in axes[0].texts] == ["1", "2"]
    # One where the output has most detail, one where most was taken away.
    (x, y, *_), (u, v, *_) = one.places
    assert x >= 80
    assert y >= 55
    assert u < 30
    assert v < 20
    for left, top, wide, high in one.places:  # away from the borders
        assert 10 <= left <= 120 - wide - 10
        assert 10 <= top <= 80 - high - 10
    for axis in axes[:2]:
        assert len(axis.patches) == 2


def test_long_titles_of_photographs_lose_their_middle(pictures):
    image = np.zeros((80, 120, 1))
    title = f"{'a' * 200}.png, 120 x 80 pixels, by denoiser_gray"
    figure = applied.photographs([applied.photograph(image, image, 1e6, title)], "out")
    (text,) = figure.texts
    assert text.get_text().endswith("80 pixels, by denoiser_gray")
    assert "a…" in text.get_text()
    lies = text.get_window_extent(figure.canvas.get_renderer())
    assert lies.x1 <= figure.bbox.x1
    small = [applied.photograph(x, x, 1e6, "a.png") for x in pictures(3)]
    assert applied.photographs(small, "out").get_suptitle() == "a.png"


def test_small_images_beside_large_ones_have_no_parts():
    images = np.zeros((1, 1, 1), np.float32), np.zeros((90, 120, 1), np.float32)
    shown = [applied.photograph(x, x, 1e6, "a.png") for x in images]
    assert [len(one.parts) for one in shown] == [0, 2]
    assert len(applied.photographs(shown, "out").axes) == 2 + 6


def test_large_photographs_share_the_room():
    image = np.zeros((400, 600, 3))
    one = applied.photograph(image, image, pixels=60_000)
    assert one.image.shape == (200, 300, 3)
    side = 400 // (2 * 2 * 4)
    assert one.parts[0][0].shape == (side, side, 3)  # at full size
    assert one.places[0][2:] == (side / 2, side / 2)


def shown(*size):
    image = np.random.default_rng(0).uniform(size=(*size, 1))
    return applied.photograph(image, image / 2, applied.PIXELS / 10)


def sheet(*pictures):
    with paper_style():
        return applied.photographs(pictures, "output")


def test_of_long_photographs_the_middle_is_shown():
    image = np.arange(3 * 100.0).reshape(3, 100, 1) / 300
    for wide, turned in ((image, False), (image.swapaxes(0, 1), True)):
        made = applied.photograph(wide, wide, applied.PIXELS).image
        made = made.swapaxes(0, 1) if turned else made
        np.testing.assert_array_equal(made, image[:, 38:62])
    figure = sheet(shown(3, 20000), shown(20000, 3), shown(80, 90))
    assert max(figure.get_size_inches()) * 200 < 8000


def test_photographs_go_on_in_columns():
    figure = sheet(*[shown(70, 66)] * 30)
    width, height = figure.get_size_inches() * 200
    assert 4000 < height <= 8000
    assert width == pytest.approx(3 * 200 * sheet(shown(70, 66)).get_figwidth())
    boxes = [axis.get_position() for axis in figure.axes]
    assert len({(round(box.x0, 4), round(box.y0, 4)) for box in boxes}) == 30 * 6
    assert all(0 <= box.x0 < box.x1 <= 1 for box in boxes)
    assert all(0 <= box.y0 < box.y1 <= 1 for box in boxes)
