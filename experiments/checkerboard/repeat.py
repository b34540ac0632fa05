"""Repeats a random tenth of an arm's runs and compares them with its CSV."""

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from caejax.sweep.run import run_sweep
from caejax.sweep.spec import SweepRun, expand
from experiments.checkerboard import records
from experiments.shared.rows import Row

HEADER = ("arm", "run", "figures", "equal", "largest difference", "relative")
TOLERANCE = 1e-2  # relative, of a value on another machine
FLOOR = 1.0  # values below it, in their unit, are compared absolutely


def chosen(config: ConfigDict, share: float, *, seed: int = 0) -> list[SweepRun]:
    """A random share of an arm's runs, at least one."""
    runs = expand(config)
    rng = np.random.default_rng(seed)
    count = max(1, round(share * len(runs)))
    return [runs[i] for i in sorted(rng.choice(len(runs), count, replace=False))]


def only(config: ConfigDict, runs: Sequence[SweepRun]) -> ConfigDict:
    """The arm's config with these of its runs alone, as one axis."""
    fields = tuple(runs[0].values)
    values = tuple(tuple(run.values.values()) for run in runs)
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.sweep = {"run": {"field": fields, "values": values}}
    return config


def repeat(config: ConfigDict, name: str, kept: Sequence[Row], share: float):
    """Does runs again in a folder of its own.

    Args:
      config: the arm's config.
      name: the arm's name.
      kept: the rows of the arm's CSV file.
      share: the share of the arm's runs to repeat.

    Returns:
      A line of `HEADER` for each run, and whether all are within the tolerance.
    """
    fields = records.fields_of(config)
    before = {records.point(row, fields): row for row in kept}
    part = only(config, chosen(config, share))
    with tempfile.TemporaryDirectory() as folder:
        rows = run_sweep(part, Path(folder) / name)
    lines, fine = [], True
    for row in map(records.rounded, rows):
        where = records.point(row, fields)
        line, worst = compare(before.get(where, {}), row, fields)
        lines.append([name, " ".join(where), *line])
        fine &= worst <= TOLERANCE
    return lines, fine


def compare(before: Row, again: Row, fields: Sequence[str]) -> tuple[list[str], float]:
    """Cells of one run, and its largest relative difference; inf where one failed."""
    names = [k for k in again if k not in (*fields, "seed", "status")]
    if before.get("status") != "done" or again["status"] != "done":
        return ["", "", "no such run, or one that failed", ""], math.inf
    numbers = {k: (float(before[k]), float(again[k])) for k in names}
    gaps = {k: abs(a - b) / max(abs(a), FLOOR) for k, (a, b) in numbers.items()}
    worst = max(gaps, key=gaps.get)
    same = sum(a == b for a, b in numbers.values())
    text = "" if gaps[worst] == 0 else worst
    return [str(len(names)), str(same), text, f"{gaps[worst]:.2g}"], gaps[worst]
