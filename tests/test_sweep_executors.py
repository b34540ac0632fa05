"""Tests of what executors say and do."""

import functools
import os

import pytest
from helpers.sweep_jobs import SEEDS, fake_config, sweep_config
from ml_collections import ConfigDict

from caejax import config as config_lib
from caejax.commands import estimate, show
from caejax.commands import run as run_command
from caejax.commands.estimate import Calibration
from caejax.commands.options import Options
from caejax.errors import CaejaxError
from caejax.files.csv_files import read_csv
from caejax.runtime import startup
from caejax.sweep import executors
from caejax.sweep.attempt import attempt
from caejax.sweep.executors import EXECUTORS, find_executor
from caejax.sweep.executors.protocol import Executor
from caejax.sweep.results import unfinished
from caejax.sweep.run import run_sweep
from caejax.sweep.spec import expand


def test_executors_are_chosen_by_name():
    assert tuple(EXECUTORS) == ("serial", "processes", "vmap", "ray")
    config = sweep_config(seed=SEEDS)
    config.executor.name = "process"
    with pytest.raises(CaejaxError, match=r"executor\.name.*did you mean 'processes'"):
        find_executor(config)
    config.executor.name, config.executor.workers = "processes", -1
    with pytest.raises(CaejaxError, match=r"executor\.workers is -1"):
        expand(config)


VARIABLE = "CAEJAX_TOY"


@pytest.fixture
def toy(monkeypatch):
    """An executor of its own kind, in the table; what it was given and has seen."""
    seen = []

    def do_backwards(runs, folder, do, report, hands):
        seen.append(("run", os.environ[VARIABLE], hands))
        for run in reversed(unfinished(runs, folder)):
            begin = functools.partial(report, run, "running")
            report(run, attempt(run, folder, do, begin))
            seen.append(run.id)

    executor = Executor(
        do_backwards,
        at_a_time=lambda hands: 2 * hands,
        settings=("hands",),
        environment={VARIABLE: "set"},
    )
    monkeypatch.setitem(EXECUTORS, "toy", executor)
    default = config_lib.default

    def with_hands():
        config = default()
        with config.unlocked():
            config.executor.hands = 1
        return config.lock()

    monkeypatch.setattr(config_lib, "default", with_hands)
    monkeypatch.setenv(VARIABLE, "")  # so that it is as before afterwards
    monkeypatch.delenv(VARIABLE)
    # The first that a start-up does to JAX.
    monkeypatch.setattr(
        startup,
        "use_cores",
        lambda *_: seen.append(("start", os.environ.get(VARIABLE))),
    )
    return seen


def toy_config():
    config = fake_config(2)
    with config.unlocked():
        config.executor = ConfigDict({"name": "toy", "workers": 0, "hands": 3})
    return config.lock()


def test_a_new_executor_does_a_sweep(toy, tmp_path):
    config = toy_config()
    options = Options(config=config, workdir=tmp_path / "toy", cache=False)
    assert run_command.main(options) == 0
    ids = [run.id for run in expand(config)]
    assert toy == [("start", "set"), ("run", "set", 3), *reversed(ids)]
    assert (tmp_path / "toy" / "report.html").exists()
    config.executor.name = "serial"
    run_sweep(config, tmp_path / "serial")
    tables = [read_csv(tmp_path / name / "results.csv") for name in ("toy", "serial")]
    assert tables[0] == tables[1]
    assert [row["status"] for row in tables[0]] == ["done", "done"]


def test_show_tells_how_many_runs_an_executor_does_at_a_time(toy, monkeypatch, capsys):
    calibration = Calibration(1.0, 1.0, 0.0, 0.0, seconds=0.1)
    monkeypatch.setattr(estimate, "calibrate", lambda config: calibration)
    assert show.main(Options(config=toy_config(), calibrate=True)) == 0
    assert toy == [("start", "set")]
    assert ", 6 runs at a time)" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "cores"), [("serial", 3), ("processes", 1)])
def test_a_start_is_what_the_executor_needs(name, cores, monkeypatch):
    calls = []
    monkeypatch.setattr(executors, "start", lambda *a, **k: calls.append((a, k)))
    config = config_lib.default()
    config.executor.name = name
    executors.start_for(config, cores=3)
    ((batch, settings),) = calls
    assert (batch, settings["cores"]) == ((config.train.batch_size,), cores)
