from pathlib import Path

import numpy as np
import pytest

from caejax import data
from caejax.config import default
from caejax.data import npz
from caejax.errors import CaejaxError
from caejax.training.images import load_data

PIXELS = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
GOOD = {"x_train": PIXELS, "x_test": PIXELS[:1]}


def load(tmp_path, arrays):
    np.savez(tmp_path / "set.npz", **arrays)
    return npz.load(dir=str(tmp_path / "set.npz"))


def test_images_and_labels(tmp_path):
    labels = {"y_train": np.array([3, 1], np.int64), "y_test": np.array([2], np.uint8)}
    train, test = load(tmp_path, GOOD | labels)
    np.testing.assert_array_equal(train.images, PIXELS[..., None])
    np.testing.assert_array_equal(test.images, PIXELS[:1, ..., None])
    assert (train.labels.tolist(), test.labels.tolist()) == ([3, 1], [2])
    assert train.labels.dtype == test.labels.dtype == np.int32


def test_labels_are_optional_and_float_colour_is_kept(tmp_path):
    colour = np.linspace(0, 1, 2 * 3 * 4 * 3).reshape(2, 3, 4, 3)
    train, test = load(tmp_path, {"x_train": colour, "x_test": colour})
    np.testing.assert_array_equal(train.images, colour)
    assert train.labels is None
    assert test.labels is None


def test_name_inside_a_folder(tmp_path):
    np.savez_compressed(tmp_path / "other.npz", **GOOD)
    train, _ = npz.load(dir=str(tmp_path), name="other.npz")
    assert train.images.shape == (2, 3, 4, 1)


@pytest.mark.parametrize("dir", ["", "$HERE", "~", "sub dir"])
def test_names_are_paths(dir, tmp_path, monkeypatch):
    monkeypatch.setenv("HERE", str(tmp_path / "here"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for folder in ("here", "home", "sub dir"):
        Path(folder).mkdir()
        np.savez(f"{folder}/é 1.npz", **GOOD)
    for name in ("~/é 1.npz", "${HERE}/é 1.npz", *(["é 1.npz"] if dir else [])):
        train, _ = npz.load(dir=dir, name=name)
        assert train.images.shape == (2, 3, 4, 1)


def test_a_run_finds_its_file_from_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("set.npz", **GOOD)
    config = default()
    config.data.source, config.data.name = "npz", "set.npz"
    config.data.image_size = (3, 4)
    data = load_data(config).recorded
    assert data.place == str(tmp_path / "set.npz")
    Path("sub").mkdir()
    monkeypatch.chdir("sub")
    assert len(load_data(config, data).images["test"]) == 1


FLOATS = PIXELS / 255


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"x_train": FLOATS * 255},
            r"x_train in .* to 23: they look like bytes; divide",
        ),
        ({"x_train": FLOATS * 14}, r"x_train in .* to 1\.26\S*: scale them"),
        (
            {"x_train": FLOATS - 0.5},
            r"x_train in .* from -0.5 to .*\+ 1\) / 2",
        ),
        ({"x_test": FLOATS * np.nan}, r"x_test in .* from nan to nan"),
        ({"x_test": np.full((1, 3, 4), np.inf)}, r"x_test in .* to inf"),
        ({"x_train": PIXELS.astype(np.int64)}, r"x_train in .* is int64: .*uint8"),
        ({"x_train": PIXELS > 3}, r"x_train in .* is bool: .*uint8"),
        ({"x_train": PIXELS[0]}, r"x_train in .* shape \(3, 4\)"),
        ({"x_test": PIXELS[..., None, None]}, r"x_test in .* shape \(2, 3, 4, 1, 1\)"),
        ({"y_train": np.arange(3)}, r"y_train in .*\(3,\): .*\(2,\)"),
        ({"y_test": np.array([0.5])}, r"y_test in .*float64"),
        (
            {"y_train": np.array([3, 2**31])},
            r"y_train in .* to 2147483648, more .*numpy\.unique\(labels, return_inv",
        ),
        ({"x_test": np.array([None])}, r"set\.npz has an .*Python objects: .*stack"),
    ],
)
def test_unusable_arrays(tmp_path, change, words):
    with pytest.raises(CaejaxError, match=rf"\A.*{words}.*\Z"):
        load(tmp_path, GOOD | change)


def test_missing_keys(tmp_path):
    words = r"set\.npz lacks x_test and x_train; it holds images, y_train: add"
    with pytest.raises(CaejaxError, match=rf"\A.*{words}.*\Z"):
        load(tmp_path, {"images": PIXELS, "y_train": np.arange(2)})


def test_no_file(tmp_path):
    for name in ("", "no.npz"):
        with pytest.raises(CaejaxError, match=rf"\Athere is no file .*{name}:.*\Z"):
            npz.load(dir=str(tmp_path), name=name)


def test_not_an_archive(tmp_path):
    np.save(tmp_path / "a.npy", PIXELS)
    np.savez(tmp_path / "b.npz", **GOOD)
    whole = (tmp_path / "b.npz").read_bytes()
    (tmp_path / "b.npz").write_bytes(whole[: len(whole) // 2])
    for name in ("a.npy", "b.npz"):
        words = rf"{name} is not an npz archive, or is truncated"
        with pytest.raises(CaejaxError, match=rf"\A.*{words}.*\Z"):
            npz.load(dir=str(tmp_path), name=name)


def test_damaged_array(tmp_path):
    np.savez(tmp_path / "a.npz", **GOOD)
    contents = bytearray((tmp_path / "a.npz").read_bytes())
    contents[contents.index(PIXELS.tobytes())] ^= 255
    (tmp_path / "a.npz").write_bytes(contents)
    with pytest.raises(CaejaxError, match=r"\Acannot read .*a\.npz \(Bad CRC.*\Z"):
        npz.load(dir=str(tmp_path / "a.npz"))


def archive(tmp_path, **changes):
    path = tmp_path / "other.npz"
    np.savez(path, **{"x_train": PIXELS, "x_test": PIXELS} | changes)
    return npz.load(dir=str(path))


def test_rounding_beyond_one_is_no_mistake(tmp_path):
    values = np.float32([[[0.0, 1.0000001], [-1e-7, 0.5]]])
    train, _ = archive(tmp_path, x_train=values)
    np.testing.assert_array_equal(train.images[0, ..., 0], [[0, 1], [0, 0.5]])


def test_labels_may_be_a_column(tmp_path):
    labels = np.arange(len(PIXELS))
    train, _ = archive(tmp_path, y_train=labels[:, None])
    np.testing.assert_array_equal(train.labels, labels)


@pytest.mark.parametrize("shape", [(2, 1, 12, 10), (2, 3, 12, 10), (2, 2, 9, 9)])
def test_channels_first_are_recognised(tmp_path, shape):
    images = np.zeros(shape, np.uint8)
    np.savez(tmp_path / "a.npz", x_train=images, x_test=images)
    with pytest.raises(CaejaxError, match=r"looks like \(N, C, H, W\).*moveaxis"):
        data.load(
            "npz",
            dir=str(tmp_path / "a.npz"),
            image_size=shape[2:],
            channels=shape[1],
        )


def test_the_origin_is_that_of_the_arrays(tmp_path):
    first, _ = archive(tmp_path)
    again, _ = archive(tmp_path, x_test=PIXELS[:1], y_train=np.arange(len(PIXELS)))
    assert first.origin["x_train"] == again.origin["x_train"]
    assert set(again.origin) == {"x_train", "y_train"}
    other, _ = archive(tmp_path, x_train=PIXELS.reshape(2, 4, 3))
    assert other.origin["x_train"] != first.origin["x_train"]


SIDES = {"image_size": (4, 5), "channels": 3}
MANY = np.random.default_rng(0).random((7, 4, 5, 3), np.float32)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.moveaxis(MANY, -1, 1), r"\(N, C, H, W\); .*moveaxis\(images, 1, -1\)"),
        (np.moveaxis(MANY, 0, -1), r"\(H, W, C, N\); .*moveaxis\(images, -1, 0\)"),
        (MANY[0], r"\(4, 5, 3, 1\), which looks like a single image"),
        (np.moveaxis(MANY[0], -1, 0), r"\(3, 4, 5, 1\), which looks like a single"),
        (MANY[:, :4, :4].reshape(7, -1), r"images.reshape\(-1, 4, 4, 3\)"),
        (np.zeros((7, 784)), r"images.reshape\(-1, 28, 28, 1\)"),
        ((MANY * 65535).astype(np.uint16), r"is uint16: .* by images / 65535"),
        (MANY * 65535, r"look like 16 bits; divide them by 65535"),
        (MANY > 0.5, r"is bool: .* by images.astype\(numpy.uint8\) \* 255"),
        ((MANY > 0.5).astype(int), r"is int64: .* by images.astype\(numpy.float32\)"),
        ((MANY > 0.5).astype(np.uint8), r"0 and 1 alone, .* multiply it by 255"),
    ],
)
def test_the_mend_of_other_layouts_is_named(tmp_path, images, words):
    np.savez(tmp_path / "set.npz", x_train=images, x_test=images)
    with pytest.raises(CaejaxError, match=rf"\A.*{words}.*\Z"):
        data.load("npz", dir=str(tmp_path / "set.npz"), **SIDES)


def test_an_encrypted_archive_is_named(tmp_path):
    file = tmp_path / "set.npz"
    np.savez(file, **GOOD)
    data = bytearray(file.read_bytes())
    data[6] |= 1  # the flag in the file's own header, and in the table at the end
    data[data.index(b"PK\x01\x02") + 8] |= 1
    file.write_bytes(data)
    with pytest.raises(CaejaxError, match=r"\Acannot read .*set\.npz .*encrypted"):
        npz.load(dir=str(file))


def test_parts_of_other_sizes_are_named(tmp_path):
    np.savez(tmp_path / "set.npz", x_train=MANY, x_test=MANY[:, :3])
    with pytest.raises(CaejaxError, match=r"4x5x3 .* in train, but 3x5x3 in another"):
        data.load("npz", dir=str(tmp_path / "set.npz"), **SIDES)


def test_a_validation_part_of_its_own(tmp_path):
    file = tmp_path / "set.npz"
    np.savez(file, x_train=MANY, x_test=MANY[:2])
    options = {"dir": str(file), "val_fraction": 0.3, **SIDES}
    before = data.find("npz", **options)
    np.savez(file, x_train=MANY, x_test=MANY[:2], x_val=MANY[:3], y_val=np.arange(3))
    now = data.find("npz", **options)
    np.testing.assert_array_equal(now.dataset.val.images, MANY[:3])
    np.testing.assert_array_equal(now.dataset.train.images, MANY)
    assert set(now.origins["val"]) == {"x_val", "y_val"}
    # A run that began without it keeps its own.
    again = data.find("npz", **options, recorded=before.origins)
    np.testing.assert_array_equal(again.dataset.val.images, before.dataset.val.images)
    np.savez(file, x_train=MANY, x_test=MANY[:2], x_val=MANY[1:4])
    with pytest.raises(CaejaxError, match=r"x_val in .* for its val part"):
        data.find("npz", **options, recorded=now.origins)
