"""What is left of a command that is killed between any two of its writes."""

import itertools
import json
import shutil

import pytest
from helpers import sweep_jobs
from helpers.interruption import interrupted_at
from helpers.tiny import tiny_config

from caejax.config import to_json
from caejax.errors import CaejaxError
from caejax.files.atomic import write_json
from caejax.sweep.run import run_sweep
from caejax.training import folder
from caejax.training.loop import train

_TIMES = ("images_per_second", "train_seconds")


def config_of(epochs):
    config = tiny_config()
    config.train.epochs = epochs
    return config


def rows_of(workdir):
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [without_times(json.loads(line)) for line in lines]


def without_times(values):
    return {name: value for name, value in values.items() if name not in _TIMES}


def contents(workdir):
    return {
        path.relative_to(workdir).as_posix(): path.read_bytes()
        for path in sorted(workdir.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("finished")
    return workdir, train(config_of(1), workdir, verbose=False)


@pytest.fixture(scope="module")
def longer(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("longer")
    return workdir, train(config_of(2), workdir, verbose=False)


def test_a_slip_on_a_finished_run_leaves_it_finished(finished, longer, tmp_path):
    """A command for more epochs is killed before each of its writes in turn."""
    saved, moments = False, 0
    for moment in itertools.count():
        if saved and moment % 29:  # of those that follow the new checkpoint
            continue
        workdir = tmp_path / str(moment)
        shutil.copytree(finished[0], workdir)
        if not interrupted_at(
            moment, workdir, lambda to=workdir: train(config_of(2), to, verbose=False)
        ):
            break
        moments += 1
        if folder.last_step(workdir) == finished[1]["steps"]:
            for name in ("config.json", "environment.json", "summary.json"):
                there = (workdir / name).read_bytes()
                assert there == (finished[0] / name).read_bytes(), moment
            assert train(config_of(1), workdir, verbose=False) == finished[1]
        else:
            saved = True
        summary = train(config_of(2), workdir, verbose=False)
        assert without_times(summary) == without_times(longer[1]), moment
        assert rows_of(workdir)[-3:] == rows_of(longer[0])[-3:], moment
        shutil.rmtree(workdir)
    assert saved
    assert moments > 5


def test_nothing_changes_before_the_first_step(finished, tmp_path, monkeypatch):
    workdir = tmp_path / "run"
    shutil.copytree(finished[0], workdir)
    before = contents(workdir)
    monkeypatch.setattr("caejax.training.loop._steps", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(config_of(2), workdir, verbose=False)
    wrong = config_of(2)
    wrong.data.source, wrong.data.dir = "folder", str(tmp_path / "nowhere")
    with pytest.raises(CaejaxError, match=r"data\.source is 'glyphs' there"):
        train(wrong, workdir, verbose=False)
    assert contents(workdir) == before


def test_a_new_run_goes_on_from_any_moment(longer, tmp_path):
    for moment in itertools.count(step=23):
        workdir = tmp_path / str(moment)
        if not interrupted_at(
            moment, workdir, lambda to=workdir: train(config_of(2), to, verbose=False)
        ):
            break
        if not folder.is_started(workdir):  # it may still become any other run
            other = config_of(2)
            other.seed = 1
            folder.claim(workdir, other)
        summary = train(config_of(2), workdir, verbose=False)
        assert without_times(summary) == without_times(longer[1]), moment
        assert rows_of(workdir) == rows_of(longer[0]), moment
        shutil.rmtree(workdir)
    assert moment > 23


def sweep_of(*levels):
    axis = {"field": "corruption.level", "values": levels}
    config = sweep_jobs.sweep_config(noise=axis)
    config.executor.name = "serial"
    return config


def fails_at_half(config, workdir):
    if config.corruption.level == 0.5:
        raise CaejaxError("too much noise")
    write_json(workdir / "config.json", json.loads(to_json(config)))
    sweep_jobs.quick(config, workdir)


def test_a_slip_on_a_finished_sweep_leaves_it_finished(tmp_path):
    first = tmp_path / "first"
    small, large = sweep_of(0.1, 0.5), sweep_of(0.1, 0.5, 0.2)
    run_sweep(small, first, fails_at_half)
    before, begun = contents(first), 0
    for moment in itertools.count():
        workdir = tmp_path / str(moment)
        shutil.copytree(first, workdir)
        assert interrupted_at(
            moment, workdir, lambda to=workdir: run_sweep(large, to, fails_at_half)
        )
        after = contents(workdir)
        about = ("config.json", "environment.json")
        if any(after[name] != before[name] for name in about):
            begun += 1
        else:  # no run has begun
            assert after == before, moment
        if sum(map(folder.is_started, (workdir / "runs").iterdir())) > 1:
            break  # more is done than the smaller sweep has
        run_sweep(small, workdir, fails_at_half)
        assert (workdir / "results.csv").read_bytes() == before["results.csv"]
    assert moment > begun > 0
