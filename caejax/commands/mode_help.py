"""What `caejax.main` and its modes say with --help."""

import inspect
import textwrap

from caejax.commands import flag_table
from caejax.commands.modes import MODES

WORDS = ("-h", "-help", "--help", "-?")


def of_mode(program: str, mode: str) -> str:
    """The help of one mode, with its own flags alone.

    Args:
      program: how the mode is called, as "caejax run".
      mode: one of `MODES`.
    """
    found = MODES[mode]
    return "\n".join(
        [
            f"usage: {program} {found.needs} [flags]",
            "",
            textwrap.fill(f"{found.sentence} {found.text}", flag_table.WIDTH),
            "",
            "flags:",
            *flag_table.lines(mode),
            "",
            *_examples(program, mode),
        ]
    )


def of_all(program: str, doc: str) -> str:
    """The help of all modes.

    Args:
      program: how they are called, as "python -m caejax.main".
      doc: what they do.
    """
    return "\n".join(
        [
            f"usage: {program} [--mode={'|'.join(MODES)}] [flags]",
            "",
            inspect.cleandoc(doc),
            "",
            "flags, and in brackets the modes that look at them:",
            *flag_table.lines(""),
            "",
            *_examples(program, "run"),
            f"  {program} --mode=eval {MODES['eval'].examples[0]}",
            "",
            f"{program} --mode=MODE --help says more of a mode.",
        ]
    )


def _examples(program, mode):
    return ["examples:", *(f"  {program} {words}" for words in MODES[mode].examples)]
