"""Tests of BSDS500 as denoisers take it."""

import numpy as np
import pytest
from PIL import Image

from caejax import data
from caejax.data.bsds500 import CBSD68
from caejax.errors import CaejaxError

COUNTS = {"train": 200, "val": 100, "test": 200}


def picture(number, upright):
    """4 x 6 or 6 x 4 colour pixels, which say which image they are of."""
    values = np.full((4, 6, 3), number % 256, np.uint8)
    values[..., 1] = number // 256
    values[..., 2] = 0
    values[0, 0, 2] = 200
    return np.rot90(values, -1) if upright else values


@pytest.fixture
def folder(tmp_path):
    """A folder of as many small images, half of them upright."""
    names = [*CBSD68, *(f"other{i}" for i in range(432))]
    parts = {"val": names[:100], "train": names[100:300], "test": names[300:]}
    for part, files in parts.items():
        (tmp_path / part).mkdir()
        for name in files:
            number = names.index(name)
            image = Image.fromarray(picture(number, upright=number % 2))
            image.save(tmp_path / part / f"{name}.png")
    return tmp_path


def load(folder, **options):
    options = {"dir": str(folder), "image_size": (4, 6), "channels": 3} | options
    return data.find("bsds500", **options, keep_bytes=True)


def numbers(images):
    """Which images they are."""
    return set((images[:, 1, 1, 0] + 256 * images[:, 1, 1, 1].astype(int)).tolist())


def test_parts_are_those_of_the_literature(folder):
    found = load(folder)
    train, val, test = (part.images for part in found.dataset)
    assert numbers(test) == set(range(68))
    assert numbers(val) == set(range(68, 100))
    assert numbers(train) == set(range(100, 500))
    assert test.dtype == np.uint8
    # All lie as the first does, none is mirrored.
    assert (test[..., 2] == picture(0, upright=False)[None, ..., 2]).all()
    assert set(found.origins["test"]) == {f"val/{name}.png" for name in CBSD68}


def test_grey_is_the_rounded_luma(folder):
    colour, grey = (load(folder, channels=c).dataset.val.images for c in (3, 1))
    luma = colour.astype(float) @ [0.299, 0.587, 0.114]
    assert np.abs(grey[..., 0] - luma).max() <= 0.5 + 1e-4


def test_what_is_not_bsds500_is_refused(folder):
    with pytest.raises(CaejaxError, match=r"4x6, but data.image_size is 4x5"):
        load(folder, image_size=(4, 5))
    (folder / "val" / f"{CBSD68[3]}.png").rename(folder / "val" / "mine.png")
    with pytest.raises(CaejaxError, match="67 of the 68 images of CBSD68"):
        load(folder)
    (folder / "train" / "other32.png").unlink()
    with pytest.raises(CaejaxError, match="train has 199 JPEG and PNG images instead"):
        load(folder)
    with pytest.raises(CaejaxError, match="use 1"):
        load(folder, channels=2)


def test_the_photographs(data_dir):
    dataset = data.load(
        "bsds500", dir=str(data_dir("bsds500")), image_size=(321, 481), channels=1
    )
    assert [len(part.images) for part in dataset] == [400, 32, 68]
    assert dataset.test.images.shape[1:] == (321, 481, 1)
