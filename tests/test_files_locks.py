"""Tests of locks, and of whether they reach other machines."""

import contextlib
import errno
import fcntl
import json
import os
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers import sweep_jobs
from helpers.sweep_jobs import fake_config

from caejax.errors import CaejaxError
from caejax.files import locks, reach
from caejax.files.locks import holding, sharing
from caejax.files.reach import present
from caejax.sweep.run import run_sweep


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


def test_a_folder_that_nothing_came_into_is_gone_again(tmp_path):
    path = tmp_path / "new" / "run" / ".lock"
    with holding(path), holding(path, wait=False) as theirs:
        assert not theirs
    assert not list(tmp_path.iterdir())
    with contextlib.suppress(KeyError), holding(path):
        raise KeyError
    assert not list(tmp_path.iterdir())
    (tmp_path / "old").mkdir()
    with holding(tmp_path / "old" / ".lock"):
        pass
    assert not list((tmp_path / "old").iterdir())
    with holding(path):
        (path.parent / "config.json").touch()
    with holding(path):
        pass
    assert {x.name for x in path.parent.iterdir()} == {".lock", "config.json"}


@pytest.mark.parametrize("wait", [True, False])
def test_two_never_hold_different_files_of_one_name(tmp_path, wait):
    """Though each removes the file and its folder when it leaves."""
    path, inside, most = tmp_path / "new" / ".lock", [], []

    def enter(_):
        with holding(path, wait=wait) as mine:
            if mine:
                inside.append(1)
                time.sleep(1e-4)
                most.append(len(inside))
                inside.pop()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(enter, range(400)))
    assert max(most) == 1
    assert not wait or len(most) == 400


OTHER = """
import fcntl, sys
from pathlib import Path
fcntl.flock = fcntl.lockf
from caejax.files.locks import holding, sharing
path = Path(sys.argv[1])
for word in sys.stdin:
    if word.strip() == "share":
        with sharing(path) as alone:
            print(alone, flush=True)
    else:
        with holding(path, wait=False) as mine:
            print(mine, flush=True)
"""


def test_record_locks_as_of_nfs_do_the_same(tmp_path, monkeypatch):
    """They need files that are open for what is locked, and know processes alone."""
    monkeypatch.setattr(fcntl, "flock", fcntl.lockf)
    path = tmp_path / "lock"
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def ask(word):
        other.stdin.write(word + "\n")
        other.stdin.flush()
        return other.stdout.readline().strip()

    with other:
        assert ask("hold") == "True"
        with holding(path) as mine:
            assert mine
            assert ask("hold") == "False"
        with sharing(path) as alone:
            assert alone
            assert (ask("share"), ask("hold")) == ("False", "False")
        assert (ask("share"), ask("hold")) == ("True", "True")
        other.stdin.close()


def test_a_sweep_is_done_by_record_locks(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", fcntl.lockf)
    rows = run_sweep(fake_config(2), tmp_path / "sweep", sweep_jobs.quick)
    assert [row["status"] for row in rows] == ["done", "done"]


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_file_system_that_cannot_lock_is_one_line(tmp_path, monkeypatch, number):
    def refuse(file, kind):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    for lock in (holding, sharing):
        with (
            pytest.raises(CaejaxError, match=r"cannot lock files.*--nolocks"),
            lock(tmp_path / "lock"),
        ):
            pass
    with pytest.raises(CaejaxError, match=str(tmp_path)):
        run_sweep(fake_config(1), tmp_path / "sweep", sweep_jobs.quick)
    monkeypatch.setenv(locks.VARIABLE, "1")
    with holding(tmp_path / "lock") as mine, sharing(tmp_path / "lock") as alone:
        assert mine
        assert alone
    assert run_sweep(fake_config(1), tmp_path / "sweep", sweep_jobs.quick)


@pytest.fixture
def elsewhere(monkeypatch):
    """Every command is on a machine of its own, and soon out of patience."""
    monkeypatch.setattr(reach, "machine", lambda: uuid.uuid4().hex)
    monkeypatch.setattr(reach, "BEAT", 0.02)
    monkeypatch.setattr(reach, "PATIENCE", 0.3)


def left(folder):
    return [path.name for path in folder.glob(".command-*")]


def test_commands_on_two_machines_share_a_folder_where_locks_reach(tmp_path, elsewhere):
    complaints = []
    with present(tmp_path, complaints.append), present(tmp_path, complaints.append):
        assert len(left(tmp_path)) == 4
    assert not complaints
    assert not left(tmp_path)


def test_locks_that_do_not_reach_are_found(tmp_path, elsewhere, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", lambda file, kind: None)
    complaints = []
    with (
        present(tmp_path, complaints.append),
        pytest.raises(CaejaxError, match=r"at work.*do not reach.*localflock"),
        present(tmp_path),
    ):
        pass
    assert not complaints  # who was there first stays
    assert not left(tmp_path)


def test_a_command_that_is_found_late_is_told_of(tmp_path, elsewhere, monkeypatch):
    """Another machine may see the other's file only some time after both began."""
    monkeypatch.setattr(fcntl, "flock", lambda file, kind: None)
    other, about = tmp_path / ".command-0", dict.fromkeys(reach._ABOUT, "x")
    complaints, beat = [], 0
    with present(tmp_path, complaints.append):
        while not complaints and beat < 1000:
            beat += 1
            with contextlib.suppress(OSError):
                other.write_text(json.dumps(about | {"beat": beat, "settled": True}))
            reach.time.sleep(0.01)
    assert "do not reach" in str(complaints[0])


def test_a_machine_that_was_lost_is_not_waited_for_long(tmp_path, elsewhere):
    about = dict.fromkeys(reach._ABOUT, "x") | {"beat": 7, "settled": True}
    (tmp_path / ".command-0").write_text(json.dumps(about))
    (tmp_path / ".command-1").write_text("{")  # half-written by whom ever
    with present(tmp_path):
        assert not (tmp_path / ".command-0").exists()


def test_without_locks_a_command_is_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(reach, "BEAT", 0.02)
    monkeypatch.setenv(locks.VARIABLE, "1")
    with (
        present(tmp_path),
        pytest.raises(CaejaxError, match="leave out --nolocks"),
        present(tmp_path),
    ):
        pass
