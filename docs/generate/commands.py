"""The reference of commands: what each says of itself with --help."""

import contextlib
import io
import os
import sys

from caejax.__main__ import SUBCOMMANDS, main


def help_of(*words: str) -> str:
    """What a command prints with --help, at 80 columns."""
    told, argv, columns = io.StringIO(), sys.argv, os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "80"
    try:
        with contextlib.redirect_stdout(told), contextlib.suppress(SystemExit):
            main([*words, "--help"])
    finally:
        sys.argv = argv
        os.environ.pop("COLUMNS")
        if columns is not None:
            os.environ["COLUMNS"] = columns
    return told.getvalue().rstrip()


def page() -> str:
    """A section a subcommand."""
    parts = [
        f"## caejax {name}\n\n{command.sentence}\n\n```text\n{help_of(name)}\n```\n"
        for name, command in SUBCOMMANDS.items()
    ]
    return "\n".join(parts)
