"""From an arm's sweep folder to small CSV files, and back."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from caejax import config as config_lib
from caejax.files.atomic import read_rows, write_json
from caejax.files.csv_files import read_csv, write_csv
from caejax.metrics.table import PERIODS
from caejax.sweep.results import collect
from caejax.sweep.spec import SweepRun, expand
from experiments.checkerboard import residuals
from experiments.checkerboard.arms import DECODER, STEPS
from experiments.shared import rows as shared
from experiments.shared.rows import Row, done

FLOATS = ".5g"  # five significant digits are kept
# Of a reference's row.
_ESTIMATOR = ("reference", "latent_size", "corruption.level", "seed", "images")
_ESTIMATOR += ("parameters", "test/psnr", "test/ssim")
# Of a run's row, but not of its result.
_LEFT_OUT = ("run_id", "error", "train_seconds")
_MACHINE = ("python", "packages", "platform", "device", "backend", "cpu_cores")


class Arm(NamedTuple):
    """What is kept of an arm.

    Attributes:
      rows: a row a run: swept values, seed, status and final values.
      curves: a row for each run and step, with the ripple on validation images.
      about: how it was run: config, machine, steps and seconds a run.
      residuals: each decoder's residuals, for arms of one setting.
      references: a row for each other estimator and each noise that runs had.
    """

    rows: list[Row]
    curves: list[Row]
    about: dict[str, Any]
    residuals: residuals.Arrays
    references: list[Row]


def write(config: ConfigDict, folder: Path, out: Path, name: str) -> None:
    """Writes an arm's CSV files and NAME.json of the sweep in a folder.

    They are NAME.csv, NAME_steps.csv and, for arms of one setting, NAME_residuals.csv.
    """
    runs = expand(config)
    rows = collect(runs, folder / "runs")
    out.mkdir(parents=True, exist_ok=True)
    write_csv(out / f"{name}.csv", [rounded(row) for row in rows])
    finished = [
        run
        for run, row in zip(runs, rows, strict=True)
        if row["status"] == "done"  # else the last step is not the end
    ]
    paths = [(run, folder / "runs" / run.id) for run in finished]
    curves = [row for run, path in paths for row in _curve(run, path)]
    write_csv(out / f"{name}_steps.csv", curves)
    if set(runs[0].values) == {DECODER, "seed"}:
        samples = ((run, path / "samples.npz") for run, path in paths)
        residuals.write(out / f"{name}_residuals.csv", samples)
    write_json(out / f"{name}.json", _about(config, runs, rows, folder))


def write_references(rows: Sequence[Row], out: Path, name: str) -> None:
    """Writes NAME_references.csv of what `measure_references` found."""
    kept = [shared.rounded(_only(row, _ESTIMATOR), FLOATS) for row in rows]
    write_csv(out / f"{name}_references.csv", kept)


def rounded(row: Row) -> Row:
    """A run's row as it is kept: floats to five digits, no times."""
    kept = {k: v for k, v in row.items() if k not in _LEFT_OUT}
    return shared.rounded(kept, FLOATS)


def _only(row, names):
    return {name: row[name] for name in names if name in row}


def _curve(run: SweepRun, folder: Path):
    found = [r for r in read_rows(folder / "metrics.jsonl") if r["split"] == "val"]
    last = max((row["step"] for row in found), default=0)
    for row in found:
        if row["step"] in (0, *STEPS, last):
            names = ("step", *(f"dc_ripple_db_s{s}" for s in PERIODS))
            point = shared.rounded(_only(row, names), FLOATS)
            yield {**run.values, "seed": run.config.seed, **point}


def _about(config, runs, rows, folder):
    machine = json.loads((folder / "environment.json").read_text())
    settings = config_lib.one_run(runs[0].config).to_dict()
    del settings["data"]["dir"], settings["seed"]
    finished = done(rows)
    seconds = [row["train_seconds"] for row in finished]
    return {
        "runs": len(finished),
        "steps": finished[0]["steps"] if finished else 0,
        "median_train_seconds": float(np.median(seconds)) if finished else None,
        "executor": config.executor.name,
        "machine": {name: machine[name] for name in _MACHINE},
        "config_of_first_run": settings,
    }


def read(out: Path, name: str) -> Arm | None:
    """Reads what `write` wrote; None where there is nothing."""
    if not (out / f"{name}.csv").exists():
        return None
    return Arm(
        rows=read_csv(out / f"{name}.csv"),
        curves=read_csv(out / f"{name}_steps.csv"),
        about=json.loads((out / f"{name}.json").read_text()),
        residuals=residuals.read(out / f"{name}_residuals.csv"),
        references=read_csv(out / f"{name}_references.csv"),
    )


def fields_of(config: ConfigDict) -> list[str]:
    """All swept fields."""
    return list(expand(config)[0].values)


def point(row: Row, fields: Sequence[str]) -> tuple[str, ...]:
    """A run's swept values as text, which is what they are in CSV."""
    return tuple(str(row[field]) for field in fields)
