"""Lines for people about what was found and what is done about it."""

import sys


def note(line: str) -> None:
    """Prints one line to the error output, marked as a note and not an error."""
    print(f"note: {' '.join(line.split())}", file=sys.stderr, flush=True)
