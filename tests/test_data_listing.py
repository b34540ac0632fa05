"""Which files of a folder are read, and what is said of the others."""

import collections
import os

import numpy as np
import pytest
from PIL import Image

from caejax import data
from caejax.data import folder, listing
from caejax.data.pictures import suffixes
from caejax.errors import CaejaxError


def save(path, value=0, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 4), value, np.uint8)).save(path, **options)
    return path


def find(path, **options):
    options = {"image_size": (4, 4), "channels": 1, "dir": str(path)} | options
    return data.find("folder", **options)


def levels(split):
    return np.rint(split.images[:, 0, 0, 0] * 255).astype(int).tolist()


def names(path):
    return [p.relative_to(path).as_posix() for p in listing.list_pictures(path).paths]


def test_hidden_things_are_left_out_and_counted(tmp_path):
    save(tmp_path / "a.png")
    save(tmp_path / ".ipynb_checkpoints" / "a-checkpoint.png")
    save(tmp_path / "__MACOSX" / "a.png")
    save(tmp_path / "deep" / ".git" / "a.png")
    save(tmp_path / "._a.png")
    (tmp_path / "Thumbs.db").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "README").touch()
    found = listing.list_pictures(tmp_path)
    assert [path.name for path in found.paths] == ["a.png"]
    assert listing.left_out_text(found.left_out) == (
        "2 hidden files, 3 hidden folders, 1 without suffix, 1 .txt"
    )


def test_links_are_followed_but_not_in_circles(tmp_path):
    save(tmp_path / "elsewhere" / "deep" / "b.png")
    photos = tmp_path / "photos"
    save(photos / "a.png")
    (photos / "linked").symlink_to(tmp_path / "elsewhere")
    (photos / "file.png").symlink_to(tmp_path / "elsewhere" / "deep" / "b.png")
    (photos / "circle").symlink_to(photos)
    (tmp_path / "elsewhere" / "deep" / "up").symlink_to(tmp_path / "elsewhere")
    (photos / "gone.png").symlink_to(tmp_path / "nothing.png")
    assert names(photos) == ["a.png", "file.png", "linked/deep/b.png"]
    text = listing.left_out_text(listing.list_pictures(photos).left_out)
    assert "2 links that lead back" in text
    assert "1 link to nothing" in text


def test_counts_of_what_is_left_out_have_commas():
    found = collections.Counter({".txt": 1300, "hidden files": 1200})
    assert listing.left_out_text(found) == "1,200 hidden files, 1,300 .txt"


def test_special_files_are_left_out(tmp_path):
    save(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert names(tmp_path) == ["a.png"]


@pytest.mark.parametrize(
    "suffix", [".jfif", ".tga", ".jp2", ".JPG", ".Png", ".webp", ".pbm", ".jpe", ".dib"]
)
def test_every_suffix_that_pillow_reads_is_read(tmp_path, suffix):
    for index in range(3):
        kind = Image.registered_extensions()[suffix.lower()]
        mode = Image.new("1" if suffix == ".pbm" else "RGB", (4, 4))
        mode.save(tmp_path / f"{index}{suffix}", kind)
    splits = folder.load(dir=str(tmp_path), image_size=(4, 4), channels=1)
    assert sum(len(split.images) for split in splits) == 3


def test_films_and_documents_are_no_pictures():
    assert not {".mpg", ".pdf", ".eps", ".h5", ".txt"} & suffixes()
    assert {".avif", ".png", ".tiff"} <= suffixes()


@pytest.mark.parametrize("train", ["train", "Train", "TRAINING", "training"])
@pytest.mark.parametrize("val", ["val", "Valid", "validation"])
@pytest.mark.parametrize("test", ["test", "Testing"])
def test_parts_go_by_their_usual_names(tmp_path, train, val, test):
    for value, part in enumerate((train, val, test)):
        save(tmp_path / part / "a.png", value)
    found = find(tmp_path)
    assert [levels(split) for split in found.dataset] == [[0], [1], [2]]
    assert "1 train, 1 val, 1 test images" in found.note


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("training_set", "train"),
        ("Training Set", "train"),
        ("TrainData", "train"),
        ("train_images", "train"),
        ("images-train", "train"),
        ("train2017", "train"),
        ("valid_set", "val"),
        ("validation-set", "val"),
        ("val.dataset", "val"),
        ("testing set", "test"),
        ("testset", "test"),
        ("test_pictures", "test"),
        ("train2", ""),
        ("trains", ""),
        ("test_tube", ""),
        ("valley", ""),
        ("images", ""),
        ("dataset", ""),
        ("", ""),
    ],
)
def test_names_of_parts_may_say_what_is_in_them(name, part):
    assert listing.part_named(name) == part


def test_parts_named_at_length_are_no_classes(tmp_path):
    for value, path in enumerate(("training_set/cat", "training_set/dog", "test_set")):
        save(tmp_path / path / "a.png", value)
    found = find(tmp_path, val_fraction=0.0)
    assert levels(found.dataset.train) == [0, 1]
    assert levels(found.dataset.test) == [2]
    assert "2 train, 1 test images in 2 subfolders" in found.note


@pytest.mark.parametrize("to", ["nothing", "test"])
def test_a_part_that_is_a_link_to_nothing_is_an_error(tmp_path, to):
    save(tmp_path / "train" / "a.png")
    (tmp_path / "test").symlink_to(to)
    with pytest.raises(CaejaxError, match=rf"test is a link to nothing \({to}\)"):
        find(tmp_path)


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (["train/a.png", "Training/b.png"], "both mean train"),
        (["train/a.png", "train_set/b.png"], "train and train_set, which both mean"),
        (["test_set/a.png", "valid_set/b.png"], "valid_set and test_set but no train"),
        (["x_train_hr/a.png", "x_valid_hr/b.png"], "call them train and val if"),
        (["val/a.png", "valid/b.png", "train/c.png"], "both mean val"),
        (["test/a.png", "cat/b.png"], "has test but no train: .* if it is a class"),
        (["bus/a.png", "train/b.png"], "beside bus: rename train if it is a class"),
        (["cat/train/a.png", "cat/test/b.png", "dog/train/c.png"], "train/cat"),
        (["set/train/a.png", "set/test/b.png"], "set data.dir to .*set"),
        (["x/set/train/a.png", "x/set/test/b.png"], "set data.dir to .*x/set"),
        (["train/.a.png"], r"no image in .*train \(found: 1 hidden file"),
        (["a.txt", "b.pdf"], r"no image in .* \(found: 1 .*\.pdf"),
    ],
)
def test_contradictions_are_errors(tmp_path, paths, words):
    for path in paths:
        if path.endswith(".png"):
            save(tmp_path / path)
        else:
            (tmp_path / path).touch()
    with pytest.raises(CaejaxError, match=words):
        find(tmp_path)


def test_classes_may_have_the_names_of_parts(tmp_path):
    for value, path in enumerate(("train/test", "train/cat", "test/test", "test/cat")):
        save(tmp_path / path / "a.png", value)
        save(tmp_path / path / "b.png", value)
    found = find(tmp_path, val_fraction=0.0)
    assert levels(found.dataset.train) == [1, 1, 0, 0]
    assert levels(found.dataset.test) == [3, 3, 2, 2]
    assert "4 train, 4 test images in 2 subfolders" in found.note


def test_classes_may_have_the_words_of_parts_in_their_names(tmp_path):
    for value, path in enumerate(("test tube", "train station", "train2", "test2")):
        save(tmp_path / path / "a.png", value)
    note = find(tmp_path, val_fraction=0.0).note
    assert "3 train, 1 test images in 3 subfolders" in note  # one of four for test


def test_what_lies_beside_parts_is_said(tmp_path):
    for value, path in enumerate(("train/a.png", "test/a.png", "a.png", "more/b.png")):
        save(tmp_path / path, value)
    found = find(tmp_path, val_fraction=0.0)
    assert found.note.endswith("left out: 2 images of no part")


def test_the_same_picture_in_two_parts_is_said(tmp_path):
    for path, value in (("train/a.png", 7), ("train/b.png", 8), ("test/c.png", 7)):
        save(tmp_path / path, value)
    assert "1 test image also in train" in find(tmp_path, val_fraction=0.0).note


def test_first_pages_are_said(tmp_path):
    pages = [Image.new("L", (4, 4), value) for value in (10, 20)]
    for part in ("train", "test"):
        save(tmp_path / part / "b.png", len(part))
        path = tmp_path / part / "a.tif"
        pages[0].save(path, save_all=True, append_images=pages[1:])
    found = find(tmp_path, val_fraction=0.0)
    assert levels(found.dataset.test) == [10, 4]
    assert "of 2 the first page or frame alone is read" in found.note


@pytest.mark.parametrize(
    ("channels", "words"),
    [
        (1, "; of 1 the colours are made grey"),  # not of that which is grey all over
        (3, "; of 2 the grey is repeated in each colour"),
    ],
)
def test_another_kind_than_the_pictures_own_is_said(channels, words, tmp_path):
    for part in ("train", "test"):
        save(tmp_path / part / "grey.png", len(part))
    for name, colour in (("red", (255, 0, 0)), ("flat", (7, 7, 7))):
        Image.new("RGB", (4, 4), colour).save(tmp_path / "train" / f"{name}.png")
    assert find(tmp_path, val_fraction=0.0, channels=channels).note.endswith(words)


def test_names_may_be_any_bytes(tmp_path):
    raw = os.fsencode(tmp_path) + b"/caf\xe9 \n\t'x'.png"
    save(tmp_path / "a.png", 1)
    save(tmp_path / "b.png", 2).rename(os.fsdecode(raw))
    found = find(tmp_path, test_size=1, val_fraction=0.0, patches_per_image=2)
    again = find(
        tmp_path, val_fraction=0.0, patches_per_image=2, recorded=found.origins
    )
    for one, other in zip(found.dataset, again.dataset, strict=True):
        np.testing.assert_array_equal(one.images, other.images)
