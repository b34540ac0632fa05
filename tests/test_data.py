import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from caejax import data
from caejax.data import Split
from caejax.errors import CaejaxError

PIXELS = np.arange(10 * 2 * 3, dtype=np.uint8).reshape(10, 2, 3, 1)
LABELS = np.arange(10)


@pytest.fixture
def register(monkeypatch):
    """Registers a function as the source "fake"."""

    def add(function):
        monkeypatch.setitem(data.SOURCES, "fake", data.Source(function))

    return add


@pytest.fixture
def fake(register):
    """A source of ten train and four test images of 2x3."""
    register(lambda: (Split(PIXELS, LABELS), Split(PIXELS[:4], LABELS[:4])))


def load(**options):
    return data.load("fake", **{"image_size": (2, 3)} | options)


def test_arrays_are_float32_contiguous_and_exact(fake):
    for split in load():
        assert split.images.dtype == np.float32
        assert split.labels.dtype == np.int32
        assert split.images.flags.c_contiguous
        expected = PIXELS[split.labels].astype(np.float32) / np.float32(255)
        np.testing.assert_array_equal(split.images, expected)


def test_float_images_are_kept(register):
    images = np.moveaxis(np.linspace(0, 1, 24).reshape(1, 4, 2, 3), 1, 0)[
        ..., ::-1, None
    ]
    register(lambda: (Split(images[:, 0]), Split(images[:, 0])))
    split = load().test
    np.testing.assert_array_equal(split.images, images[:, 0].astype(np.float32))
    assert split.images.flags.c_contiguous
    assert split.labels is None


def test_validation_is_split_off_train(fake):
    train, val, test = (split.labels.tolist() for split in load(val_fraction=0.3))
    assert (len(train), len(val), test) == (7, 3, [0, 1, 2, 3])
    assert sorted(train + val) == list(range(10))
    assert (sorted(train), sorted(val)) == (train, val)
    again = load(val_fraction=0.3).val.labels.tolist()
    others = [load(val_fraction=0.3, seed=seed).val.labels.tolist() for seed in (1, 2)]
    assert again == val
    assert others != [val, val]


def test_without_a_validation_share_the_test_part_validates(fake, register):
    train, val, test = (split.labels.tolist() for split in load(val_fraction=0))
    assert (train, val, test) == (list(range(10)), [0, 1, 2, 3], [0, 1, 2, 3])
    assert [len(split.images) for split in load(val_fraction=0, limit=3)] == [3, 3, 3]
    register(lambda: (Split(PIXELS), Split(PIXELS[5:]), Split(PIXELS[:4])))
    assert [len(split.images) for split in load(val_fraction=0)] == [10, 5, 4]


@pytest.mark.parametrize(("fraction", "size"), [(0.001, 1), (0.999, 9)])
def test_both_parts_have_an_example(fake, fraction, size):
    assert len(load(val_fraction=fraction).val.images) == size


def test_limit_counts_train_before_the_split(fake):
    train, val, test = (split.labels.tolist() for split in load(limit=3))
    assert sorted(train + val) == [0, 1, 2]
    assert test == [0, 1, 2]
    assert len(load(limit=100).test.images) == 4


def test_a_source_may_bring_its_own_validation(register):
    register(lambda: (Split(PIXELS), Split(PIXELS[5:]), Split(PIXELS[:4])))
    assert [len(split.images) for split in load()] == [10, 5, 4]
    assert [len(split.images) for split in load(limit=4)] == [4, 4, 4]
    np.testing.assert_array_equal(
        load(limit=4).val.images, PIXELS[5:9] / np.float32(255)
    )


def test_a_source_gets_only_the_options_it_takes(register):
    got = []

    def read(*, dir, image_size, seed, reduce, train_size):
        got.extend([dir, image_size, seed, reduce, train_size])
        return Split(PIXELS), Split(PIXELS)

    register(read)
    load(dir="here", image_size=[2, 3], seed=7, reduce=2, name="unused")
    assert got == ["here", (2, 3), 7, 2, 5000]


@pytest.mark.parametrize("options", [{"image_size": (3, 2)}, {"channels": 3}])
def test_other_images_than_asked_for(fake, options):
    words = (
        r"fake images are 2x3 with 1 channel.*data\.image_size is .*data\.channels is "
        r".*set data\.image_size=\(2, 3\) and data\.channels=1"
    )
    with pytest.raises(CaejaxError, match=rf"\A{words}\Z"):
        load(**options)


def test_empty_part(register):
    register(lambda: (Split(PIXELS), Split(PIXELS[:0])))
    with pytest.raises(CaejaxError, match=r"\Afake has a part without images.*\Z"):
        load()


def test_unknown_source():
    words = (
        "'mnist': choose one of glyphs, dead_leaves, idx, folder, bsds500, npz, tfds"
    )
    with pytest.raises(CaejaxError, match=rf"\Aunknown data\.source {words}\Z"):
        data.load("mnist")


@pytest.mark.parametrize("fraction", [1, -0.1, float("nan")])
def test_impossible_fraction(fake, fraction):
    with pytest.raises(CaejaxError, match=rf"\Adata\.val_fraction is {fraction}.*\Z"):
        load(val_fraction=fraction)


def test_impossible_limits(fake):
    with pytest.raises(CaejaxError, match=r"\Adata\.limit is -1.*\Z"):
        load(limit=-1)
    with pytest.raises(CaejaxError, match=r"\A1 training examples cannot be split.*\Z"):
        load(limit=1)


def test_import_needs_no_source():
    code = (
        "import sys, caejax.data; "
        "print({'PIL', 'pooch', 'tensorflow_datasets'} & set(sys.modules))"
    )
    root = Path(__file__).parents[1]
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
