"""What a run's folder says of how it was made."""

import sys

import pytest

from caejax.training.folder import environment

COMMAND = "caejax run --config=quickstart"


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        ("/somewhere/caejax/main.py --mode=run --config=quickstart", COMMAND),
        ("/somewhere/caejax/main.py --config=quickstart", COMMAND),
        ("/x/caejax/main.py --cores=2 --mode eval", "caejax eval --cores=2"),
        ("my_study.py --seed=1", "python my_study.py --seed=1"),
    ],
)
def test_the_command_is_the_one_that_was_given(argv, command, monkeypatch):
    monkeypatch.setattr(sys, "argv", argv.split())
    assert environment()["command"] == command


@pytest.mark.parametrize("program", ["caejax run", "python -m caejax run"])
def test_subcommands_are_written_in_one_spelling(program, monkeypatch):
    words = ["--mode=run", "--config=quickstart"]
    monkeypatch.setattr(sys, "argv", [program, *words])
    assert environment()["command"] == COMMAND
