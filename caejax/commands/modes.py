"""The modes of `caejax.main`, which are subcommands of `caejax`, and their help."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Mode(NamedTuple):
    """One entry of `MODES`.

    Attributes:
      sentence: What it does, for lists of modes.
      needs: The flags that it cannot do without, as usage shows them.
      text: What else its help says.
      examples: The words behind the program's name and the mode's.
    """

    sentence: str
    needs: str
    text: str
    examples: tuple[str, ...]


_CONFIG, _WORKDIR = "--config=NAME_OR_FILE", "--workdir=DIR"

MODES: Mapping[str, Mode] = MappingProxyType(
    {
        "run": Mode(
            "Trains a config's model or whole sweep, or what is left to do of it.",
            f"{_CONFIG} {_WORKDIR}",
            "Figures, tables and report.html are written at the end. Stopped, the same "
            "command goes on where it was.",
            (
                "--config=quickstart --workdir=runs/quickstart",
                "--config=quickstart --config.train.epochs=3 --workdir=runs/short",
            ),
        ),
        "eval": Mode(
            "Measures a trained model again, or what to compare it with.",
            _WORKDIR,
            "Without --references and --levels, the test images of one run are "
            "measured again.",
            (
                "--workdir=runs/digits --all",
                "--workdir=runs/quickstart --references=input,median,pca",
            ),
        ),
        "report": Mode(
            "Draws figures, tables and the page of a run or a sweep anew.",
            _WORKDIR,
            "It reads only files that are in the folder, and takes seconds.",
            ("--workdir=runs/quickstart",),
        ),
        "show": Mode(
            "Prints what a config would run, and about how long it takes.",
            _CONFIG,
            "The runs of a sweep and what they differ in, the model's shapes, and the "
            "config's fields; nothing is written.",
            (
                "--config=quickstart",
                "--config=quickstart --config.train.epochs=3 --calibrate",
            ),
        ),
        "slurm": Mode(
            "Writes a batch script that runs a config or sweep on a Slurm cluster.",
            f"{_CONFIG} {_WORKDIR}",
            "The script is slurm.sh in the folder. Look through it, then submit it by "
            "sbatch.",
            (
                "--config=quickstart --workdir=runs/quickstart",
                "--config=quickstart --workdir=runs/quickstart --jobs=2 --nocalibrate",
            ),
        ),
    }
)
"""By name."""
