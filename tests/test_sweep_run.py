"""Tests of whole sweeps, in one command and in several."""

import contextlib
import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import sweep_jobs
from helpers.sweep_jobs import SEEDS, fake_config, logged, sweep_config
from helpers.tiny import tiny_config

from caejax.errors import CaejaxError
from caejax.files.locks import holding, sharing
from caejax.sweep.run import run_sweep
from caejax.sweep.spec import expand
from caejax.training.folder import claim
from caejax.training.memory import check_memory


def read_results(folder):
    with (folder / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


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


def test_few_steps_are_said_once(tmp_path, capsys):
    run_sweep(sweep_config(seed=SEEDS), tmp_path, sweep_jobs.quick)
    assert capsys.readouterr().out.count("warning: training takes only 4 steps") == 1


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
    fewer = sweep_config(seed={"field": "seed", "values": (1,)})
    swept = sweep_config(seed=SEEDS, loss={"field": "loss", "values": ("mse",)})
    for config, why in (
        (other, r"model\.latent_channels is 2 there and 3 here; choose another"),
        (fewer, "axes may only grow, and 'seed' is without 0 here; choose another"),
        (swept, "the axis 'loss' is here alone"),
    ):
        with pytest.raises(CaejaxError, match=f"holds other runs.*: {why}"):
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


def test_a_run_too_large_for_the_machine_is_no_error_of_the_others(tmp_path):
    def sizes(*widths):
        axis = {"field": "model.widths", "values": tuple((x, 4) for x in widths)}
        return sweep_config(widths=axis)

    def train(config, workdir):
        check_memory(config)
        sweep_jobs.quick(config, workdir)

    rows = run_sweep(sizes(2**30, 4), tmp_path, train)
    assert [row["status"] for row in rows] == ["failed", "done"]
    assert "the run takes at least" in rows[0]["error"]
    # As an error of all runs it is one of the sweep.
    with pytest.raises(CaejaxError, match=r"widths is \(1073741824, 4\).*at least"):
        run_sweep(sizes(2**30, 2**29), tmp_path / "none")
    assert not (tmp_path / "none").exists()


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
    assert "[3 of 3 done, 0 running, after" in lines[-1]


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
import signal
import sys
from pathlib import Path
from helpers import sweep_jobs
from helpers.sweep_jobs import fake_config
from caejax.errors import exit_code
from caejax.sweep.run import run_sweep

# Tests in the background of a shell would hand on that it is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
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
