"""What the studies' commands have in common."""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from caejax.errors import chosen

ROOT = Path(__file__).parents[2]  # of the repository
GOES_ON = "interrupted; the same command goes on where this one was stopped"


def create_parser(doc: str, out: Path | None = None) -> argparse.ArgumentParser:
    """A parser that says what the module's docstring says first.

    Args:
      doc: the module's docstring.
      out: the default of a flag --out, where results are written; without it there
        is no such flag.
    """
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    if out is not None:
        text = "where results are written, by default beside the study"
        parser.add_argument("--out", type=Path, default=out, help=text)
    return parser


def names(text: str, known: Iterable[str], flag: str) -> list[str]:
    """The names that a flag's comma list has, "all" for all, in the known order.

    Raises:
      CaejaxError: a name is not known.
    """
    return chosen(text.split(","), known, flag)


def module_command(module: str) -> list[str]:
    """The command that runs a module of the repository."""
    return [sys.executable, "-m", module]


def environment(**added: str) -> dict[str, str]:
    """The variables for a process that runs a module, wherever it is started."""
    paths = str(ROOT), os.environ.get("PYTHONPATH", "")
    path = os.pathsep.join(filter(None, paths))
    return {**os.environ, "PYTHONPATH": path, **added}


def run_module(module: str, *argv: str, **added: str) -> None:
    """Runs a module in a process of its own, with variables added.

    Raises:
      CalledProcessError: the process failed.
    """
    command = [*module_command(module), *argv]
    subprocess.run(command, env=environment(**added), check=True)
