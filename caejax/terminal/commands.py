"""The one spelling of commands: `caejax NAME`."""

from collections.abc import Sequence


def as_subcommand(words: Sequence[str]) -> list[str]:
    """A command of `caejax.main`, whose mode is a flag, as that of the console script.

    Args:
      words: those behind the program's name, as
        ["--mode=eval", "--workdir=runs/mine"].

    Returns:
      All words, ["caejax", "eval", "--workdir=runs/mine"].
    """
    modes, rest = without_flag(words, "mode")
    return ["caejax", *(modes or ["run"])[-1:], *rest]


def without_flag(words: Sequence[str], name: str) -> tuple[list[str], list[str]]:
    """The values of a flag, which may be words of their own, and the other words."""
    found, rest, words = [], [], list(words)
    while words:
        word = words.pop(0)
        flag, sign, value = word.partition("=")
        if flag not in (f"-{name}", f"--{name}"):
            rest.append(word)
        elif sign or words:
            found.append(value if sign else words.pop(0))
    return found, rest
