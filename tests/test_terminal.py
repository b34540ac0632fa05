"""Tests of what commands show while they work and at their end."""

import sys

import pytest
from helpers.terminal import lines_shown

from caejax.terminal.bars import counting_bar, run_view, time_left
from caejax.terminal.lines import duration, fitted, tell, tell_parts
from caejax.terminal.tables import print_table


@pytest.fixture
def terminal(monkeypatch):
    """Makes the standard output a terminal of so many columns."""

    def make(columns):
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", str(columns))

    return make


def test_parts_are_kept_as_there_is_room():
    parts = ("abc", "defgh", "ij")
    assert fitted(parts, 14) == "abc  defgh  ij"
    assert fitted(parts, 13) == "abc  defgh"
    assert fitted(parts, 9) == "abc  ij"
    assert fitted(parts, 2) == "abc"


def test_lines_are_broken_between_words_on_a_terminal(terminal, capsys):
    text = "some words of a line that is long, and /a/path-that/is-one/word"
    tell(text)
    tell_parts("abc", "x" * 30)
    assert capsys.readouterr().out == f"{text}\nabc  {'x' * 30}\n"
    terminal(25)
    tell(text)
    tell_parts("abc", "x" * 30)
    *lines, last = capsys.readouterr().out.splitlines()
    assert " ".join(lines) == text
    assert max(map(len, lines[:-1])) <= 25
    assert last == "abc"


def test_times_are_told_as_people_do():
    assert [duration(x) for x in (0.4, 59.4, 59.7, 61, 3599.7, 7500)] == [
        "0 s",
        "59 s",
        "1 min",
        "1 min",
        "1 h 0 min",
        "2 h 5 min",
    ]
    assert time_left(0.25, 10) == ["30 s left"]
    assert time_left(0, 10) == time_left(1, 10) == []


@pytest.mark.parametrize("columns", [60, 120])
def test_a_run_has_its_epochs_above_its_bar(columns, terminal, capsys):
    terminal(columns)
    parts = ["epoch 1/10", "loss 0.2134", "val loss 0.2215", "val psnr 16.15 dB"]
    with run_view(1000, 10, verbose=True) as view:
        view.say("training for 1,000 steps")
        view.update(50, 0.5, 12.0, 100.0)
        view.update(150, 0.2134, 15.2, 12345.0)
        view.say(*parts, "12,345 images/s")
    lines = lines_shown(capsys.readouterr().out)
    assert max(map(len, lines)) <= columns
    whole = "  ".join(parts) + ("  12,345 images/s" if columns > 60 else "")
    assert whole in [line.strip() for line in lines]
    (bar,) = {line.strip() for line in lines if "epoch 2/10" in line}
    assert "loss 0.2134  psnr 15.20 dB" in bar
    assert ("images/s" in bar) == (columns > 60)


def test_an_epoch_s_last_step_is_shown_as_its_own(terminal, capsys):
    terminal(60)
    with run_view(700, 100, verbose=True) as view:
        view.update(49, 0.5, 12.0, 100.0)
    lines = lines_shown(capsys.readouterr().out)
    assert any("epoch 7/100" in line for line in lines)


def test_a_run_in_a_file_has_whole_lines(monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False, raising=False)
    with run_view(10, 1, verbose=True) as view:
        view.update(5, 0.5, 12.0, 100.0)
        view.say("epoch 1/1", "loss 0.2")
    with counting_bar(3, "images") as advance:
        advance(1)
    assert capsys.readouterr().out == "epoch 1/1  loss 0.2\n"


def test_counts_are_shown_as_shares(terminal, capsys):
    terminal(60)
    with counting_bar(4, "images") as advance:
        advance(1)
        advance(2)
    lines = lines_shown(capsys.readouterr().out)
    assert any("images  75%" in line for line in lines)
    assert max(map(len, lines)) <= 60


def test_tables_leave_out_last_columns_for_which_there_is_no_room(monkeypatch, capsys):
    header = ("decoder", "PSNR (dB)", "[ripple] (grey levels)", "size")
    lines = [("deconv_k3", "16.15", "1.0", "8,425"), ("\x1b", "9", "2", "3")]

    def shown(columns):
        monkeypatch.setenv("COLUMNS", str(columns))
        print_table(header, lines, above="[title]", below="end")
        return capsys.readouterr().out.splitlines()

    for columns, count in ((80, 4), (39, 3), (20, 2), (12, 1)):
        found = shown(columns)
        assert found[0].strip() == "[title]"
        assert found[-1].strip() == "end"
        words = " ".join(" ".join(found).split())
        text, _, more = words.partition("left out here: ")
        assert [name.split(" (")[0] in text for name in header] == [
            i < count for i in range(4)
        ]
        for name in header[count:]:
            assert name.split(" (")[0] in more
        assert columns < 20 or max(map(len, found)) <= max(columns, 36)
    assert r"\x1b" in "\n".join(shown(80))
    assert "deconv_k3  16.15" in " ".join("\n".join(shown(80)).split(" " * 4))
