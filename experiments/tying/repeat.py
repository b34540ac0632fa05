"""Repeats a random share of an arm's runs and compares them with its CSV."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from ml_collections import ConfigDict

from caejax.sweep.run import run_sweep
from experiments.checkerboard.repeat import HEADER, TOLERANCE, chosen, compare, only
from experiments.shared.rows import Row
from experiments.tying import plan, records

__all__ = ["HEADER", "TOLERANCE", "repeat"]


def repeat(
    config: ConfigDict, name: str, kept: Sequence[Row], share: float
) -> tuple[list[list[str]], bool]:
    """Does runs again in a folder of its own.

    Args:
      config: the arm's config.
      name: the arm's name.
      kept: the rows of the arm's CSV file.
      share: the share of the arm's runs to repeat.

    Returns:
      A line of `HEADER` for each run, and whether all are within the tolerance.
    """
    fields = [records.DECODER, "seed", *plan.ARMS[name].axes]
    fields += ["optimizer.learning_rate"] if plan.ARMS[name].rates else []

    def where(row):
        return tuple(str(row[field]) for field in fields)

    before = {where(row): row for row in kept}
    part = only(config, chosen(config, share))
    with tempfile.TemporaryDirectory() as folder:
        run_sweep(part, Path(folder))
        rows = records.write(part, Path(folder), Path(folder) / "out", name)
    lines, fine = [], True
    for row in rows:
        skip = [*fields, "model.decoder_widths", "optimizer.learning_rate"]
        line, worst = compare(before.get(where(row), {}), row, skip)
        lines.append([name, " ".join(where(row)), *line])
        fine &= worst <= TOLERANCE
    return lines, fine
