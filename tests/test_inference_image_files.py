"""Tests of images in files."""

import numpy as np
import pytest
from PIL import Image

from caejax.errors import CaejaxError
from caejax.inference import image_files


def test_grey_and_colour_are_checked_against_the_model(tmp_path):
    Image.new("L", (2, 3), 51).save(tmp_path / "grey.png")
    Image.new("RGB", (2, 3), (51, 51, 51)).save(tmp_path / "plain.png")
    Image.new("RGB", (2, 3), (51, 0, 0)).save(tmp_path / "red.png")

    def read(name, channels, convert=False):
        return image_files.read(tmp_path / name, channels, convert=convert).values

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


def test_names_that_are_told_apart_are_no_longer_than_others():
    name = 125 * "ü"  # 250 bytes, to which 4 of a suffix come
    paths = [image_files.Path(folder) / f"{name}.png" for folder in "abc"]
    names = image_files.output_names(paths)
    assert names == [name, f"{name[:-1]}-2", f"{name[:-1]}-3"]
    assert max(len(f"{name}.npz".encode()) for name in names) <= 255
