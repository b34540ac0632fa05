"""What commands with a parser of their own have in common: that parser."""

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from caejax.errors import did_you_mean, print_error
from caejax.terminal.lines import refilled

_MISSING = "the following arguments are required: "


class _Formatter(argparse.HelpFormatter):
    """Shows descriptions as they are written, where the terminal has room for them.

    Flags are shown with their values as pages and messages write them, --flag=VALUE.
    """

    def _fill_text(self, text, width, indent):
        return refilled(text, width)

    def _format_usage(self, *args):
        return _joined(super()._format_usage(*args))

    def _format_action_invocation(self, action):
        return _joined(super()._format_action_invocation(action))


def _joined(text):
    return re.sub(r"(--[\w-]+) (?=[A-Z{])", r"\1=", text)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line and exit code 1."""

    def __init__(self, *args: Any, **settings: Any):
        defaults = {
            "formatter_class": _Formatter,
            "allow_abbrev": False,
        }
        super().__init__(*args, **defaults | settings)
        self._given: list[str] = []

    def parse_known_args(self, args=None, namespace=None):
        """Parses what is known; what is given is kept for errors."""
        self._given = sys.argv[1:] if args is None else list(args)
        return super().parse_known_args(args, namespace)

    def parse_args(self, args=None, namespace=None):
        """Parses all; what is not known is an error."""
        found, rest = self.parse_known_args(args, namespace)
        if rest:
            self.refuse(rest)
        return found

    def refuse(self, words: Sequence[str]) -> NoReturn:
        """Says that a word is not known, a flag rather than another."""
        word = next((word for word in words if word.startswith("-")), words[0])
        hint = did_you_mean(word.split("=")[0], self._flags())
        self._end(f"{word!r} is not known{hint}")

    def error(self, message: str) -> NoReturn:
        """Says what is wrong, and where help is."""
        unknown = list(self._unknown()) if message.startswith(_MISSING) else []
        if unknown:  # rather than that what it was meant to be is missing
            self.refuse(unknown)
        self._end(self._line(message))

    def _end(self, line: str) -> NoReturn:
        sys.exit(print_error(f"{line}; try {self.prog} --help"))

    def _flags(self) -> list[str]:
        return [name for action in self._actions for name in action.option_strings]

    def _unknown(self) -> Iterator[str]:
        words = self._given[: (*self._given, "--").index("--")]
        known = self._flags()
        return (x for x in words if x[:2] == "--" and x.split("=")[0] not in known)

    def _line(self, message: str) -> str:
        """What argparse says, as caejax says it."""
        if message.startswith(_MISSING):
            names = message.removeprefix(_MISSING).split(", ")
            found = [self._shown(name, says=True) for name in names]
            return f"{' and '.join(found)} {'are' if found[1:] else 'is'} missing"
        name, _, text = message.removeprefix("argument ").partition(": ")
        if text == "expected one argument":
            return f"{name} has no value; give {self._shown(name)}"
        if text.startswith("ignored explicit argument"):
            return f"{name} is a switch, which has no value"
        if choice := re.fullmatch(r"invalid choice: '(.*)' \(choose from (.*)\)", text):
            known = re.findall(r"[\w-]+", choice[2])
            hint = did_you_mean(choice[1], known)
            return f"{name} is {choice[1]!r}{hint}; known: {', '.join(known)}"
        return f"{name}: {text}" if text else message

    def _shown(self, name: str, *, says: bool = False) -> str:
        """An argument as it is to be given, and perhaps what it is."""
        for action in self._actions:
            if name in (*action.option_strings, action.metavar, action.dest):
                value = action.metavar or action.dest.upper()
                shown = f"{name}={value}" if action.option_strings else f"{value}"
                return f"{shown} ({action.help})" if says and action.help else shown
        return name


def create_parser(program: str, description: str) -> Parser:
    """A parser that shows its description as it is written, and takes whole flags."""
    return Parser(prog=program, description=description)


def reading(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """A flag's type, whose mistakes are told in the words of what reads it.

    Args:
      read: reads a value; a ValueError says why it cannot be.
    """

    def value(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return value
