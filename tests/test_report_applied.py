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
    assert axes[-1].get_title() == "image"
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
