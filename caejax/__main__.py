"""The command `caejax`, and `python -m caejax`: one way in to all subcommands."""

import importlib
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import caejax
from caejax.commands.modes import MODES
from caejax.errors import did_you_mean, print_error
from caejax.runtime import stopping
from caejax.terminal.lines import broken, help_columns, refilled


class Subcommand(NamedTuple):
    """One entry of `SUBCOMMANDS`.

    Attributes:
      sentence: What it does, for the list of subcommands.
      module: Holds `main`, and is not imported before it is needed.
      call: Calls the module: it is given the module, the program's name, the
        subcommand's and the words behind it, and returns the exit code.
    """

    sentence: str
    module: str
    call: Callable[..., int]


def _as_mode(module: Any, program: str, name: str, words: Sequence[str]) -> int:
    """Calls `caejax.main` with flags, of which --mode is the subcommand."""
    from absl import app

    # Both the flags' library and a run's environment.json look at it.
    sys.argv = [f"{program} {name}", f"--mode={name}", *words]
    if any(word.lstrip("-").split("=")[0] == "mode" for word in words):
        return print_error(f"{program} {name} has no --mode, it is one; leave that out")
    app.run(module.main, flags_parser=module.parse_flags)
    return 0  # not reached: it ends the process with the code of main


def _with_name(module: Any, program: str, name: str, words: Sequence[str]) -> int:
    """Calls a module whose `main` takes words, and the program's name for its help."""
    code: int = module.main([name, *words], program=program)
    return code


def _alone(module: Any, program: str, name: str, words: Sequence[str]) -> int:
    """Calls a module whose `main` does one thing, and takes the program's name."""
    code: int = module.main(words, program=f"{program} {name}")
    return code


SUBCOMMANDS = {
    **{
        name: Subcommand(mode.sentence, "caejax.main", _as_mode)
        for name, mode in MODES.items()
    },
    "denoise": Subcommand(
        "Denoises your images, or a run's own data, with a trained model.",
        "caejax.apply",
        _with_name,
    ),
    "reconstruct": Subcommand(
        "Writes what a trained model makes of images.", "caejax.apply", _with_name
    ),
    "encode": Subcommand(
        "Writes the codes of images, and pictures of them.", "caejax.apply", _with_name
    ),
    "neighbours": Subcommand(
        "Finds, for some images, those with the nearest codes.",
        "caejax.apply",
        _with_name,
    ),
    "sample": Subcommand(
        "Draws new images: the decoder as a generator.", "caejax.apply", _with_name
    ),
    "interpolate": Subcommand(
        "Writes images between two, linear in their codes.", "caejax.apply", _with_name
    ),
    "diagnose": Subcommand(
        "Finds what draws checkerboards in an ONNX file or a run, and what mends it.",
        "caejax.diagnose.__main__",
        _alone,
    ),
    "export": Subcommand(
        "Writes a trained model as safetensors, StableHLO or ONNX.",
        "caejax.export.__main__",
        _alone,
    ),
    "measure": Subcommand(
        "Finds repeating patterns in images, and says what usually causes each.",
        "caejax.measure.__main__",
        _alone,
    ),
    "fix": Subcommand(
        "Gives all phases of an ONNX file's or a run's kernels one gain.",
        "caejax.fix.__main__",
        _alone,
    ),
}

# What other programs call it.
_ELSEWHERE = {"train": "run", "fit": "run", "sweep": "run", "list": "help"}
_ELSEWHERE |= {"test": "eval", "plot": "report", "predict": "denoise"}
_ELSEWHERE |= {"version": "--version", "-V": "--version"}

_HELP = ("-h", "-help", "--help", "-?", "help")


def main(argv: Sequence[str], *, program: str = "caejax") -> int:
    """Does what the command line says; returns the exit code.

    Args:
      argv: The words behind the program's name.
      program: That name, for help and errors.
    """
    name, *words = argv or ["help"]
    if name == "help" and words:
        name, words = words[0], ["--help"]
    if name in _HELP:
        print(_help(program))
        return 0
    if name == "--version":
        print(f"caejax {caejax.__version__}")
        return 0
    if name not in SUBCOMMANDS:
        return print_error(_unknown(program, name, argv))
    found = SUBCOMMANDS[name]

    def command() -> int:
        module = importlib.import_module(found.module)
        return found.call(module, program, name, words)

    # While it starts; later, modules say more.
    return stopping.run_command(command, "interrupted")


def _unknown(program: str, name: str, argv: Sequence[str]) -> str:
    if name.startswith("-") and name not in _ELSEWHERE:
        return (
            f"{name} is no subcommand, which comes first, as in {program} run "
            f"{' '.join(argv)}; {program} --help lists them"
        )
    near = did_you_mean(name, SUBCOMMANDS, _ELSEWHERE)
    return f"{name!r} is no subcommand{near}; {program} --help lists them"


def _help(program: str) -> str:
    width, most = max(map(len, SUBCOMMANDS)), help_columns()
    lines = [
        textwrap.fill(
            f"  {name:{width}}  {x.sentence}", most, subsequent_indent=" " * (width + 4)
        )
        for name, x in SUBCOMMANDS.items()
    ]
    return "\n".join(
        [
            f"usage: {program} SUBCOMMAND ...",
            "",
            refilled(str(caejax.__doc__).splitlines()[0], most),
            "",
            "subcommands:",
            *lines,
            "",
            broken(
                f"{program} SUBCOMMAND --help says more; {program} --version tells "
                "which this is.",
                most,
            ),
        ]
    )


def run() -> int:
    """Entry point of the console script."""
    stopping.listen_to_the_end("interrupted")
    return main(sys.argv[1:])


if __name__ == "__main__":
    stopping.listen_to_the_end("interrupted")
    sys.exit(main(sys.argv[1:], program="python -m caejax"))
