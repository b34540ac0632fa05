"""Tests of batch scripts, and of commands under a real Slurm where there can be one."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import slurm_cluster
from helpers.tiny import tiny_config

from caejax.commands import estimate, slurm
from caejax.commands.estimate import Calibration
from caejax.commands.options import Options
from caejax.commands.slurm import Plan, script, time_limit
from caejax.config import to_json
from caejax.sweep.run import run_sweep

ROOT = Path(__file__).parents[1]


def plan(folder, **changes):
    values = {
        "title": "a sweep of 2 runs",
        "command": "true",
        "folder": folder,
        "directory": folder,
        "jobs": 1,
        "cores": 1,
        "gpus": 0,
        "limit": 5400.0,
        "why": "one run after another takes about 4 min",
        "cluster": False,
    }
    return Plan(**values | changes)


def directives(text):
    found = re.findall(r"^#SBATCH --([\w-]+)(?:=(.*))?$", text, re.MULTILINE)
    return dict(found)


def test_a_script_asks_for_what_a_sweep_takes(tmp_path):
    text = script(plan(tmp_path, jobs=4, cores=8))
    asked = directives(text)
    assert asked["array"] == "1-4"
    assert asked["cpus-per-task"] == "8"
    assert asked["time"] == "01:30:00"
    assert asked["signal"] == "B:USR1@120"
    assert "requeue" in asked
    assert "gres" not in asked  # it is a comment
    assert f"sbatch {tmp_path}/slurm.sh" in text
    assert directives(script(plan(tmp_path, gpus=2)))["gres"] == "gpu:2"
    ray = script(plan(tmp_path, jobs=3, cores=16, cluster=True))
    assert directives(ray)["nodes"] == "3"
    assert "array" not in directives(ray)
    assert "--num-cpus=16" in ray
    several = script(plan(tmp_path, jobs=3, distributed=True))
    assert directives(several)["nodes"] == "3"
    assert "\nsrun true &\n" in several


@pytest.mark.parametrize(
    "changes",
    [{}, {"jobs": 2}, {"jobs": 2, "cluster": True}, {"jobs": 2, "distributed": True}],
)
def test_scripts_are_bash(tmp_path, changes):
    strange = tmp_path / "with 'some' spaces"
    text = script(plan(strange, **changes))
    done = subprocess.run(
        ["bash", "-n"], input=text, text=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_limits_are_twice_the_work_of_a_job_and_at_most_a_day():
    assert time_limit(3600.0, 1) == 7800  # 2 h and 10 min
    assert time_limit(3600.0, 4) == 2400
    assert time_limit(1.0, 1) == 1200
    assert time_limit(1e6, 1) == time_limit(None, 1) == 86_400


FAKE = """#!/bin/sh
echo "$(basename "$0") $*" >> {log}
[ "$(basename "$0")" = squeue ] && echo {state}
exit 0
"""
COMMAND = (
    "import os, signal, sys, time\n"
    "signal.signal(signal.SIGUSR1, lambda *_: sys.exit({code}))\n"
    "print('ready', flush=True)\n"
    "time.sleep(60)"
)


@pytest.mark.parametrize(
    ("code", "state", "again"),
    [(138, "RUNNING", True), (138, "CANCELLED", False), (1, "RUNNING", False)],
)
def test_a_job_is_queued_again_after_a_signal_alone(tmp_path, code, state, again):
    log = tmp_path / "log"
    log.touch()
    for name in ("squeue", "scontrol"):
        (tmp_path / name).write_text(FAKE.format(log=log, state=state))
        (tmp_path / name).chmod(0o755)
    (tmp_path / "command.py").write_text(COMMAND.format(code=code))
    # So that the command has ended before the shell looks for it again.
    (tmp_path / "slow").write_text('kill() { builtin kill "$@" && sleep 0.3; }')
    text = script(plan(tmp_path, command=f"{sys.executable} command.py"))
    (tmp_path / "slurm.sh").write_text(text)
    job = subprocess.Popen(
        ["bash", tmp_path / "slurm.sh"],
        env=os.environ
        | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        | {"SLURM_JOB_ID": "7", "BASH_ENV": str(tmp_path / "slow")},
        stdout=subprocess.PIPE,
        text=True,
    )
    with job:
        assert job.stdout.readline() == "ready\n"
        job.send_signal(signal.SIGUSR1)
        assert job.wait(30) == code
    assert ("scontrol requeue 7" in log.read_text()) is again


CONFIG = """
from caejax.config import from_json
def get_config():
    return from_json({text!r})
"""


def sweep_config(seeds, epochs=2):
    config = tiny_config()
    config.model.encoder, config.model.widths = "dense", ()
    config.train.epochs = epochs
    config.sweep = {"seed": {"field": "seed", "values": tuple(range(seeds))}}
    return config


def test_the_command_writes_a_script(tmp_path, monkeypatch, capsys):
    calibration = Calibration(10.0, 5.0, 0.0, 0.0, seconds=0.1)
    monkeypatch.setattr(estimate, "calibrate", lambda config: calibration)
    words = ["caejax slurm", "--mode=slurm", "--config=x.py", "--jobs", "2"]
    words += ["--config.seed=3", f"--workdir={tmp_path}", "--nocalibrate"]
    monkeypatch.setattr(sys, "argv", words)
    config = sweep_config(4)
    options = Options(config=config, workdir=tmp_path, jobs=2, cache=False)
    assert slurm.main(options) == 0
    text = (tmp_path / "slurm.sh").read_text()
    assert directives(text)["array"] == "1-2"
    (line,) = [line for line in text.splitlines() if "caejax.main" in line]
    assert line.split()[1:-1] == [
        *("-m", "caejax.main", "--config=x.py", "--config.seed=3"),
        f"--workdir={tmp_path}",
    ]
    # Four runs of five seconds and one compilation, twice, over two, and ten minutes.
    assert directives(text)["time"] == "00:20:00"
    assert "sbatch" in capsys.readouterr().out


@pytest.mark.skipif(bool(slurm_cluster.missing()), reason=slurm_cluster.missing())
def test_a_sweep_survives_a_preemption_and_a_lost_node(tmp_path):
    """One job is told to make room, another's node is lost; both are queued again."""
    config = sweep_config(2, epochs=24)
    path = tmp_path / "config.py"
    path.write_text(CONFIG.format(text=to_json(config)))
    folder = tmp_path / "sweep"
    # On one core, as what it is compared with, whatever Slurm binds jobs to.
    command = f"{sys.executable} -m caejax.main --config={path} --workdir={folder}"
    command += " --cores=1"
    folder.mkdir()
    text = script(plan(folder, command=command, jobs=2, directory=ROOT))
    (folder / "slurm.sh").write_text(text)
    with slurm_cluster.cluster(tmp_path / "slurm") as cluster:
        assert "Submitted" in cluster.ask("sbatch", str(folder / "slurm.sh"))
        # Of whichever is first: it may have ended before the other begins.
        wait(lambda: any(folder.glob("runs/*/checkpoints/last/[1-9]*")))
        running = ("squeue", "-h", "-t", "R")
        wait(lambda: len(cluster.ask(*running).splitlines()) == 2)
        cluster.ask("scancel", "--signal=USR1", "--batch", "1_1")
        cluster.lose("n2")
        # As it is found to be after a while.
        cluster.ask("scontrol", "update", "nodename=n2", "state=down", "reason=lost")
        wait(lambda: not cluster.ask("squeue", "-h"))
        begun = "".join(cluster.ask("scontrol", "show", "job").splitlines())
    assert begun.count("Restarts=1") == 2
    rows = run_sweep(config, tmp_path / "alone")
    assert [row["status"] for row in rows] == ["done", "done"]
    tables = [(x / "results.csv").read_bytes() for x in (folder, tmp_path / "alone")]
    assert tables[0] == tables[1]


def wait(happened, seconds=80):
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.2)
