import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from caejax import data
from caejax.data import tfds as source
from caejax.errors import CaejaxError

tfds = pytest.importorskip("tensorflow_datasets")
pytest.importorskip("array_record")
pytest.importorskip("importlib_resources")

IMAGE = tfds.features.Image(shape=(4, 6, 1))
LABEL = tfds.features.ClassLabel(num_classes=100)


def make_builder(dataset, features, splits, **keywords):
    """A dataset class of tfds, from examples held in memory."""

    class Builder(tfds.core.GeneratorBasedBuilder, **keywords):
        name = dataset
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features_dict = tfds.features.FeaturesDict(features)
            return tfds.core.DatasetInfo(builder=self, features=features_dict)

        def _split_generators(self, dl_manager):
            return {split: self._generate_examples(split) for split in splits}

        def _generate_examples(self, split):
            yield from enumerate(splits[split])

    return Builder


def flat(value, size=(4, 6), dtype=np.uint8) -> Image.Image:
    """A flat image. tfds needs TensorFlow to store arrays, but not for these."""
    return Image.fromarray(np.full(size, value, dtype))


def numbered(first: int, count: int) -> list[dict]:
    return [{"image": flat(n), "label": n} for n in range(first, first + count)]


@pytest.fixture
def prepare(tmp_path):
    """Writes a dataset "small" that tfds knows from its files alone."""

    def write(splits, **features):
        features = features or {"image": IMAGE, "label": LABEL}
        builder = make_builder("small", features, splits, skip_registration=True)
        made = builder(data_dir=str(tmp_path), file_format="array_record")
        made.download_and_prepare()
        return made.data_path

    return write


def load(tmp_path, name="small", image_size=(4, 6), **options):
    return source.load(name=name, dir=str(tmp_path), image_size=image_size, **options)


def values(split) -> list[int]:
    """The grey level of every flat image."""
    assert np.ptp(split.images, axis=(1, 2, 3)).max() == 0
    return np.rint(split.images[:, 0, 0, 0] * 255).astype(int).tolist()


@pytest.mark.parametrize("other", ["test", "validation"])
def test_images_and_labels(prepare, tmp_path, other):
    splits = {"train": numbered(0, 5), other: numbered(5, 3)}
    prepare(splits)
    train, test = load(tmp_path)
    assert train.images.shape == (5, 4, 6, 1)
    assert train.images.dtype == np.float32
    assert train.labels.dtype == np.int32
    assert (sorted(values(train)), sorted(values(test))) == ([0, 1, 2, 3, 4], [5, 6, 7])
    assert values(train) == train.labels.tolist()
    assert values(test) == test.labels.tolist()
    limited = load(tmp_path, limit=2)
    assert [values(split) for split in limited] == [values(train)[:2], values(test)[:2]]


def test_seeded_test_part_if_there_is_only_train(prepare, tmp_path):
    prepare({"train": numbered(0, 20)})
    train, test = load(tmp_path, test_fraction=0.25)
    assert (len(train.images), len(test.images)) == (15, 5)
    assert sorted(values(train) + values(test)) == list(range(20))
    assert values(test) == values(load(tmp_path, test_fraction=0.25)[1])
    assert values(test) != values(load(tmp_path, test_fraction=0.25, seed=1)[1])


def test_features_are_found_by_type(prepare, tmp_path):
    example = {"photo": flat(51), "kind": 7, "file": "a.png"}
    splits = {"train": [example], "test": [example]}
    prepare(splits, photo=IMAGE, kind=LABEL, file=tfds.features.Text())
    train, _ = load(tmp_path)
    assert (values(train), train.labels.tolist()) == ([51], [7])


def test_favoured_names_and_no_labels(prepare, tmp_path):
    example = {"image": flat(51), "mask": flat(0), "a": 1, "b": 2}
    splits = {"train": [example], "test": [example]}
    prepare(splits, image=IMAGE, mask=IMAGE, a=LABEL, b=LABEL)
    train, _ = load(tmp_path)
    assert (values(train), train.labels) == ([51], None)


def test_sixteen_bits(prepare, tmp_path):
    example = {"image": flat(13107, dtype=np.uint16)}
    feature = tfds.features.Image(shape=(4, 6, 1), dtype=np.uint16)
    prepare({"train": [example], "test": [example]}, image=feature)
    np.testing.assert_allclose(load(tmp_path)[0].images, 0.2, rtol=1e-6)


def test_unequal_images_are_cropped_and_resized(prepare, tmp_path):
    stripes = np.zeros((8, 24, 3), np.uint8)
    stripes[:, 8:16] = [250, 100, 50]  # what a centre crop to 1:1 keeps
    fine = np.zeros((32, 40, 3), np.uint8)
    fine[:, 1::2] = 200  # would alias to 0 or 200 without a filter
    examples = [{"image": Image.fromarray(pixels)} for pixels in (stripes, fine)]
    feature = tfds.features.Image(shape=(None, None, 3))
    prepare({"train": examples, "test": examples}, image=feature)
    images = load(tmp_path, image_size=(4, 4))[0].images
    assert images.shape == (2, 4, 4, 3)
    kept, grey = sorted(images, key=np.std, reverse=True)
    # The filter sees a little of what lies outside the crop.
    np.testing.assert_allclose(kept * 255, np.full(kept.shape, [250, 100, 50]), atol=20)
    np.testing.assert_allclose(grey * 255, 100, atol=5)


def test_equal_images_of_another_size_are_an_error(prepare, tmp_path):
    prepare({"train": numbered(0, 2), "test": numbered(2, 1)})
    with pytest.raises(CaejaxError, match=r"\Atfds images are 4x6 .* is 8x8 .*\Z"):
        data.load("tfds", name="small", dir=str(tmp_path), image_size=(8, 8))


def test_reading_imports_no_tensorflow(prepare, tmp_path):
    prepare({"train": numbered(0, 3), "test": numbered(3, 2)})
    code = (
        "import sys; from caejax import data; "
        f"d = data.load('tfds', name='small', dir={str(tmp_path)!r}, image_size=(4, 6))"
        "; print([len(part.labels) for part in d], 'tensorflow' in sys.modules)"
    )
    root = Path(__file__).parents[1]
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[2, 1, 2] False\n", "")


make_builder(
    "caejax_pictures",
    {"image": IMAGE, "label": LABEL},
    {"train": numbered(0, 3), "test": numbered(3, 2)},
)
make_builder(
    "caejax_arrays",
    {"image": IMAGE},
    {"train": [{"image": np.zeros((4, 6, 1), np.uint8)}]},
)


def test_download_prepares_once(tmp_path):
    words = (
        r"'caejax_pictures' is not prepared in .*caejax\[tfds\].*data\.download=True"
    )
    with pytest.raises(CaejaxError, match=rf"\A.*{words}\Z"):
        load(tmp_path, "caejax_pictures")
    train, _ = load(tmp_path, "caejax_pictures", download=True)
    assert sorted(values(train)) == [0, 1, 2]
    again, _ = load(tmp_path, "caejax_pictures")
    np.testing.assert_array_equal(again.images, train.images)


def test_preparing_without_tensorflow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    words = r"cannot prepare 'caejax_arrays' \(.*tensorflow.*\): pip .*caejax\[tfds\]"
    with pytest.raises(CaejaxError, match=rf"\A{words}.*\Z"):
        load(tmp_path, "caejax_arrays", download=True)


def test_preparing_fails(tmp_path, monkeypatch):
    def fail(*args, **keywords):
        raise AssertionError("Manual download required\nfrom a far place")

    builder = type(tfds.builder("caejax_pictures", data_dir=str(tmp_path)))
    monkeypatch.setattr(builder, "download_and_prepare", fail)
    words = (
        r"cannot prepare 'caejax_pictures' \(Manual download required\): .*data\.dir"
    )
    with pytest.raises(CaejaxError, match=rf"\A{words}\Z"):
        load(tmp_path, "caejax_pictures", download=True)


@pytest.mark.parametrize("package", ["array_record", "importlib_resources"])
def test_missing_package(tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    words = rf'data\.source=tfds needs {package}: pip install "caejax\[tfds\]"'
    with pytest.raises(CaejaxError, match=rf"\A{words}\Z"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["no_such_dataset", "", "mnist:9.9.9"])
def test_unknown_dataset(tmp_path, name):
    words = rf"cannot open data\.name '{name}' .*catalogue.*data\.dir"
    with pytest.raises(CaejaxError, match=rf"\A{words}\Z"):
        load(tmp_path, name)


def test_no_train_split(prepare, tmp_path):
    prepare({"other": numbered(0, 2), "test": numbered(2, 1)})
    words = "'small' has the splits .*other.* but no train"
    with pytest.raises(CaejaxError, match=rf"\A.*{words}.*\Z"):
        load(tmp_path)


def test_no_single_image(prepare, tmp_path):
    example = {"left": flat(0), "right": flat(0)}
    prepare({"train": [example], "test": [example]}, left=IMAGE, right=IMAGE)
    words = "small/1.0.0 has no single image among its features .*(left|right)"
    with pytest.raises(CaejaxError, match=rf"\A.*{words}.*\Z"):
        load(tmp_path)


def test_float_maps_are_no_images():
    depth = tfds.features.Image(shape=(4, 6, 1), dtype=np.float32)
    info = SimpleNamespace(features={"depth": depth}, full_name="maps/1.0.0")
    words = "maps/1.0.0 has no single image among its features depth"
    with pytest.raises(CaejaxError, match=rf"\A.*{words}.*\Z"):
        source._read(SimpleNamespace(info=info), "train", np.arange(1), (4, 6))


@pytest.mark.parametrize("length", [None, 100])
def test_damaged_records(prepare, tmp_path, length):
    folder = prepare({"train": numbered(0, 3), "test": numbered(3, 1)})
    (records,) = folder.glob("small-train*")
    contents = records.read_bytes()
    records.unlink()
    if length:
        records.write_bytes(contents[:length])
    words = r"cannot read .*small/1\.0\.0 \(.*\): delete it and set data\.download=True"
    with pytest.raises(CaejaxError, match=rf"\A{words}\Z"):
        load(tmp_path)


def test_records_that_need_tensorflow(prepare, tmp_path):
    folder = prepare({"train": numbered(0, 3), "test": numbered(3, 1)})
    info = Path(folder, "dataset_info.json")
    info.write_text(info.read_text().replace("array_record", "tfrecord"))
    words = r"small/1\.0\.0 is stored as tfrecord, .*data\.dir .*data\.download=True"
    with pytest.raises(CaejaxError, match=rf"\A.*{words}.*\Z"):
        load(tmp_path)
