"""Tests of how far a sweep says it is."""

import sys

import pytest

from caejax.sweep import progress


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
