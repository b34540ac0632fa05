"""Lines for people about what was found and what is done about it."""

import sys

from caejax.terminal.lines import broken, columns, printable


def note(line: str) -> None:
    """Prints one line to the error output, marked as a note and not an error.

    On a terminal that is narrower it is broken between words.
    """
    line = f"note: {printable(' '.join(line.split()))}"
    print(broken(line, columns(sys.stderr)), file=sys.stderr, flush=True)
