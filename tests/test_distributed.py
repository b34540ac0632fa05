"""Tests of one run by several processes."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import pytest
from helpers.runs import rows_of
from helpers.tiny import tiny_config

from caejax import main
from caejax.commands import run
from caejax.config import to_json
from caejax.errors import CaejaxError
from caejax.runtime import together
from caejax.training import across
from caejax.training.loop import train

ROOT = Path(__file__).parents[1]


def config_of(epochs):
    config = tiny_config()
    config.model.encoder, config.model.widths = "dense", (16,)
    config.train.epochs, config.train.probe_steps = epochs, ()
    return config


CONFIG = """
from caejax.config import from_json
def get_config():
    return from_json({text!r})
"""


def start(index, port, config, workdir, *flags, environment=None):
    """A process of a run of two, on 127.0.0.1 alone."""
    words = (
        f"--config={config}",
        f"--workdir={workdir}",
        "--distributed",
        f"--coordinator_address=127.0.0.1:{port}",
        "--num_processes=2",
        f"--process_id={index}",
        "--cores=1",
    )
    return subprocess.Popen(
        [sys.executable, "-m", "caejax.main", *words, *flags],
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def both(config, *workdirs, **more):
    """What the two processes of a run say, and their exit codes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [
        start(index, port, config, workdirs[index % len(workdirs)], **more)
        for index in (0, 1)
    ]
    said = [process.communicate(timeout=80)[0] for process in processes]
    return said, [process.returncode for process in processes]


@pytest.fixture
def written(tmp_path):
    def write(config):
        path = tmp_path / "config.py"
        path.write_text(CONFIG.format(text=to_json(config)))
        return path

    return write


def test_two_processes_train_as_one_does_and_one_goes_on(tmp_path, written):
    said, codes = both(written(config_of(1)), tmp_path / "two")
    assert codes == [0, 0], said
    assert "epoch 1/1" in said[0]
    assert "epoch" not in said[1]  # the first reports
    about = json.loads((tmp_path / "two" / "environment.json").read_text())
    assert (about["process_count"], about["devices"]) == (2, 2)
    assert (tmp_path / "two" / "report.html").exists()
    train(config_of(2), tmp_path / "two", verbose=False)
    train(config_of(2), tmp_path / "one", verbose=False)
    rows = [rows_of(tmp_path / name) for name in ("two", "one")]
    # Sums over devices round otherwise; nothing else may differ.
    for two, one in zip(*rows, strict=True):
        assert two.keys() == one.keys()
        for name, value in two.items():
            if name == "split":
                assert value == one[name]
            else:
                assert value == pytest.approx(one[name], rel=1e-4), name


def test_folders_that_are_not_shared_are_one_line(tmp_path, written, monkeypatch):
    monkeypatch.setattr(across, "_VISIBLE", 0.0)
    about = across._about(config_of(1))
    token = tmp_path / "elsewhere" / "token"
    assert "another folder" in across._difference(config_of(1), about, token)
    token.parent.mkdir()
    token.touch()
    assert across._difference(config_of(1), about, token) == ""
    other = across._difference(config_of(1), {**about, "jax": "0.1"}, token)
    assert other == f"jax is {jax.__version__} there and 0.1 on process 0"
    assert "config is" in across._difference(config_of(2), about, token)


def test_what_processes_answer_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(together, "tell", lambda **message: None)
    monkeypatch.setattr(together, "replies", lambda topic: {1: "", 2: "no good"})
    with pytest.raises(CaejaxError, match="--distributed: process 2: no good"):
        across.greet(config_of(1), tmp_path)
    assert not list(tmp_path.iterdir())


def test_that_process_0_is_gone_is_said(tmp_path, written, monkeypatch):
    def follow(*_):
        raise CaejaxError("process 0 has ended")

    for name, value in (("join", None), ("count", 2), ("index", 1)):
        monkeypatch.setattr(together, name, lambda *_, value=value: value)
    monkeypatch.setattr(across, "follow", follow)
    config = config_of(1)
    options = SimpleNamespace(
        config=config, workdir=tmp_path, processes=(), cores=0, cache=False
    )
    with pytest.raises(CaejaxError, match="process 0 has ended"):
        run.main(options)
    config.train.batch_size = 7  # which process 0 says
    monkeypatch.setattr(jax, "device_count", lambda: 4)
    assert run.main(options) == 1


def test_what_cannot_be_shared_is_refused(monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda: 3)
    with pytest.raises(CaejaxError, match=r"batch_size is 8.*a multiple of 3"):
        across.check_devices(config_of(1))
    monkeypatch.setattr(jax, "device_count", lambda: 4)
    across.check_devices(config_of(1))
    sweep = config_of(1)
    sweep.sweep = {"seed": {"field": "seed", "values": (0, 1)}}
    with pytest.raises(CaejaxError, match="--distributed is for one run"):
        across.check_devices(sweep)


def test_nobody_says_which_processes_there_are(monkeypatch):
    def initialize(*args, **settings):
        raise ValueError("coordinator_address should be defined.")

    monkeypatch.setattr(jax.distributed, "initialize", initialize)
    with pytest.raises(CaejaxError, match=r"nobody says.*--num_processes=N"):
        together.join()


def test_flags_of_processes_go_together(capsys):
    words = ["caejax", "--workdir=x"]
    for flags, line in (
        (["--num_processes=2"], "are for --distributed; add that"),
        (
            ["--distributed", "--mode=report"],
            "--distributed is for `caejax run`",
        ),
    ):
        main.flags.FLAGS.unparse_flags()
        rest = main.parse_flags(words + flags)
        assert main.main(rest) == 1
        assert line in capsys.readouterr().err
    main.flags.FLAGS.unparse_flags()
