"""The one exception that users are meant to read, how it is raised and shown."""

import difflib
import errno
import functools
import inspect
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import ParamSpec, TypeVar

from caejax.terminal.lines import printable

Params = ParamSpec("Params")
Value = TypeVar("Value")


class CaejaxError(Exception):
    """A mistake or a missing thing outside the code.

    The message is one line that names the thing and the mend. The commands print
    it without a traceback and exit with 1.
    """


class WrongValue(CaejaxError, ValueError):
    """An argument of a function, such as an array's shape, that it cannot take."""


class WrongArgument(CaejaxError, TypeError):
    """An argument that a function does not have."""


def lookup(
    table: Mapping[str, Value],
    name: str,
    field: str,
    elsewhere: Mapping[str, str] = MappingProxyType({}),
) -> Value:
    """Finds a named thing, or says which names the config field can hold.

    Args:
      table: the known things.
      name: the one wanted.
      field: dotted config field that holds the name.
      elsewhere: as for `did_you_mean`.

    Raises:
      CaejaxError: the table has no such name.
    """
    if name not in table:
        raise CaejaxError(
            f"config.{field} is {name!r:.200}{did_you_mean(name, table, elsewhere)}; "
            f"known: {', '.join(table)}"
        )
    return table[name]


def chosen(words: Iterable[str], known: Iterable[str], flag: str) -> list[str]:
    """The names that a flag of several lists, in the order of the known ones.

    Args:
      words: the flag's; "all" alone for all names, empty ones do not count.
      known: the names there are.
      flag: without its dashes.

    Raises:
      CaejaxError: a word is none of the names.
    """
    words, known = {word for word in words if word}, list(known)
    if words == {"all"}:
        return known
    for word in sorted(words - set(known)):
        raise CaejaxError(
            f"--{flag} has {word!r}{did_you_mean(word, known)}; "
            f"known: all, {', '.join(known)}"
        )
    return [name for name in known if name in words]


def refuse_unknown(function: Callable[Params, Value]) -> Callable[Params, Value]:
    """A function that says of arguments which it does not have what it has.

    What it raises of these is a `CaejaxError` and a `TypeError`.
    """
    names = list(inspect.signature(function).parameters)

    @functools.wraps(function)
    def checked(*args: Params.args, **kwargs: Params.kwargs) -> Value:
        for name in kwargs:
            if name not in names:
                raise WrongArgument(
                    f"{function.__name__} has no argument {name!r}"
                    f"{did_you_mean(name, names)}; it has {', '.join(names)}"
                )
        return function(*args, **kwargs)

    return checked


def did_you_mean(
    name: object,
    names: Iterable[str],
    elsewhere: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """ " (did you mean 'x'?)" for the nearest name, or nothing.

    Args:
      name: what was given.
      names: the known ones.
      elsewhere: what other programs call them, and which of the names that is.
    """
    word = str(name)
    # Of names that are equally near the first one: tables begin with the usual ones.
    names = list(names)
    near = difflib.get_close_matches(word, names, n=max(1, len(names)))
    near = sorted(near, key=lambda x: (-_likeness(word, x), names.index(x)))
    if word in elsewhere or not near:
        near = [elsewhere[x] for x in difflib.get_close_matches(word, elsewhere, n=1)]
    return f" (did you mean {near[0]!r}?)" if near else ""


def _likeness(word: str, name: str) -> float:
    """What `difflib.get_close_matches` ranks names by."""
    return difflib.SequenceMatcher(a=name, b=word).ratio()


def exit_code(command: Callable[[], int], stopped: str) -> int:
    """Runs a command, whose errors become one line each.

    The traceback of an error that was not foreseen is written into a file. With
    CAEJAX_TRACEBACK=1 in the environment it is raised.

    Args:
      command: returns the exit code.
      stopped: what is said after Ctrl-C.
    """
    # NumPy and matplotlib read it as they are imported, even where it is no number.
    os.environ.pop("SOURCE_DATE_EPOCH", None)
    try:
        return command()
    except KeyboardInterrupt:
        print_error(stopped)
        return 130
    except Exception as error:
        if os.environ.get("CAEJAX_TRACEBACK") and not is_foreseen(error):
            raise
        return print_unforeseen(error)


def is_foreseen(error: BaseException) -> bool:
    """Whether an error is of something outside the code."""
    return isinstance(error, CaejaxError | OSError) or bool(_outside(error))


def describe(error: BaseException) -> str:
    """The line that an error is shown as; of unforeseen ones their type, too."""
    if isinstance(error, CaejaxError):
        return str(error)
    if line := _outside(error):
        return line
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    return f"{type(error).__name__}: {error}"


# Names of packages that are not those of their modules.
_PACKAGES = {
    "absl": "absl-py",
    "ml_collections": "ml-collections",
    "orbax": "orbax-checkpoint",
    "PIL": "pillow",
    "skimage": "scikit-image",
    "tensorflow_datasets": "tensorflow-datasets tensorflow",
}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_SPACE = ("No space left on device", "Disk quota exceeded", "File too large")
_NO_MEMORY = ("RESOURCE_EXHAUSTED", "Out of memory", "Cannot allocate memory")

# Variables that JAX and Flax read when they are imported.
_OF_JAX = re.compile(r"[Ii]nvalid .*(environment .?(JAX|FLAX|NNX)_|JAX flag jax_)")


def _outside(error: BaseException) -> str:
    """What is wrong outside the code, by an error or what it came from; "" if none."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        name = error.name.split(".")[0]
        if name != "caejax":
            package = _PACKAGES.get(name, name)
            return f"the module {error.name} is missing; pip install {package}"
    causes = list(causes_of(error))
    for cause in causes:
        if isinstance(cause, OSError) and cause.errno in _FULL:
            where = f"{cause.filename}: " if cause.filename else ""
            return f"{where}{cause.strerror}; {_MAKE_SPACE}"
    for cause in causes:
        text = "" if isinstance(cause, CaejaxError) else str(cause)
        if full := next((words for words in _NO_SPACE if words in text), ""):
            return f"{_path_in(text)}{full}; {_MAKE_SPACE}"
        if lacks_memory(cause):
            return f"memory is exhausted ({_short(text) or 'of the host'}); {_SMALLER}"
        if isinstance(cause, ValueError) and _OF_JAX.search(text):
            return f"{_short(text)}; unset that variable"
        if "Unable to initialize backend" in text:
            return f"{_short(text)}; set JAX_PLATFORMS=cpu to do without it"
    return ""


_MAKE_SPACE = "make space there and give the command again"
_SMALLER = (
    "make train.batch_size, data.image_size or model.widths smaller, or what is "
    "given to the command at once"
)


def lacks_memory(error: BaseException) -> bool:
    """Whether an error says that the host's or a device's memory is exhausted."""
    if isinstance(error, CaejaxError):
        return False
    return isinstance(error, MemoryError) or any(x in str(error) for x in _NO_MEMORY)


def causes_of(error: BaseException | None) -> Iterator[BaseException]:
    """An error, what it came from, what that came from, and so on."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _path_in(text: str) -> str:
    found = re.search(r"(/[^\s\"':]+)", text)
    return f"{found[1]}: " if found else ""


def _short(text: str) -> str:
    return " ".join(text.split())[:200]


def print_unforeseen(error: Exception) -> int:
    """Prints one line of any error; where it was not foreseen, its traceback is kept.

    Returns:
      The exit code of a failure.
    """
    if is_foreseen(error):
        return print_error(describe(error))
    text = "".join(traceback.format_exception(error))
    try:
        with tempfile.NamedTemporaryFile(
            "wb", prefix="caejax-", suffix=".txt", delete=False
        ) as file:
            file.write(text.encode("utf-8", "backslashreplace"))
        where = f"its traceback is in {file.name}"
    except OSError:
        where = "CAEJAX_TRACEBACK=1 shows its traceback"
    return print_error(
        f"{_short(describe(error))}; this was not foreseen, please report it: {where}"
    )


def print_error(line: str) -> int:
    """Prints one line to the error output; returns the exit code of a failure."""
    # Where libraries' lines are hidden, ours are shown beneath.
    stream = getattr(sys.stderr, "beneath", sys.stderr)
    print(f"error: {printable(' '.join(line.split()))}", file=stream)
    return 1
