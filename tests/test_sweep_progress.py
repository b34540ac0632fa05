"""Tests of how far a sweep says it is."""

import json
import sys

import pytest
from helpers.terminal import lines_shown
from helpers.tiny import tiny_config

from caejax.sweep import progress
from caejax.sweep.spec import expand

CASES = [
    ("pp", 0, 9, "0 of 2 done, 0 running, after 9 s"),
    ("drep", 1, 20, "1 of 4 done, 2 running, after 20 s, about 1 min left"),
    ("dfrp", 2, 20, "1 of 4 done, 1 running, 1 failed, after 20 s, about 20 s left"),
    ("dp", 1, 7500, "1 of 2 done, 0 running, after 2 h 5 min, about 2 h 5 min left"),
    ("dd", 1, 7, "2 of 2 done, 0 running, after 7 s"),
]


def in_full(states):
    names = {s.split()[-1][0]: s for s in ("pending", "running", "done", "failed")}
    names["e"] = "running elsewhere"
    return [names[state] for state in states]


@pytest.mark.parametrize(("states", "finished", "seconds", "text"), CASES)
def test_progress_tells_counts_and_times(states, finished, seconds, text):
    assert progress.summarise(in_full(states), finished, seconds) == text


def test_a_terminal_has_the_most_important_first():
    # Of four runs one was done before, one since, and two are half done: two of three.
    words = progress.summary_words(in_full("ddrr"), 1, 60, begun=1.0)
    assert words == ["2 of 4 done", "30 s left", "1 min so far", "2 running"]
    assert progress.summary_words(in_full("f"), 1, 60, begun=0) == [
        "0 of 1 done",
        "1 failed",
        "in 1 min",
    ]


@pytest.fixture
def runs(tmp_path):
    """Twelve runs of which the first has trained for an epoch."""
    config = tiny_config()
    config.sweep = {
        "decoder": {"field": "model.upsampling", "values": ("deconv_k3", "nearest_k3")},
        "level": {"field": "corruption.level", "values": (0.25, 0.5)},
        "seed": {"field": "seed", "values": (0, 1, 2)},
    }
    runs = expand(config)
    folder = tmp_path / runs[0].id
    folder.mkdir()
    train = {"step": 4, "epoch": 1.0, "split": "train", "loss": 0.2134, "psnr": 15.2}
    rows = [{"step": 0, "epoch": 0, "split": "val"}, train, train | {"split": "val"}]
    text = "\n".join(map(json.dumps, rows))
    (folder / "metrics.jsonl").write_text(f"{text}\n{{damaged\n" + '{"step": 5, "spl')
    return runs


def test_the_last_row_is_that_of_training_whatever_follows(runs, tmp_path):
    row = progress.last_row(tmp_path / runs[0].id / "metrics.jsonl")
    assert (row["epoch"], row["loss"], row["psnr"]) == (1.0, 0.2134, 15.2)
    assert progress.last_row(tmp_path / "none") == {}
    (tmp_path / "bad").write_text('3\n{"split": "train", "epoch": "x"}\n')
    assert progress.last_row(tmp_path / "bad") == {}


@pytest.mark.parametrize("columns", [60, 200])
def test_a_terminal_shows_a_line_for_each_running_run(
    columns, runs, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    states = {run.id: "running" for run in runs[:10]} | {runs[10].id: "done"}
    news = runs[10], "done", {"test/psnr": 16.153}
    with progress.live(runs[:11], tmp_path, states) as say:
        say(progress.line_of(*news), progress.brief_of(*news))
        say("at work", progress.brief_of(runs[0], "running", {}))
    lines = lines_shown(capsys.readouterr().out)
    assert max(map(len, lines)) <= columns
    text = "\n".join(lines)
    assert "at work" not in text
    assert "done  test psnr 16.15 dB  upsampling=nearest_k3" in text
    assert "epoch 1/2  loss 0.2134  psnr 15.20 dB" in text
    bare = "dB  deconv_k3 0.25 0" in text
    full = "dB  upsampling=deconv_k3  level=0.25  seed=0" in text
    assert (bare, full) == ((True, False) if columns == 60 else (False, True))
    assert "and 2 more running" in text
    assert "1 of 11 done" in text
    assert "so far" in text


def test_a_file_has_a_line_for_each_change(runs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False, raising=False)
    states = {runs[0].id: "failed", runs[1].id: "pending"}
    news = runs[0], "failed", {"error": "[boom]"}
    with progress.live(runs[:2], tmp_path, states) as say:
        say(progress.line_of(*news), progress.brief_of(*news))
    values = "model.upsampling=deconv_k3  corruption.level=0.25  seed=0"
    expected = f"{runs[0].id}  {values}  failed: [boom]"
    (line,) = capsys.readouterr().out.splitlines()
    assert line == f"[0 of 2 done, 0 running, 1 failed, after 0 s] {expected}"
