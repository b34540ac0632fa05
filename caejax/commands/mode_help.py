"""What `caejax.main` and its modes say with --help."""

import inspect

from caejax.commands import flag_table
from caejax.commands.modes import MODES
from caejax.terminal.lines import broken, command_lines, help_columns, refilled

WORDS = ("-h", "-help", "--help", "-?")


def of_mode(program: str, mode: str) -> str:
    """The help of one mode, with its own flags alone.

    Args:
      program: how the mode is called, as "caejax run".
      mode: one of `MODES`.
    """
    found, width = MODES[mode], help_columns()
    return "\n".join(
        [
            broken(f"usage: {program} {found.needs} [flags]", width),
            "",
            broken(f"{found.sentence} {found.text}", width),
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
    width = help_columns()
    return "\n".join(
        [
            broken(f"usage: {program} [--mode={'|'.join(MODES)}] [flags]", width),
            "",
            refilled(inspect.cleandoc(doc), width),
            "",
            "flags, and in brackets the modes that look at them:",
            *flag_table.lines(""),
            "",
            *_examples(program, "run"),
            command_lines(f"{program} --mode=eval {MODES['eval'].examples[0]}", width),
            "",
            broken(f"{program} --mode=MODE --help says more of a mode.", width),
        ]
    )


def _examples(program, mode):
    examples, width = MODES[mode].examples, help_columns()
    return ["examples:", *(command_lines(f"{program} {x}", width) for x in examples)]
