"""Spectra and phase means of the residuals by decoder, to a small CSV file and back."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from caejax.files.csv_files import read_csv, write_csv
from caejax.sweep.spec import SweepRun
from experiments.checkerboard.arms import DECODER

Arrays = dict[str, dict[str, np.ndarray]]

SPECTRUM, MEANS = "residual_spectrum", "residual_phase_means"


FLOATS = ".3e"


def write(path: Path, samples: Iterable[tuple[SweepRun, Path]]) -> None:
    """Writes `rows` as a CSV file."""
    write_csv(path, rows(samples), FLOATS)


def rows(samples: Iterable[tuple[SweepRun, Path]]) -> list[dict[str, Any]]:
    """The residuals of an arm of one setting, a row for each of an array's rows.

    Spectra are means over seeds. Phase means are seed 0's, and means over channels:
    their signs differ between seeds, whose mean would show less than each of them has.

    Args:
      samples: the runs, each with the path of its samples.npz.
    """
    found: dict[tuple[str, str], list[np.ndarray]] = {}
    for run, file in samples:
        kind = run.values[DECODER]
        with np.load(file) as arrays:
            found.setdefault((kind, SPECTRUM), []).append(arrays[SPECTRUM])
            if run.config.seed == 0:
                found[kind, MEANS] = [arrays[MEANS].mean(-1)]
    return [
        {DECODER: kind, "array": array}
        | {str(place): float(value) for place, value in enumerate(line)}
        for (kind, array), values in found.items()
        for line in np.mean(values, 0)
    ]


def read(path: Path) -> Arrays:
    """By decoder: spectrum (H, W) and phase means (s, s, 1), as in samples.npz."""
    lines: dict[tuple[str, str], list[list[float]]] = {}
    for row in read_csv(path):
        key = row.pop(DECODER), row.pop("array")
        lines.setdefault(key, []).append([float(value) for value in row.values()])
    found: Arrays = {}
    for (kind, array), values in lines.items():
        table = np.array(values)
        found.setdefault(kind, {})[array] = (
            table[..., None] if array == MEANS else table
        )
    return found
