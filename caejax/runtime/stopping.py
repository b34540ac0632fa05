"""Ctrl-C, SIGTERM, SIGHUP and SIGUSR1: heard at once, obeyed at safe points.

Raised wherever Python happens to be, as it is by default, a KeyboardInterrupt can be
swallowed by a callback of JAX, or crash it. Here a signal only leaves a note, which is
looked at where a command can stop without loss (`check`). Where a command comes to no
such point in time, because it compiles or loads for instance, a thread ends the
process: all files are written so that they are whole whenever that is.

Schedulers send SIGTERM where a job has to make room, and SIGUSR1, if they are told to
(Slurm's --signal), some time before its limit. The exit code is 128 and the signal, 143
and 138: they ask for the same command to be queued again.
"""

import atexit
import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from caejax.errors import describe, exit_code, print_error
from caejax.files.atomic import forget_parts
from caejax.runtime.surroundings import take_over
from caejax.terminal.lines import write_any_text

# Windows lacks the last two.
SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
    if hasattr(signal, name)
)

# Seconds to come to a safe point, where there is something to be saved: people wait
# after Ctrl-C, and so do schedulers, for longer, before they kill.
_PATIENCE = 2.3
_LONG_PATIENCE = {signal.SIGTERM: 20.0}
if hasattr(signal, "SIGUSR1"):
    _LONG_PATIENCE[signal.SIGUSR1] = 60.0
_NO_PATIENCE = 0.4  # where nothing is
_UNWINDING = 1.0  # seconds from a safe point to the command's end
_LOOK = 0.05  # seconds between two looks at the clock


class Stopped(KeyboardInterrupt):
    """Raised at a safe point after a signal; as Ctrl-C, it is no `Exception`.

    Attributes:
      signum: The signal.
    """

    def __init__(self, signum: int = signal.SIGINT):
        super().__init__()
        self.signum = signum


class _Notes:
    """What this process has been told, and how far it is in obeying."""

    listening = False
    stopped: str | None = None  # the line to be shown at the end
    asked: int | None = None  # the first signal
    asked_at = 0.0
    eased_at = 0.0  # when a safe point was found, or what had to be saved was
    heard = 0  # so many signals
    needs_time = 0  # so many parts of the program have something to save
    told = False  # whether the line has been shown
    reason: Exception | None = None  # why the command stops itself
    lock = threading.Lock()  # held by whoever shows it


def asked() -> int | None:
    """The signal by which this process has been asked to stop, None without one."""
    return _Notes.asked


def check() -> None:
    """To be called where a command can stop without loss.

    Raises:
      Stopped: this process has been asked to.
    """
    if _Notes.asked is not None:
        _ease()
        raise Stopped(_Notes.asked)


def stop_because(error: Exception) -> None:
    """Stops this command as SIGTERM does, from any thread; it then ends with an error.

    Args:
      error: the error, which is shown in place of what is said of signals.
    """
    _Notes.reason = error
    _note(signal.SIGTERM, None)


def _ease():
    _Notes.eased_at = _Notes.eased_at or time.monotonic()


def seconds_left(usual: float) -> float:
    """How long what has to be saved in another process may take.

    Args:
      usual: the seconds where there is no time to be lost.
    """
    return max(usual, _LONG_PATIENCE.get(_Notes.asked, 0) - 2)


@contextlib.contextmanager
def needing_time() -> Iterator[None]:
    """While entered, a signal leaves some seconds for what is to be saved."""
    _Notes.needs_time += 1
    try:
        yield
    finally:
        _Notes.needs_time -= 1
        if _Notes.asked is not None and not _Notes.needs_time:
            _Notes.eased_at = time.monotonic()


def run_command(command: Callable[[], int], stopped: str) -> int:
    """Runs a command that can be stopped; foreseen errors become one line each.

    Args:
      command: returns the exit code.
      stopped: what is said after Ctrl-C; begins with "interrupted".

    Returns:
      The exit code: that of the command, or 128 and the signal by which it was
      stopped.
    """

    def run():
        try:
            code = command()
            check()  # a signal is answered, even if it came too late to change much
            return code
        except KeyboardInterrupt as stop:
            signum = getattr(stop, "signum", signal.SIGINT)
            with _Notes.lock:
                _tell(signum)
            return _code(signum)

    write_any_text()
    with listening(stopped):
        return exit_code(run, stopped)


@contextlib.contextmanager
def listening(stopped: str | None) -> Iterator[None]:
    """Hears signals while entered; what they did before is restored.

    A second Ctrl-C ends the process at once. Signals that are ignored stay so, as
    under nohup. Outside the main thread nothing is done.

    Args:
      stopped: what is said if the process has to be ended here; None for nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    if _Notes.listening:
        before, _Notes.stopped = _Notes.stopped, stopped
        try:
            yield
        finally:
            _Notes.stopped = before
        return
    leave = _listen(stopped)
    try:
        yield
    finally:
        leave()


def listen_to_the_end(stopped: str) -> None:
    """As `listening` until the process ends; signals while it does so change nothing.

    Args:
      stopped: as there.
    """
    take_over()
    _listen(stopped)
    atexit.register(_close_ears)


def _close_ears():
    """The end: what was heard on the way to it is obeyed, what comes later is not."""
    _handle(signal.SIG_IGN)
    if _Notes.asked is not None:
        _end(_Notes.asked)


def _listen(stopped: str | None) -> Callable[[], None]:
    """As entering `listening`; returns the function that ends it."""
    _Notes.listening, _Notes.stopped = True, stopped
    ears, mouth = os.pipe()
    os.set_blocking(mouth, False)
    thread = threading.Thread(target=_watch, args=(ears,), daemon=True)
    thread.start()
    # Written to by the signal itself, even where Python is in a long call.
    wakeup = signal.set_wakeup_fd(mouth, warn_on_full_buffer=False)
    restore = _handle(_note)

    def leave() -> None:
        restore()
        signal.set_wakeup_fd(wakeup)
        os.close(mouth)  # ends the thread
        thread.join()
        _Notes.listening = False
        _forget()

    return leave


@contextlib.contextmanager
def deaf() -> Iterator[None]:
    """While entered, signals do nothing: another process answers them."""
    restore = _handle(signal.SIG_IGN)
    try:
        yield
    finally:
        restore()


@contextlib.contextmanager
def heeding_ctrl_c() -> Iterator[None]:
    """Defers Ctrl-C to safe points, in a program that is not a command of ours.

    A second one is raised at once, as is usual. Programs with a handler of their own
    keep it, and so does a command.
    """
    here = threading.current_thread() is threading.main_thread()
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if _Notes.listening or not here or not usual:
        yield
        return

    def note(signum, frame):
        if _Notes.asked is not None:
            signal.default_int_handler(signum, frame)
        _note(signum, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield
        check()
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _forget()


def _handle(handler) -> Callable[[], None]:
    """Sets a handler for all signals that are not ignored; returns how to undo it."""
    before = {signum: signal.getsignal(signum) for signum in SIGNALS}
    # What was not set from Python is None, and cannot be set again.
    before = {
        signum: old
        for signum, old in before.items()
        if old not in (signal.SIG_IGN, None)
    }
    for signum in before:
        signal.signal(signum, handler)

    def restore() -> None:
        for signum, old in before.items():
            signal.signal(signum, old)

    return restore


def _note(signum: int, frame: Any) -> None:
    del frame
    if _Notes.asked is None:
        _Notes.asked_at, _Notes.asked = time.monotonic(), signum


def _forget():
    _Notes.asked, _Notes.eased_at, _Notes.heard = None, 0.0, 0
    _Notes.told, _Notes.reason = False, None


def _watch(ears):
    """Hears signals, and ends the process where it does not end in time."""
    while True:
        patience = None if _Notes.asked is None else _LOOK
        if select.select([ears], [], [], patience)[0]:
            heard = os.read(ears, 64)
            if not heard:
                os.close(ears)
                return
            for signum in heard:
                _hear(signum)
        if _Notes.asked is not None and time.monotonic() > _deadline():
            _end(_Notes.asked)


def _hear(signum):
    """The first signal is a note; a Ctrl-C after it is the end."""
    if signum not in SIGNALS:
        return
    _Notes.heard += 1
    if signum == signal.SIGINT and _Notes.heard > 1:
        _end(signum)
    _note(signum, None)


def _deadline():
    if _Notes.needs_time:
        return _Notes.asked_at + _LONG_PATIENCE.get(_Notes.asked, _PATIENCE)
    return max(_Notes.asked_at + _NO_PATIENCE, _Notes.eased_at + _UNWINDING)


def _end(signum) -> NoReturn:
    with _Notes.lock:
        _tell(signum)
        _kill_workers()
        forget_parts()
        os._exit(_code(signum))


def _kill_workers():
    """Worker processes are gone when this one is."""
    # Not imported here, where the main thread may be importing it.
    module = sys.modules.get("multiprocessing")
    if module is None or not hasattr(module, "active_children"):
        return
    workers = module.active_children()
    for worker in workers:
        worker.kill()
    for worker in workers:
        worker.join(_UNWINDING)


def _code(signum):
    return 128 + signum if _Notes.reason is None else 1


def _tell(signum):
    """Shows once how to go on."""
    if _Notes.stopped is None or _Notes.told:
        return
    _Notes.told = True
    name = signal.Signals(signum).name
    by = "interrupted" if signum == signal.SIGINT else f"ended by {name}"
    line = _Notes.stopped.replace("interrupted", by, 1)
    with contextlib.suppress(OSError, ValueError):
        print_error(line if _Notes.reason is None else describe(_Notes.reason))
        sys.stderr.flush()
