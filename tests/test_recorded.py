"""A run knows the data that it was trained on, whatever becomes of their folder."""

import json
import shutil

import numpy as np
import pytest
from helpers.tiny import save_checkpoints, tiny_config
from PIL import Image

from caejax.errors import CaejaxError
from caejax.evaluation.levels import measure_levels
from caejax.evaluation.runs import relocate
from caejax.inference import trained
from caejax.inference.job import Job, load_images
from caejax.sweep.run import run_sweep
from caejax.training import recorded
from caejax.training.images import load_data
from caejax.training.loop import evaluate_again, train


def picture(seed, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (20, 20), dtype=np.uint8)
    Image.fromarray(values).save(path)


def config_for(source, place):
    config = tiny_config()
    config.data.source, config.data.dir = source, str(place)
    config.train.epochs = 1
    return config


@pytest.fixture
def photos(tmp_path):
    for seed in range(30):
        picture(seed, tmp_path / "photos" / f"{seed:02}.png")
    return tmp_path / "photos"


@pytest.fixture
def run(photos, tmp_path):
    workdir = tmp_path / "run"
    train(config_for("folder", photos), workdir, verbose=False)
    return workdir


def names_of(workdir):
    """The names of its test images."""
    return [name for name, _ in dict(recorded.read(workdir).origins)["test"]]


def loss(workdir, config=None):
    return evaluate_again(config, workdir)["loss"]


def saved_loss(workdir):
    return json.loads((workdir / "summary.json").read_text())["test/loss"]


def test_what_is_added_is_left_out(run, photos):
    for seed in range(50, 60):
        picture(seed, photos / f"0{seed}.png")
    assert loss(run) == pytest.approx(saved_loss(run), rel=1e-6)
    config = config_for("folder", photos)
    config.train.epochs = 2
    assert train(config, run, verbose=False)["epochs"] == 2
    assert len(dict(recorded.read(run).origins)["train"]) < 30


@pytest.mark.parametrize("move", ["renamed", "deeper", "linked"])
def test_what_has_another_name_is_found(run, photos, tmp_path, move):
    path = photos / names_of(run)[0]
    if move == "renamed":
        path.rename(photos / "zz.png")
    elif move == "deeper":
        (photos / "below").mkdir()
        path.rename(photos / "below" / path.name)
    else:
        path.rename(tmp_path / "x.png")
        path.symlink_to(tmp_path / "x.png")
    assert loss(run) == pytest.approx(saved_loss(run), rel=1e-6)


@pytest.mark.parametrize("change", ["removed", "replaced"])
def test_what_is_lost_is_named(run, photos, change):
    path = photos / names_of(run)[0]
    path.unlink()
    if change == "replaced":
        picture(99, path)
    config = config_for("folder", photos)
    config.train.epochs = 2
    for use in (
        lambda: loss(run),
        lambda: measure_levels(run, [0.1]),
        lambda: train(config, run, verbose=False),
        lambda: load_images(
            Job(trained.load(run), run, False, (), False, "test", 0, 8)
        ),
    ):
        with pytest.raises(CaejaxError, match=path.name):
            use()


def test_a_moved_folder_is_the_same_data(run, photos, tmp_path):
    moved = tmp_path / "elsewhere" / "pictures"
    moved.parent.mkdir()
    photos.rename(moved)
    with pytest.raises(CaejaxError, match=r"photos, which does not exist any more"):
        loss(run)
    config = config_for("folder", moved)
    assert loss(run, config) == pytest.approx(saved_loss(run), rel=1e-6)
    assert train(config, run, verbose=False)["epochs"] == 1
    assert loss(run) == pytest.approx(saved_loss(run), rel=1e-6)  # it knows the place
    config.train.epochs = 2
    assert train(config, run, verbose=False)["epochs"] == 2


def test_other_data_are_other_data(run, tmp_path):
    for seed in range(100, 130):
        picture(seed, tmp_path / "others" / f"{seed}.png")
    config = config_for("folder", tmp_path / "others")
    assert loss(run, config) != pytest.approx(saved_loss(run), rel=1e-6)
    with pytest.raises(CaejaxError):
        train(config, run, verbose=False)
    assert recorded.read(run).place == str(tmp_path / "photos")


def test_a_relative_place_is_that_of_the_first_command(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = config_for("folder", "photos")
    train(config, tmp_path / "run", verbose=False)
    (tmp_path / "b").mkdir()
    monkeypatch.chdir(tmp_path / "b")
    for seed in range(100, 130):
        picture(seed, tmp_path / "b" / "photos" / f"{seed}.png")
    assert loss(tmp_path / "run") == pytest.approx(saved_loss(tmp_path / "run"))
    config.train.epochs = 2
    assert train(config, tmp_path / "run", verbose=False)["epochs"] == 2


def test_patches_stay_where_they_were(photos, tmp_path):
    config = config_for("folder", photos)
    config.data.image_size, config.data.patches_per_image = 16, 3
    data = load_data(config)
    name = next(iter(dict(dict(data.recorded.origins)["train"])))
    (photos / name).rename(photos / "zz.png")
    again = load_data(config, data.recorded)
    for part, images in data.images.items():
        np.testing.assert_array_equal(again.images[part], images)


@pytest.fixture
def arrays(tmp_path):
    rng = np.random.default_rng(0)
    values = {
        name: rng.integers(0, 256, (count, 16, 16), dtype=np.uint8)
        for name, count in (("x_train", 30), ("x_test", 12))
    }
    np.savez(tmp_path / "a.npz", **values)
    return values


def test_an_archive_is_known_by_its_arrays(arrays, tmp_path):
    path, workdir = tmp_path / "a.npz", tmp_path / "run"
    train(config_for("npz", path), workdir, verbose=False)
    np.savez_compressed(path, **dict(reversed(arrays.items())))
    assert loss(workdir) == pytest.approx(saved_loss(workdir), rel=1e-6)
    arrays["x_test"][3, 2, 1] ^= 1
    np.savez(path, **arrays)
    with pytest.raises(CaejaxError, match="x_test"):
        loss(workdir)
    longer = config_for("npz", path)
    longer.train.epochs = 2
    with pytest.raises(CaejaxError, match="x_test"):
        train(longer, workdir, verbose=False)


def test_a_sweep_s_data_may_be_moved(photos, tmp_path, monkeypatch):
    config = config_for("folder", photos)
    config.sweep = {"noise": {"field": "corruption.level", "values": (0.1, 0.3)}}
    config.executor.name = "serial"
    before = run_sweep(config, tmp_path / "sweep")
    photos.rename(tmp_path / "moved")
    config.data.dir = str(tmp_path / "moved")
    monkeypatch.setattr("caejax.sweep.run.train_quietly", lambda *_: 1 / 0)
    after = run_sweep(config, tmp_path / "sweep")
    assert [row["run_id"] for row in after] == [row["run_id"] for row in before]
    assert [row["status"] for row in after] == ["done", "done"]
    rows = measure_levels(tmp_path / "sweep", [0.1])
    assert len(rows) == 2


def test_runs_of_a_sweep_share_their_split(photos, tmp_path):
    config = config_for("folder", photos)
    config.sweep = {"noise": {"field": "corruption.level", "values": (0.1,)}}
    config.executor.name = "serial"
    (first,) = run_sweep(config, tmp_path / "sweep")
    for seed in range(50, 60):
        picture(seed, photos / f"0{seed}.png")
    config.sweep.noise["values"] = (0.1, 0.3)
    _, second = run_sweep(config, tmp_path / "sweep")
    runs = [tmp_path / "sweep" / "runs" / row["run_id"] for row in (first, second)]
    origins = [recorded.read(run).origins for run in runs]
    assert origins[0] == origins[1]


@pytest.mark.parametrize("text", ["", "[]", "{}", "\xff", '{"origins": 3}', "null"])
def test_a_damaged_record_is_named(tmp_path, text):
    (tmp_path / recorded.FILE).write_bytes(text.encode("latin-1"))
    with pytest.raises(CaejaxError, match=r"data\.json is damaged"):
        recorded.read(tmp_path)
    shutil.rmtree(tmp_path)
    assert recorded.read(tmp_path) is None


def test_measuring_again_may_be_told_where_the_data_are(run, photos, tmp_path):
    photos.rename(tmp_path / "moved")
    relocate(run, str(tmp_path / "moved"))
    assert loss(run) == pytest.approx(saved_loss(run), rel=1e-6)
    picture(99, tmp_path / "moved" / names_of(run)[0])
    with pytest.raises(CaejaxError, match=names_of(run)[0]):
        relocate(run, str(tmp_path / "moved"))


def test_generated_images_are_at_no_place(tmp_path):
    config = tiny_config()
    config.data.dir = "/nowhere"
    assert recorded.place_of(config) == ""
    save_checkpoints(tmp_path, config, seeds=(0,))
    (tmp_path / "summary.json").write_text('{"epochs": 2}')
    before = (tmp_path / recorded.FILE).read_bytes()
    with pytest.raises(CaejaxError, match="generated"):
        relocate(tmp_path, "/nope")
    assert (tmp_path / recorded.FILE).read_bytes() == before
