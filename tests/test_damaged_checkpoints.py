"""What becomes of a run whose checkpoints have been damaged since."""

import json
import shutil
from pathlib import Path

import pytest
from helpers.runs import CLOCK, assert_same, new_state, rows_of, state_of
from helpers.tiny import save_checkpoints, tiny_config

from caejax.errors import CaejaxError
from caejax.files.finished import checkpoint_folders
from caejax.training import checkpoint, loop
from caejax.training.checkpoint import Checkpoints
from caejax.training.progress import Progress
from caejax.training.restore import restore
from caejax.training.task import task_from_config

LAST = "checkpoints/last/8"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of two epochs."""
    workdir = tmp_path_factory.mktemp("run")
    loop.train(tiny_config(), workdir, verbose=False)
    return workdir


@pytest.fixture
def run(finished, tmp_path):
    """A copy of it, not finished yet."""
    workdir = tmp_path / "run"
    shutil.copytree(finished, workdir)
    (workdir / "summary.json").unlink()
    return workdir


def values(workdir):
    summary = json.loads((workdir / "summary.json").read_text())
    return {name: value for name, value in summary.items() if name not in CLOCK}


def steps_of(workdir):
    return [int(path.name) for path in checkpoint_folders(workdir / "checkpoints")]


def cut(path):
    path.write_bytes(path.read_bytes()[:-9])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def make_folder(path):
    path.unlink()
    path.mkdir()


def other_json(path):
    path.write_text("[3]")


def other_progress(path):
    """Whole, but not what was saved."""
    about = json.loads(path.read_text())
    about["progress"]["best_loss"] /= 2
    path.write_text(json.dumps(about))


def remove(path):
    (shutil.rmtree if path.is_dir() else type(path).unlink)(path)


DAMAGE = {
    "a cut file": (cut, "state/manifest.ocdbt"),
    "flipped bits of the state": (flip, "state/d/*"),
    "a folder for a file": (make_folder, "state/d/*"),
    "other JSON beside the state": (other_json, "about/metadata"),
    "another loss beside the state": (other_progress, "about/metadata"),
    "no state": (remove, "state"),
    "no files": (remove, "*"),
}


def damage(folder, name):
    spoil, pattern = DAMAGE[name]
    for path in folder.glob(pattern):
        spoil(path)


@pytest.mark.parametrize("name", DAMAGE)
def test_what_is_damaged_is_noticed_and_kept_aside(run, name, capsys):
    best = run / "checkpoints" / "best" / "8"
    for folder in (run / LAST, best):
        damage(folder, name)
    assert int(state_of(run, tiny_config()).step) == 4
    kept = {path.name for path in (run / "checkpoints" / "damaged").iterdir()}
    assert kept == {"8", "8-2"}
    assert steps_of(run) == [4]
    (line,) = capsys.readouterr().err.splitlines()
    assert "last/8 and " in line
    assert "the run goes on from step 4" in line


def test_a_run_goes_on_from_the_checkpoint_before(run, finished, capsys):
    damage(run / LAST, "flipped bits of the state")
    damage(run / "checkpoints" / "best" / "8", "no files")
    loop.train(tiny_config(), run)
    said = capsys.readouterr().out
    assert "resuming from step 4" in said
    assert "training for 4 steps more, of 8 in all" in said
    assert rows_of(run) == rows_of(finished)
    assert values(run) == values(finished)
    assert_same(state_of(run, tiny_config()), state_of(finished, tiny_config()))
    samples = "samples.npz"
    assert (run / samples).read_bytes() == (finished / samples).read_bytes()


def test_the_best_state_takes_the_last_one_s_place(run, finished, capsys):
    damage(run / LAST, "no state")
    shutil.rmtree(run / "checkpoints" / "last" / "4")
    loop.train(tiny_config(), run, verbose=False)
    assert "last/8 is damaged" in capsys.readouterr().err
    assert values(run) == values(finished)
    assert (run / LAST).is_dir()


def test_without_another_checkpoint_a_run_begins_anew(run, finished, capsys):
    for path in (run / "checkpoints").glob("*/*"):
        damage(path, "no state")
    loop.train(tiny_config(), run, verbose=False)
    assert "begins anew" in capsys.readouterr().err
    assert rows_of(run) == rows_of(finished)
    assert values(run) == values(finished)


def checkpoints_of(workdir, config):
    return Checkpoints(workdir / "checkpoints", keep=2), new_state(
        task_from_config(config, 1)
    )


def test_of_best_ones_as_many_are_kept_as_of_others(tmp_path):
    """They are copied among the last, also where a run was killed amidst that."""
    (tmp_path / "checkpoints" / "copy" / "state").mkdir(parents=True)
    checkpoints, like = checkpoints_of(tmp_path, tiny_config())
    with checkpoints:
        for step in range(4):
            state = like._replace(step=like.step + step)
            checkpoints.save(state, Progress(init={}), best=True)
        assert steps_of(tmp_path) == [3, 3, 2]
        damage(tmp_path / "checkpoints" / "best" / "3", "no state")
        assert int(checkpoints.restore(like)[0].step) == 3


@pytest.mark.parametrize(("kept", "step"), [((0, 1), 1), ((1, 2), None)])
def test_a_run_that_needs_its_best_goes_on_from_where_that_is_known(
    tmp_path, kept, step
):
    """Of steps 0 to 2, that of step 0 is the best; what `last` keeps may hold it."""
    config = tiny_config()
    save_checkpoints(tmp_path, config, seeds=range(1 + max(kept)))
    damage(tmp_path / "checkpoints" / "best" / "0", "no state")
    checkpoints, like = checkpoints_of(tmp_path, config)
    with checkpoints:
        restored = checkpoints.restore(like, with_best=True)
        assert (restored and int(restored[0].step)) == step
        best = checkpoints.restore_best(like)
        assert (best and int(best[0].step)) == (None if step is None else 0)
    assert steps_of(tmp_path) == ([] if step is None else [1, 0, 0])


def test_strays_beside_checkpoints_are_no_checkpoints(run):
    last = run / "checkpoints" / "last"
    for name in ("notes.txt", "99", "²"):
        (last / name).write_text("x")
    (last / "8 (copy)").mkdir()
    assert int(state_of(run, tiny_config()).step) == 8
    assert (last / "99").read_text() == "x"


def test_readers_take_the_one_before_and_write_nothing(run, capsys):
    damage(run / LAST, "flipped bits of the state")
    shutil.rmtree(run / "checkpoints" / "best")
    before = sorted(run.rglob("*"))
    assert int(restore(run, tiny_config()).step) == 4
    assert "last/8 is damaged; the model of" in capsys.readouterr().err
    with pytest.raises(CaejaxError, match="last/8 is damaged; delete summary"):
        restore(run, tiny_config(), exact=True)
    damage(run / "checkpoints" / "last" / "4", "no state")
    with pytest.raises(CaejaxError, match="last/8 is damaged, and there is no other"):
        restore(run, tiny_config())
    assert set(before) - set(run.rglob("*")) == {
        path for path in before if "last/4/state" in str(path)
    }


def test_errors_that_pass_are_no_damage(run, monkeypatch):
    def fail(*_):
        raise ValueError("RESOURCE_EXHAUSTED: out of memory")

    monkeypatch.setattr(checkpoint, "_restore", fail)
    with pytest.raises(ValueError, match="out of memory"):
        state_of(run, tiny_config())
    assert not (run / "checkpoints" / "damaged").exists()


def test_checkpoints_of_earlier_versions_have_no_hashes(run):
    path = run / LAST / "about" / "metadata"
    about = json.loads(path.read_text())
    del about["hash"], about["state"], about["dtypes"]
    path.write_text(json.dumps(about))
    assert int(state_of(run, tiny_config()).step) == 8


@pytest.mark.parametrize("way", ["..", "link", "relative"])
def test_a_way_about_a_folder_damages_nothing(run, tmp_path, monkeypatch, capsys, way):
    (run / "below").mkdir()
    (tmp_path / "link").symlink_to(run)
    monkeypatch.chdir(run / "below")
    roads = {
        "..": run / "below" / "..",
        "link": tmp_path / "link",
        "relative": Path(".."),
    }
    config = tiny_config()
    assert int(state_of(roads[way], config).step) == 8
    config.train.epochs = 3
    loop.train(config, roads[way])
    said = capsys.readouterr()
    assert "resuming from step 8" in said.out
    assert said.err == ""
    assert not (run / "checkpoints" / "damaged").exists()
