"""Tests of worker processes."""

import contextlib
import json
import multiprocessing
import os
import re
import sys
import threading
from types import SimpleNamespace
from unittest.mock import ANY

import pytest
from helpers import sweep_jobs
from helpers.sweep_jobs import fake_config, logged, sweep_config

from caejax.errors import CaejaxError
from caejax.sweep.attempt import attempt
from caejax.sweep.executors import processes as workers
from caejax.sweep.executors.processes import next_run
from caejax.sweep.run import run_sweep
from caejax.sweep.spec import SweepRun


@pytest.fixture
def crew(monkeypatch):
    """Threads in place of worker processes; a job that exits ends its thread."""

    def start(folder, do, core):
        pipe, theirs = multiprocessing.Pipe()

        def work():
            with contextlib.suppress(SystemExit, EOFError, OSError), theirs:
                theirs.send("ready")
                while True:
                    run = theirs.recv()
                    state = attempt(run, folder, do, lambda: theirs.send("running"))
                    theirs.send(state)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        process = SimpleNamespace(
            join=thread.join, terminate=pipe.close, kill=pipe.close, exitcode=-9
        )
        return workers._Worker(process, pipe, core)

    monkeypatch.setattr(workers, "_start", start)


def test_workers_take_the_run_that_is_the_least_to_compile():
    waiting = [SweepRun(f"{name}{i}", {}, None) for name in "ab" for i in (0, 1)]
    programs = {run.id: run.id[0] for run in waiting}

    def taken(place, compiled, elsewhere=()):
        return next_run(waiting, place, programs, compiled, elsewhere).id

    assert taken(0, {}) == "a0"
    assert taken(1, {0: "a"}) == "b0"  # not what the other compiles
    assert taken(1, {0: "a", 1: "b"}) == "b0"
    assert taken(0, {0: "b", 1: "b"}) == "b0"  # its own, though not alone
    assert taken(2, {0: "a", 1: "b"}) == "a0"  # nothing better is left
    assert taken(0, {0: "a"}, {"a0", "a1"}) == "b0"


def test_dead_workers_are_replaced_and_their_runs_go_on(tmp_path, crew):
    def do(config, workdir):
        sweep_jobs.log(config, workdir, "began")
        times = logged(tmp_path, "began")[f"began {config.seed}"]
        if config.seed == 0 and times < 25:
            # It comes further each time.
            (workdir / f"checkpoints/last/{times}").mkdir(parents=True, exist_ok=True)
            sys.exit()
        if config.seed == 1:
            sys.exit()
        if config.seed == 2:
            raise CaejaxError("no good")
        sweep_jobs.quick(config, workdir)

    config = fake_config(4, name="processes", workers=2)
    rows = run_sweep(config, tmp_path / "sweep", do)
    assert [row["status"] for row in rows] == ["done", "failed", "failed", "done"]
    assert re.match("20 worker processes .* by SIGKILL; .*memory", rows[1]["error"])
    assert rows[2]["error"] == "no good"
    began = logged(tmp_path, "began")
    assert [began[f"began {seed}"] for seed in range(4)] == [25, 20, 1, 1]


@pytest.mark.parametrize("code", [143, -15])
def test_workers_that_are_told_to_end_are_no_fault_of_a_run(
    tmp_path, crew, monkeypatch, code
):
    monkeypatch.setattr(workers, "_DEATHS", 2)
    start = workers._start

    def told(*args):
        worker = start(*args)
        worker.process.exitcode = code
        return worker

    def do(config, workdir):
        sweep_jobs.log(config, workdir, "began")
        if logged(tmp_path, "began")["began 0"] < 5:
            sys.exit()
        sweep_jobs.quick(config, workdir)

    monkeypatch.setattr(workers, "_start", told)
    config = fake_config(1, name="processes", workers=1)
    rows = run_sweep(config, tmp_path / "sweep", do)
    assert [row["status"] for row in rows] == ["done"]
    assert logged(tmp_path, "began")["began 0"] == 5


def test_workers_that_never_start_are_an_error(tmp_path, monkeypatch):
    def start(folder, do, core):
        pipe, theirs = multiprocessing.Pipe()
        theirs.close()
        process = SimpleNamespace(
            join=bool, terminate=pipe.close, kill=pipe.close, exitcode=1
        )
        return workers._Worker(process, pipe, core)

    monkeypatch.setattr(workers, "_start", start)
    config = fake_config(2, name="processes")
    with pytest.raises(CaejaxError, match=r"before they took a run.* exit code 1"):
        run_sweep(config, tmp_path / "sweep", sweep_jobs.wait)


def test_worker_processes_train_as_one_core_does(tmp_path):
    config = sweep_config(seed={"field": "seed", "values": (0,)})
    config.model.encoder, config.model.widths = "dense", ()
    alone = run_sweep(config, tmp_path / "serial")
    config.executor.name, config.executor.workers = "processes", 1
    rows = run_sweep(config, tmp_path / "processes")
    assert [row["status"] for row in rows] == ["done"]
    for row, other in zip(rows, alone, strict=True):
        assert row["run_id"] == other["run_id"]
        assert row["test/psnr"] == pytest.approx(other["test/psnr"], rel=1e-5)
        workdir = tmp_path / "processes" / "runs" / row["run_id"]
        about = json.loads((workdir / "environment.json").read_text())
        assert about["devices"] == 1
        assert about["cpu_cores"] == (1 if hasattr(os, "sched_setaffinity") else ANY)
