"""The tables of results.md, and the numbers that tables and figure have in common."""

from collections.abc import Sequence

import numpy as np

from caejax.fix.runs import TIED
from caejax.report.tables import to_markdown
from experiments.shared.cells import mean_and_interval, mean_and_range
from experiments.shared.rows import Row, distinct, select

# What is compared: a column, and the one that it is held against.
MENDED = ("mended_psnr", "psnr")
TIED_BEFORE = ("tied_psnr", "psnr")
UNTIED_BEFORE = ("untied_psnr", "psnr")
TIED_UNTIED = ("tied_psnr", "untied_psnr")

_ABOVE = """# What mending costs, in tables

Written by `python -m experiments.fixing.study`. Tied and untied models are trained two
epochs further, mended ones not.

## PSNR

In dB; means over seeds [Student's 95 % interval], of differences paired by seed.

"""
_BETWEEN = """
## Ripple

Means over seeds [lowest, highest]. Grey levels of 255 are those of the largest period
on flat codes, dB what `caejax diagnose` measures on flat inputs.

"""


def column(rows: Sequence[Row], name: str) -> np.ndarray:
    """A column's numbers, (n,)."""
    return np.array([row[name] for row in rows], float)


def differences(rows: Sequence[Row], name: str, other: str) -> np.ndarray:
    """Of each seed one column less another, (n,)."""
    return column(rows, name) - column(rows, other)


def of_kinds(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each kind, in their order."""
    return {kind: select(rows, kind=kind) for kind in distinct(rows, "kind")}


def write(rows: Sequence[Row]) -> str:
    """results.md, from the rows of results.csv."""
    quality = to_markdown(
        (
            *("kind", "seeds", "before", "mended - before", "tied - before"),
            *("untied - before", "tied - untied"),
        ),
        [_of_psnr(kind, own) for kind, own in of_kinds(rows).items()],
    )
    ripple = to_markdown(
        (
            *("kind", "before, grey levels", "untied, grey levels", "before, dB"),
            *("mended, dB", "tied, dB"),
        ),
        [_of_ripple(kind, own) for kind, own in of_kinds(rows).items()],
    )
    return f"{_ABOVE}{quality.rstrip()}\n{_BETWEEN}{ripple.rstrip()}\n"


def _of_psnr(kind, own):
    further = (TIED_BEFORE, UNTIED_BEFORE, TIED_UNTIED)
    return [
        kind,
        str(len(own)),
        mean_and_interval(column(own, "psnr")),
        mean_and_interval(differences(own, *MENDED), "+.2f"),
        *(
            mean_and_interval(differences(own, *pair), "+.3f") if kind in TIED else ""
            for pair in further
        ),
    ]


def _of_ripple(kind, own):
    columns = {
        "ripple_grey": ".2f",
        "untied_ripple_grey": ".2f",
        "ripple_db": ".1f",
        "mended_ripple_db": ".1f",
        "tied_ripple_db": ".1f",
    }
    return [
        kind,
        *(
            mean_and_range(column(own, name), spec)
            if kind in TIED or "tied" not in name
            else ""
            for name, spec in columns.items()
        ),
    ]
