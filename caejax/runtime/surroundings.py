"""What a command makes of the process that it finds itself in.

For processes that are caejax's own, first thing: a program of the user's keeps its
streams and settings.
"""

import io
import logging
import os
import sys
import warnings
from types import TracebackType

from caejax.errors import print_unforeseen


class _Patient(io.FileIO):
    """A stream to somebody who may have gone: what is said then is said to nobody."""

    def write(self, data):
        try:
            return super().write(data)
        except OSError:  # a pipe that has ended, a full disk, a terminal that is gone
            return memoryview(data).nbytes


def take_over() -> None:
    """Makes the process fit for a command.

    What is printed after standard output has been closed is lost without a word, so
    that training goes on. Warnings are no errors, whatever PYTHONWARNINGS says. What
    is raised outside of all commands is one line.
    """
    _open_closed_streams()
    sys.stdout, sys.stderr = _patient(sys.stdout, 1), _patient(sys.stderr, 2)
    os.environ.pop("PYTHONWARNINGS", None)  # processes of our own inherit it
    sys.warnoptions.clear()
    warnings.filters[:] = [x for x in warnings.filters if x[0] != "error"]
    # Whose cache of fonts is optional, too.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    sys.excepthook = _say


def _open_closed_streams():
    """Keeps files from being given the numbers of streams that are closed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def _patient(stream, number):
    if stream is not None and not hasattr(stream, "buffer"):
        return stream
    raw = _Patient(number, "wb", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(stream, "encoding", "utf-8"),
        errors=getattr(stream, "errors", "backslashreplace"),
        line_buffering=number == 2 or raw.isatty(),
    )


def _say(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if isinstance(error, Exception) and not os.environ.get("CAEJAX_TRACEBACK"):
        print_unforeseen(error)
    else:
        sys.__excepthook__(kind, error, trace)
