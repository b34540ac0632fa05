"""Tests of signals: when they are heard, what is saved, and how a run goes on."""

import json
import multiprocessing
import os
import signal
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.runs import CLOCK, assert_same, rows_of, state_of
from helpers.tiny import tiny_config

from caejax.errors import CaejaxError
from caejax.runtime import stopping
from caejax.training import loop, pace
from caejax.training.checkpoint import Checkpoints
from caejax.training.restore import restore


def config():
    """Two epochs of four steps; of checkpoints only the last is kept."""
    config = tiny_config()
    config.train.epochs = 2
    config.train.ema_decay = 0.9
    config.train.keep_checkpoints = 1
    config.train.probe_steps = (2, 7)
    return config


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a run that nothing has disturbed."""
    workdir = tmp_path_factory.mktemp("run")
    loop.train(config(), workdir, verbose=False)
    return workdir


@pytest.fixture
def usual():
    """Ctrl-C as it is by default; tests in the background inherit that it is not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def train_until_stopped(workdir):
    """Returns whether the run has been stopped by Ctrl-C."""
    try:
        with stopping.heeding_ctrl_c():
            loop.train(config(), workdir, verbose=False)
    except stopping.Stopped:
        return True
    return False


def assert_same_run(workdir, other):
    assert rows_of(workdir) == rows_of(other)
    assert_same(state_of(workdir, config()), state_of(other, config()))
    for folder in ("last", "best"):
        steps = [
            sorted(path.name for path in (x / "checkpoints" / folder).iterdir())
            for x in (workdir, other)
        ]
        assert steps[0] == steps[1]
    assert not (workdir / "checkpoints" / "stopped").exists()
    summaries = [
        {
            name: value
            for name, value in json.loads((x / "summary.json").read_text()).items()
            if name not in CLOCK
        }
        for x in (workdir, other)
    ]
    assert summaries[0] == summaries[1]
    samples = [(x / "samples.npz").read_bytes() for x in (workdir, other)]
    assert samples[0] == samples[1]


@pytest.fixture
def single_steps(monkeypatch):
    """Calls of one step each."""
    monkeypatch.setattr(pace, "_SECONDS", 0.0)


def test_a_run_that_is_stopped_after_every_step_ends_as_if_it_were_not(
    finished, tmp_path, monkeypatch, usual, single_steps
):
    take = loop._steps
    saved = []

    def steps(run, state, sums, stop):
        before = int(state.step)
        state, sums = take(run, state, sums, stop)
        if int(state.step) > before:
            signal.raise_signal(signal.SIGINT)
        return state, sums

    monkeypatch.setattr(loop, "_steps", steps)
    for _ in range(8):
        assert train_until_stopped(tmp_path)
        saved += [int(restore(tmp_path, config()).step)]
        if saved[-1] > 2:  # it has been measured
            assert {x.name for x in (tmp_path / "checkpoints/last").iterdir()} == {
                str((saved[-1] - 1) // 4 * 4)  # the last whole epoch is kept
            }
    assert saved == list(range(1, 9))
    # It is measured as any other.
    assert loop.evaluate_again(None, tmp_path)["psnr"] > 0
    assert not train_until_stopped(tmp_path)
    assert_same_run(tmp_path, finished)


def test_a_run_that_is_stopped_in_every_evaluation_ends_as_if_it_were_not(
    finished, tmp_path, monkeypatch, usual
):
    measure, seen = loop.measured, set()

    def measured(run, state, split, when):
        occasion = int(state.step), split, when
        if occasion not in seen and not stopping.asked():
            seen.add(occasion)
            signal.raise_signal(signal.SIGINT)
        return measure(run, state, split, when)

    monkeypatch.setattr(loop, "measured", measured)
    stops = 0
    while train_until_stopped(tmp_path):
        stops += 1
        assert stops < 20
    assert stops == len(seen)
    assert {when for _, _, when in seen} == {"val", "init", "probe", "test"}
    assert_same_run(tmp_path, finished)


def test_a_checkpoint_at_hand_is_saved(finished, tmp_path, monkeypatch, usual):
    save = Checkpoints.save

    def save_and_hear(self, state, progress, *, best):
        signal.raise_signal(signal.SIGINT)
        save(self, state, progress, best=best)

    monkeypatch.setattr(Checkpoints, "save", save_and_hear)
    for step in (2, 4, 8):  # the first is saved along with the untrained model
        assert train_until_stopped(tmp_path)
        assert int(restore(tmp_path, config()).step) == step
    monkeypatch.undo()
    assert not train_until_stopped(tmp_path)
    assert_same_run(tmp_path, finished)


def test_sums_are_stored_as_they_are(tmp_path):
    sums = {"loss": float(np.float32(0.1)), "psnr": float("inf")}
    run = loop.create_run(config(), verbose=False)
    state = loop.new_state(run)
    progress = loop.Progress(begun=loop.Begun(sums, 0.25, 2))
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        later = state._replace(step=state.step + 3)
        checkpoints.save(state, loop.Progress(), best=True)
        checkpoints.save_stopped(later, progress)
        restored, found = checkpoints.restore(state)
        assert (int(restored.step), found) == (3, progress)
        checkpoints.save(later._replace(step=state.step + 4), progress, best=False)
        assert int(checkpoints.restore(state)[0].step) == 4


@pytest.fixture
def ended(monkeypatch):
    """Codes with which the process would have been ended, and time enough."""
    codes, event = [], threading.Event()

    def end(signum):
        codes.append(128 + signum)
        event.set()

    monkeypatch.setattr(stopping, "_end", end)
    monkeypatch.setattr(stopping, "_NO_PATIENCE", 3600)
    monkeypatch.setattr(stopping, "_UNWINDING", 3600)
    return codes, event


@pytest.fixture
def handled():
    """Handlers of the program's own, which are to be found again."""
    before = {
        signum: signal.signal(signum, lambda *_: None) for signum in stopping.SIGNALS
    }
    own = {signum: signal.getsignal(signum) for signum in before}
    yield own
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.mark.parametrize(
    ("signum", "code", "line"),
    [
        (signal.SIGINT, 130, "error: interrupted; go on\n"),
        (signal.SIGTERM, 143, "error: ended by SIGTERM; go on\n"),
        (signal.SIGHUP, 129, "error: ended by SIGHUP; go on\n"),
        (signal.SIGUSR1, 138, "error: ended by SIGUSR1; go on\n"),
    ],
)
@pytest.mark.parametrize("safe", [True, False])
def test_signals_end_a_command_by_a_line(
    signum, code, line, safe, ended, handled, capsys
):
    def command():
        signal.raise_signal(signum)
        if safe:
            stopping.check()
        return 0

    assert stopping.run_command(command, "interrupted; go on") == code
    assert capsys.readouterr().err == line
    assert stopping.asked() is None
    assert {x: signal.getsignal(x) for x in handled} == handled
    assert stopping.run_command(lambda: 0, "interrupted") == 0


def test_a_command_that_stops_itself_says_why(handled, capsys):
    def command():
        stopping.stop_because(CaejaxError("no good; mend it"))
        stopping.check()

    assert stopping.run_command(command, "interrupted; go on") == 1
    assert capsys.readouterr().err == "error: no good; mend it\n"
    assert stopping.run_command(lambda: 0, "interrupted") == 0


def test_a_second_ctrl_c_ends_at_once(ended, handled):
    codes, event = ended
    with stopping.listening(None), stopping.needing_time():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)  # schedulers may repeat themselves
        signal.raise_signal(signal.SIGINT)
        assert event.wait(60)
    assert set(codes) == {130}


@pytest.mark.parametrize("signum", stopping.SIGNALS)
def test_what_comes_to_no_safe_point_is_ended(signum, ended, handled, monkeypatch):
    monkeypatch.setattr(stopping, "_NO_PATIENCE", 0)
    monkeypatch.setattr(stopping, "_UNWINDING", 0)
    codes, event = ended
    with stopping.listening(None):
        signal.raise_signal(signum)
        assert event.wait(60)
    assert set(codes) == {128 + signum}


def test_signals_that_are_ignored_stay_so(handled):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as by nohup
    with stopping.listening(None):
        signal.raise_signal(signal.SIGHUP)
        stopping.check()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_in_programs_a_second_ctrl_c_is_raised_at_once(usual):
    def twice():
        with stopping.heeding_ctrl_c():
            signal.raise_signal(signal.SIGINT)
            assert stopping.asked()
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as stop:
        twice()
    assert not isinstance(stop.value, stopping.Stopped)
    assert stopping.asked() is None
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_programs_keep_their_own_handler(handled):
    with stopping.heeding_ctrl_c():
        signal.raise_signal(signal.SIGINT)
        stopping.check()


def test_other_threads_hear_nothing():
    def run():
        with stopping.listening("interrupted"), stopping.heeding_ctrl_c():
            done.append(stopping.asked())

    done = []
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert done == [None]


def test_a_signal_on_the_way_out_is_obeyed(monkeypatch, capsys):
    codes = []
    monkeypatch.setattr(stopping.os, "_exit", codes.append)
    with stopping.listening("interrupted; the same command goes on"):
        stopping._close_ears()
        assert not codes
        stopping._note(signal.SIGTERM, None)
        stopping._close_ears()
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    assert codes == [143]
    assert "ended by SIGTERM; the same command goes on" in capsys.readouterr().err


def test_workers_are_gone_when_a_command_is_ended(monkeypatch):
    done = []

    def worker(name):
        return SimpleNamespace(
            kill=lambda: done.append(f"kill {name}"),
            join=lambda seconds: done.append(f"join {name}"),
        )

    def leave(code):
        done.append(code)
        raise SystemExit(code)

    workers = [worker("a"), worker("b")]
    monkeypatch.setattr(multiprocessing, "active_children", lambda: workers)
    monkeypatch.setattr(os, "_exit", leave)
    with pytest.raises(SystemExit):
        stopping._end(signal.SIGINT)
    assert done == ["kill a", "kill b", "join a", "join b", 130]
