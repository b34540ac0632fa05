import collections
import contextlib
import csv
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import ANY

import pytest
from helpers import sweep_jobs
from helpers.sweep_jobs import fake_config, sweep_config
from helpers.tiny import tiny_config

from caejax.errors import CaejaxError
from caejax.files.locks import holding, sharing
from caejax.sweep import progress
from caejax.sweep.attempt import attempt
from caejax.sweep.executors import EXECUTORS, find_executor
from caejax.sweep.executors import processes as workers
from caejax.sweep.executors.processes import next_run
from caejax.sweep.run import run_sweep
from caejax.sweep.spec import SweepRun, expand
from caejax.train.folder import claim

SEEDS = {"field": "seed", "values": (0, 1)}
DECODERS = {"field": "model.upsampling", "values": ("deconv_k3", "nearest_k3")}


def read_results(folder):
    with (folder / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_axes_combine_by_product():
    runs = expand(sweep_config(seed=SEEDS, decoder=DECODERS))
    points = [(r.values["model.upsampling"], r.values["seed"]) for r in runs]
    assert points == [
        ("deconv_k3", 0),
        ("deconv_k3", 1),
        ("nearest_k3", 0),
        ("nearest_k3", 1),
    ]
    assert [r.config.model.upsampling for r in runs] == [p[0] for p in points]
    assert [r.config.seed for r in runs] == [p[1] for p in points]
    assert len({r.id for r in runs}) == 4
    assert not runs[0].config.sweep


def test_an_axis_may_set_several_fields_at_once():
    axis = {
        "field": ("corruption.name", "corruption.level"),
        "values": (("none", 0.0), ("masking", 0.3)),
    }
    runs = expand(sweep_config(noise=axis))
    assert [(r.config.corruption.name, r.config.corruption.level) for r in runs] == [
        ("none", 0.0),
        ("masking", 0.3),
    ]


def test_a_run_has_the_same_id_alone_as_in_the_grid():
    (alone,) = expand(tiny_config())
    grid = expand(sweep_config(epochs={"field": "train.epochs", "values": (1, 2)}))
    assert alone.id == grid[1].id


@pytest.mark.parametrize(
    ("axis", "words"),
    [
        ({"field": "train.epoch", "values": (1,)}, r"'train\.epoch'.*'train\.epochs'"),
        ({"field": "seed", "values": ()}, r"sweep\.axis\.values is \(\)"),
        ({"field": "seed", "values": (0, 0)}, "two points with the same config"),
        ({"field": "seed", "values": ("a",)}, r"config\.seed is 'a'.*int"),
        ({"field": "seed"}, "must hold 'field' and 'values'"),
        ({"field": "loss", "values": ("l2",)}, "known: bce"),
        ({"field": ("seed", "loss"), "values": ((1,),)}, "2 fields"),
        ({"field": ("seed", "seed"), "values": ((1, 2),)}, "'seed' more than once"),
        ({"field": 3, "values": (1,)}, r"axis\.field is 3"),
        ({"field": "seed", "values": (None,)}, r"config\.seed is None.*int"),
    ],
)
def test_bad_axes_are_refused_in_one_line(axis, words):
    with pytest.raises(CaejaxError, match=words) as error:
        expand(sweep_config(axis=axis))
    assert "\n" not in str(error.value)


def test_points_can_be_left_out():
    config = sweep_config(seed=SEEDS, decoder=DECODERS)
    everything = expand(config)
    config.sweep_exclude = ({"seed": 1, "model.upsampling": "deconv_k3"},)
    left = expand(config)
    assert left == [everything[0], *everything[2:]]
    # By a field that is not swept, and one that holds a tuple.
    config.sweep_exclude += ({"seed": 0, "model.widths": [4, 4]},)
    assert [run.values["seed"] for run in expand(config)] == [1]


@pytest.mark.parametrize(
    ("exclusion", "words"),
    [
        ({"sead": 0}, "no field 'sead'.*'seed'"),
        ({"seed": 2}, r"\{'seed': 2\}, which leaves out no point"),
        ({}, "must hold dicts"),
        ("seed", "must hold dicts"),
        ({"loss": "bce"}, "leaves out every point"),
    ],
)
def test_bad_exclusions_are_refused_in_one_line(exclusion, words):
    config = sweep_config(seed=SEEDS)
    config.sweep_exclude = (exclusion,)
    with pytest.raises(CaejaxError, match=words) as error:
        expand(config)
    assert "\n" not in str(error.value)


def test_ids_depend_on_the_run_alone():
    config = tiny_config()
    plain = expand(sweep_config(seed=SEEDS))
    config = sweep_config(seed=SEEDS, decoder=DECODERS)
    config.sweep_exclude = ({"model.upsampling": "deconv_k3"},)
    config.executor.name, config.executor.workers = "processes", 3
    config.model.upsampling = "deconv_k4"
    assert [run.id for run in expand(config)] == [
        run.id for run in expand(sweep_config(seed=SEEDS, decoder=DECODERS))[2:]
    ]
    assert plain[0].config.executor == expand(config)[0].config.executor


def test_executors_are_chosen_by_name():
    assert tuple(EXECUTORS) == ("serial", "processes", "vmap")
    config = sweep_config(seed=SEEDS)
    config.executor.name = "process"
    with pytest.raises(CaejaxError, match=r"executor\.name.*did you mean 'processes'"):
        find_executor(config)
    config.executor.name, config.executor.workers = "processes", -1
    with pytest.raises(CaejaxError, match=r"executor\.workers is -1"):
        expand(config)


def test_a_sweep_is_done_once_and_a_failed_run_does_not_stop_it(tmp_path):
    rates = {"field": "optimizer.learning_rate", "values": (1e-3, 1e30)}
    config = sweep_config(rate=rates, seed=SEEDS)
    rows = run_sweep(config, tmp_path)
    assert [row["status"] for row in rows] == ["done", "done", "failed", "failed"]
    table = read_results(tmp_path)
    assert [row["status"] for row in table] == [row["status"] for row in rows]
    assert "not finite" in table[2]["error"] or "nan" in table[2]["error"]
    assert table[0]["optimizer.learning_rate"] == "0.001"
    assert float(table[0]["test/psnr"]) == pytest.approx(rows[0]["test/psnr"])
    assert table[2]["test/psnr"] == ""

    trained = []

    def fail(config, workdir):
        trained.append(workdir.name)
        raise CaejaxError("again")

    rows = run_sweep(config, tmp_path, fail)
    assert trained == [row["run_id"] for row in rows[2:]]
    assert [row["error"] for row in rows[2:]] == ["again", "again"]


def test_an_unforeseen_error_is_kept_with_its_traceback(tmp_path):
    def fail(config, workdir):
        raise ZeroDivisionError("by\nzero")

    config = sweep_config(seed={"field": "seed", "values": (3,)})
    (row,) = run_sweep(config, tmp_path, fail)
    assert row["error"] == "ZeroDivisionError: by zero"
    trace = tmp_path / "runs" / row["run_id"] / "traceback.txt"
    assert "ZeroDivisionError" in trace.read_text()


def test_axes_may_grow_but_other_runs_are_never_lost(tmp_path):
    def save(config, workdir):
        (workdir / "checkpoints" / "last" / "0").mkdir(parents=True)

    run_sweep(sweep_config(seed={"field": "seed", "values": (0,)}), tmp_path, save)
    assert len(run_sweep(sweep_config(seed=SEEDS), tmp_path, lambda *_: None)) == 2
    before = (tmp_path / "results.csv").read_text()
    other = sweep_config(seed=SEEDS)
    other.model.latent_channels = 3
    for config in (other, sweep_config(seed={"field": "seed", "values": (1,)})):
        with pytest.raises(CaejaxError, match="holds other runs"):
            run_sweep(config, tmp_path)
    assert (tmp_path / "results.csv").read_text() == before


def test_a_sweep_that_could_not_start_does_not_keep_its_folder(tmp_path):
    config = sweep_config(seed=SEEDS)
    config.data.source, config.data.dir = "npz", str(tmp_path / "none.npz")
    with pytest.raises(CaejaxError, match=r"none\.npz"):
        run_sweep(config, tmp_path)
    assert not list(tmp_path.iterdir())
    # Where the axes choose the data, the other runs may be fine.
    config.sweep = {"data": {"field": "data.source", "values": ("npz", "glyphs")}}
    rows = run_sweep(config, tmp_path)
    assert [row["status"] for row in rows] == ["failed", "done"]
    assert "none.npz" in rows[0]["error"]
    # Nothing was trained in the first folder but in the second.
    with pytest.raises(CaejaxError, match="holds a sweep"):
        claim(tmp_path, tiny_config())


def logged(folder, word):
    lines = (folder / "log").read_text().splitlines()
    return collections.Counter(line for line in lines if line.startswith(word))


def test_locks_exclude_others_until_they_are_released(tmp_path):
    path = tmp_path / "new" / "lock"
    with holding(path) as mine, holding(path, wait=False) as theirs:
        assert (mine, theirs) == (True, False)
    with holding(path, wait=False) as mine:
        assert mine
    with sharing(path) as first, sharing(path) as second:
        assert (first, second) == (True, False)
        with holding(path, wait=False) as mine:
            assert not mine


def test_a_run_in_other_hands_is_waited_for(tmp_path, capsys):
    config = fake_config(3)
    first, *_ = expand(config)
    lock = (tmp_path / "sweep" / "runs" / first.id) / ".lock"
    with contextlib.ExitStack() as elsewhere:
        elsewhere.enter_context(holding(lock))

        def do(config, workdir):
            sweep_jobs.log(config, workdir, "began")
            sweep_jobs.quick(config, workdir)
            if config.seed == 2:
                elsewhere.close()  # as if the other command had died

        rows = run_sweep(config, tmp_path / "sweep", do)
    assert [row["status"] for row in rows] == ["done"] * 3
    assert (tmp_path / "log").read_text().split() == "began 1 began 2 began 0".split()
    lines = capsys.readouterr().out.splitlines()
    assert sum("running elsewhere" in line for line in lines) == 1
    assert "[3 of 3 done, 0 running]" in lines[-1]


def test_failures_of_a_command_at_work_are_left_to_it(tmp_path):
    config = fake_config(2)

    def fail(word):
        def do(config, workdir):
            raise CaejaxError(word)

        return [row["error"] for row in run_sweep(config, tmp_path / "sweep", do)]

    assert fail("first") == ["first", "first"]
    with sharing(tmp_path / "sweep" / ".commands.lock"):
        assert fail("again") == ["first", "first"]
        config.executor.workers = 1  # how it is done may differ, what not
        assert fail("again") == ["first", "first"]
        config.model.latent_channels = 3
        with pytest.raises(CaejaxError, match="another command does a sweep"):
            fail("again")
        config.model.latent_channels = 2
    assert fail("again") == ["again", "again"]


COMMAND = """
import sys
from pathlib import Path
from helpers import sweep_jobs
from helpers.sweep_jobs import fake_config
from caejax.errors import exit_code
from caejax.sweep.run import run_sweep

folder = Path(sys.argv[1])
config = fake_config(12, name="processes", workers=2)
do = lambda: run_sweep(config, folder / "sweep", sweep_jobs.wait) and 0
sys.exit(exit_code(do, "interrupted"))
"""


@contextlib.contextmanager
def command(folder):
    """A command of its own that works on folder/sweep; entered when it has begun."""
    paths = f"{Path(__file__).parents[1]}:{Path(__file__).parent}"
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(folder)],
        env=os.environ | {"PYTHONPATH": paths},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            while not (folder / "log").exists():
                assert process.poll() is None
                time.sleep(0.02)
            yield process
        finally:
            process.kill()


def test_commands_share_a_folder_and_one_may_be_killed(tmp_path):
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    killed.mkdir()
    undisturbed.mkdir()
    with command(killed) as process:

        def do(config, workdir):
            sweep_jobs.wait(config, workdir)
            if len(logged(killed, "ended")) > 3:
                process.kill()

        rows = run_sweep(fake_config(12), killed / "sweep", do)
        assert process.wait() == -signal.SIGKILL
    assert [row["status"] for row in rows] == ["done"] * 12
    # Begun again were those that the two workers had in hand.
    began, ended = logged(killed, "began"), logged(killed, "ended")
    assert len(began) == 12
    assert sum(began.values()) <= 12 + 2
    assert max(ended.values()) == 1
    run_sweep(fake_config(12), undisturbed / "sweep", sweep_jobs.quick)
    tables = [x / "sweep" / "results.csv" for x in (killed, undisturbed)]
    assert tables[0].read_bytes() == tables[1].read_bytes()
    times = (killed / "sweep" / "timings.csv").read_text()
    assert times.startswith("run_id,train_seconds\n")
    assert times.count("\n") == 13


def test_an_interrupt_stops_all_workers_at_once(tmp_path):
    with command(tmp_path) as process:
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        assert process.wait() == 130
        assert process.stderr.read() == "error: interrupted\n"
        before = (tmp_path / "log").read_text()
        time.sleep(0.5)
        assert (tmp_path / "log").read_text() == before


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
            join=lambda: thread.join(), terminate=pipe.close, exitcode=-9
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


def test_workers_that_never_start_are_an_error(tmp_path, monkeypatch):
    def start(folder, do, core):
        pipe, theirs = multiprocessing.Pipe()
        theirs.close()
        process = SimpleNamespace(join=int, terminate=pipe.close, exitcode=1)
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


@pytest.mark.parametrize(
    ("states", "finished", "seconds", "text"),
    [
        ("pp", 0, 9, "0 of 2 done, 0 running"),
        ("drep", 1, 20, "1 of 4 done, 2 running, about 1 min left"),
        ("dfrp", 2, 20, "1 of 4 done, 1 running, 1 failed, about 20 s left"),
        ("dp", 1, 7500, "1 of 2 done, 0 running, about 2 h 5 min left"),
        ("dd", 1, 7, "2 of 2 done, 0 running"),
    ],
)
def test_progress_tells_counts_and_the_time_left(states, finished, seconds, text):
    names = {s.split()[-1][0]: s for s in ("pending", "running", "done", "failed")}
    names["e"] = "running elsewhere"
    states = [names[state] for state in states]
    assert progress.summarise(states, finished, seconds) == text


def test_a_terminal_shows_a_bar_below_the_lines(monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with progress.live({"a": "running", "b": "pending"}) as say:
        say("a is [done]")
    shown = capsys.readouterr().out
    assert shown.index("a is [done]") < shown.rindex("0 of 2 done, 1 running")
