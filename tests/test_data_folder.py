import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from caejax import data
from caejax.data import folder, pictures
from caejax.errors import CaejaxError

REAL = os.environ.get("CAEJAX_DATA", Path(__file__).parents[2] / "shared" / "data")
BSDS = Path(REAL, "bsds500")


def save(path: Path, pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


def save_flat(path: Path, value: int, size: tuple[int, int] = (6, 5)) -> None:
    save(path, np.full(size, value))


def load(path, **options):
    defaults = {"image_size": (2, 2), "channels": 1}
    return folder.load(dir=str(path), **defaults | options)


def values(split) -> list[int]:
    """The grey level of every patch of a flat image."""
    assert np.ptp(split.images, axis=(1, 2, 3)).max() == 0
    return np.rint(split.images[:, 0, 0, 0] * 255).astype(int).tolist()


def test_subfolders_are_parts_in_sorted_order(tmp_path):
    paths = ["train/b/2.png", "train/a.PNG", "train/b/1.png", "val/c.png", "test/d.bmp"]
    for value, path in enumerate(paths):
        save_flat(tmp_path / path, value)
    save_flat(tmp_path / "train" / ".hidden.png", 99)
    (tmp_path / "train" / "notes.txt").write_text("not an image")
    train, val, test = load(tmp_path)
    assert (values(train), values(val), values(test)) == ([1, 2, 0], [3], [4])
    assert train.images.shape == (3, 2, 2, 1)
    assert train.images.dtype == np.float32
    assert train.labels is None


def test_parts_share_no_photograph(tmp_path):
    for value in range(20):
        save_flat(tmp_path / f"{value:02}.png", value)
    options = {"patches_per_image": 3, "test_fraction": 0.25, "val_fraction": 0.2}
    parts = [values(split) for split in load(tmp_path, **options)]
    train, val, test = map(set, parts)
    assert [len(part) for part in parts] == [3 * 12, 3 * 3, 3 * 5]
    assert sorted([*train, *val, *test]) == list(range(20))
    assert parts == [values(split) for split in load(tmp_path, **options)]
    assert parts != [values(split) for split in load(tmp_path, **options, seed=1)]


def test_validation_comes_from_train_if_only_test_has_a_folder(tmp_path):
    for value in range(4):
        save_flat(tmp_path / "train" / f"{value}.png", value)
    save_flat(tmp_path / "test" / "9.png", 9)
    train, val, test = load(tmp_path)
    assert (len(train.images), len(val.images), values(test)) == (3, 1, [9])
    assert sorted(values(train) + values(val)) == [0, 1, 2, 3]
    train, test = load(tmp_path, val_fraction=0)
    assert (values(train), values(test)) == ([0, 1, 2, 3], [9])


def test_limit_reads_only_the_images_it_needs(tmp_path):
    for part in ("train", "val", "test"):
        save_flat(tmp_path / part / "a.png", 1)
        (tmp_path / part / "b.png").write_bytes(b"broken, but never read")
    parts = load(tmp_path, limit=2, patches_per_image=2)
    assert [len(split.images) for split in parts] == [2, 2, 2]


@pytest.fixture
def ramp(tmp_path):
    """Three copies of a 5x6 image that holds 10 * row + column."""
    pixels = 10 * np.arange(5)[:, None] + np.arange(6)
    for part in ("train", "val", "test"):
        save(tmp_path / part / "ramp.png", pixels)
    return tmp_path


def test_one_patch_is_the_centre(ramp):
    train = load(ramp)[0]
    expected = np.array([[12, 13], [22, 23]]) / 255
    np.testing.assert_allclose(train.images[0, ..., 0], expected, rtol=1e-6)


def test_reduction_averages_areas_without_rounding(ramp):
    train = load(ramp, reduce=2, image_size=(2, 3))[0]
    # The fifth row fills no block; block (0, 0) is (0 + 1 + 10 + 11) / 4.
    expected = np.array([[5.5, 7.5, 9.5], [25.5, 27.5, 29.5]]) / 255
    np.testing.assert_allclose(train.images[0, ..., 0], expected, rtol=1e-6)


def test_patches_are_uniformly_random_windows(ramp):
    train, val, _ = load(ramp, image_size=(3, 5), patches_per_image=600)
    corners = np.rint(train.images[:, 0, 0, 0] * 255).astype(int)
    places, counts = np.unique(corners, return_counts=True)
    assert places.tolist() == [0, 1, 10, 11, 20, 21]
    assert counts.min() > 60  # 100 on average, standard deviation 9
    assert counts.max() < 140
    offsets = np.rint(train.images[..., 0] * 255) - corners[:, None, None]
    assert np.all(offsets == 10 * np.arange(3)[:, None] + np.arange(5))
    assert np.any(train.images != val.images)  # the places depend on the part too


def test_places_depend_on_seed_and_name_only(ramp):
    first = load(ramp, patches_per_image=8)[0].images
    assert np.any(first != load(ramp, patches_per_image=8, seed=1)[0].images)
    save_flat(ramp / "train" / "another.png", 0)
    both = load(ramp, patches_per_image=8)[0].images
    np.testing.assert_array_equal(both[8:], first)


GREY, RED = (0.4, 0.4, 0.4), (1.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("image", "suffix", "colour"),
    [
        (Image.new("L", (4, 4), 102), "png", GREY),
        (Image.new("1", (4, 4), 1), "png", (1, 1, 1)),
        (Image.new("RGB", (4, 4), (255, 0, 0)), "png", RED),
        (Image.new("RGB", (4, 4), (51, 102, 204)), "png", (0.2, 0.4, 0.8)),
        (Image.new("RGB", (4, 4), (255, 0, 0)).quantize(), "png", RED),
        (Image.new("RGB", (4, 4), (255, 0, 0)).quantize(), "gif", RED),
        (Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "tif", RED),
        (Image.new("RGBA", (4, 4), (255, 0, 0, 255)), "png", RED),
        (Image.new("RGBA", (4, 4), (255, 0, 0, 51)), "png", (1, 0.8, 0.8)),
        (Image.new("LA", (4, 4), (7, 0)), "png", (1, 1, 1)),
        (Image.fromarray(np.full((4, 4), 26214, np.uint16)), "png", GREY),
        (Image.fromarray(np.full((4, 4), 26214, np.uint16)), "tif", GREY),
        (Image.fromarray(np.full((4, 4), 26214, np.int32)), "tif", GREY),
        (Image.fromarray(np.full((4, 4), 0.4, np.float32)), "tif", GREY),
    ],
)
def test_kinds_of_image(tmp_path, image, suffix, colour):
    path = tmp_path / f"image.{suffix}"
    image.save(path)
    read = pictures.read_image(path, 3, name="image")
    assert (read.shape, read.dtype) == ((4, 4, 3), np.float32)
    np.testing.assert_allclose(read, np.broadcast_to(colour, (4, 4, 3)), atol=1e-6)
    luma = np.dot(colour, [0.299, 0.587, 0.114])
    grey = pictures.read_image(path, 1, name="image")
    assert (grey.shape, grey.dtype) == ((4, 4, 1), np.float32)
    np.testing.assert_allclose(grey, luma, atol=1e-6)
    assert grey.max() <= 1


def test_exif_orientation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to view
    pixels = np.array([[0, 50, 100], [150, 200, 250]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    read = pictures.read_image(tmp_path / "turned.png", 1, name="turned")
    np.testing.assert_allclose(read[..., 0] * 255, np.rot90(pixels, -1), rtol=1e-6)


def test_missing_folder(tmp_path):
    for path in ("", tmp_path / "nowhere"):
        words = f"'{path}' does not exist: set data.dir"
        with pytest.raises(CaejaxError, match=rf"\A.*{words}.*\Z"):
            load(path)


def test_folder_without_images(tmp_path):
    save_flat(tmp_path / "train" / "a.png", 1)
    (tmp_path / "val").mkdir()
    with pytest.raises(CaejaxError, match=r"\Ano image in .*val: .*\.jpg.*\Z"):
        load(tmp_path)


def test_folder_without_train(tmp_path):
    save_flat(tmp_path / "test" / "a.png", 1)
    save_flat(tmp_path / "val" / "a.png", 1)
    with pytest.raises(CaejaxError, match=r"\A.* has val and test but no train.*\Z"):
        load(tmp_path)


def test_too_few_images_to_split(tmp_path):
    words = rf"in the folder '{tmp_path}', and train, test, val need one each"
    for value, count in enumerate(("1 image", "2 images")):
        save_flat(tmp_path / f"{value}.png", value)
        with pytest.raises(CaejaxError, match=rf"\A{count} {words}.*\Z"):
            load(tmp_path)
    save_flat(tmp_path / "2.png", 2)
    assert [len(part.images) for part in load(tmp_path)] == [1, 1, 1]


def test_a_file_that_is_no_image_is_said_to_be_none_where_it_is_alone(tmp_path):
    (tmp_path / "a.png").write_text("text")
    with pytest.raises(CaejaxError, match=r"a\.png is not a readable image"):
        load(tmp_path)


@pytest.mark.parametrize("length", [0, 20, 80])
def test_broken_image(tmp_path, length):
    path = tmp_path / "train" / "bad.png"
    save(path, np.random.default_rng(0).integers(0, 256, (6, 6)))
    path.write_bytes(path.read_bytes()[:length])
    words = f"{path} is not a readable image: replace it, or leave it out"
    with pytest.raises(CaejaxError, match=rf"\A{words}\Z"):
        pictures.read_image(path, 1, name=str(path))


@pytest.mark.parametrize("value", [-1.0, 1.5, np.nan])
def test_values_out_of_range(tmp_path, value):
    Image.fromarray(np.full((4, 4), value, np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(CaejaxError, match=r"\Aa\.tif .*mode F.*outside.*\Z"):
        pictures.read_image(tmp_path / "a.tif", 1, name="a.tif")


def test_image_smaller_than_a_patch(ramp):
    words = r"train/ramp\.png is 2x3 after data\.reduce=2, smaller than .* 3x3"
    with pytest.raises(CaejaxError, match=rf"\A.*{words}.*\Z"):
        load(ramp, image_size=(3, 3), reduce=2)
    with pytest.raises(CaejaxError, match=r"\A.*ramp\.png is 5x6 .* 5x7.*\Z"):
        load(ramp, image_size=(5, 7))
    with pytest.raises(CaejaxError, match=r"\A.*ramp\.png is 0x0 after.*\Z"):
        load(ramp, reduce=7)


@pytest.mark.parametrize(
    "option", [{"channels": 4}, {"reduce": 0}, {"patches_per_image": 0}]
)
def test_impossible_options(ramp, option):
    with pytest.raises(CaejaxError, match=rf"\A.*data\.{next(iter(option))}.*\Z"):
        load(ramp, **option)


@pytest.mark.skipif(not BSDS.is_dir(), reason=f"BSDS500 is not in {BSDS}")
def test_real_photographs():
    options = {"image_size": (64, 48), "channels": 3, "reduce": 2, "limit": 20}
    parts = data.load("folder", dir=str(BSDS), patches_per_image=4, **options)
    assert [split.images.shape for split in parts] == [(20, 64, 48, 3)] * 3
    centre = data.load("folder", dir=str(BSDS), **options).train.images[0]
    with Image.open(min((BSDS / "train").iterdir())) as image:
        small = np.asarray(image.reduce(2, box=(0, 0, 480, 320)))
    assert small.shape == (160, 240, 3)
    np.testing.assert_allclose(centre, small[48:112, 96:144] / 255, atol=0.6 / 255)
