"""Lines for people about what was found and what is done about it."""

import sys

from caejax.terminal.lines import printable


def note(line: str) -> None:
    """Prints one line to the error output, marked as a note and not an error."""
    line = printable(" ".join(line.split()))
    print(f"note: {line}", file=sys.stderr, flush=True)
