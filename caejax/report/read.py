"""Reads the folders of runs and sweeps into plain data."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from caejax.config.ids import run_id, setting_id
from caejax.errors import CaejaxError
from caejax.files.atomic import read_rows
from caejax.files.csv_files import read_csv


class RunFiles(NamedTuple):
    """What a finished run left in its folder.

    Attributes:
      config: the run's config as a nested dict.
      summary: the run's final values.
      rows: the rows of metrics.jsonl.
      samples: the arrays of samples.npz by name.
      references: the rows of references.csv.
      levels: the rows of levels.csv.
    """

    config: dict[str, Any]
    summary: dict[str, float]
    rows: list[dict[str, Any]]
    samples: dict[str, np.ndarray]
    references: Sequence[dict[str, Any]] = ()
    levels: Sequence[dict[str, Any]] = ()


class SweepFiles(NamedTuple):
    """What a sweep left in its folder.

    Attributes:
      config: the sweep's config as a nested dict, with its sweep section.
      fields: the swept fields.
      rows: the rows of results.csv, numbers parsed; those of runs that are done have
        final values.
      runs: the finished runs by run_id.
      references: the rows of references.csv.
      levels: the rows of levels.csv.
    """

    config: dict[str, Any]
    fields: list[str]
    rows: list[dict[str, Any]]
    runs: dict[str, RunFiles]
    references: Sequence[dict[str, Any]] = ()
    levels: Sequence[dict[str, Any]] = ()


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
      CaejaxError: the file is missing.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise _missing(path) from None
    except json.JSONDecodeError as error:
        raise CaejaxError(f"{path} is damaged ({error}); delete it") from error


def _missing(path):
    return CaejaxError(
        f"{path} is missing, so there is nothing to report; check --workdir, or "
        "finish the run with --mode=run"
    )


def is_sweep(workdir: Path) -> bool:
    """Whether a folder belongs to a sweep."""
    return bool(read_json(workdir / "config.json").get("sweep"))


def read_run(workdir: Path) -> RunFiles:
    """Reads a finished run's folder.

    Raises:
      CaejaxError: the run is not finished.
    """
    if not (workdir / "samples.npz").exists():
        raise _missing(workdir / "samples.npz")
    with np.load(workdir / "samples.npz") as samples:
        arrays = dict(samples)
    config = read_json(workdir / "config.json")
    return RunFiles(
        config=config,
        summary=read_json(workdir / "summary.json"),
        rows=read_rows(workdir / "metrics.jsonl"),
        samples=arrays,
        references=_read_references(workdir, [config]),
        levels=_read_levels(workdir, [run_id(config)]),
    )


def read_sweep(workdir: Path) -> SweepFiles:
    """Reads a sweep's folder and those of its finished runs.

    Raises:
      CaejaxError: no run has been started.
    """
    config = read_json(workdir / "config.json")
    fields = [field for axis in sweep_axes(config) for field in axis]
    if not (workdir / "results.csv").exists():
        raise _missing(workdir / "results.csv")
    rows = read_csv(workdir / "results.csv", fields)
    done = [row["run_id"] for row in rows if row["status"] == "done"]
    runs = {name: read_run(workdir / "runs" / name) for name in done}
    configs = [run.config for run in runs.values()]
    references = _read_references(workdir, configs, fields)
    return SweepFiles(
        config, fields, rows, runs, references, _read_levels(workdir, done)
    )


def _read_references(workdir, configs, fields=()):
    """Rows of references.csv that are of the noisy images of runs with these configs.

    Others are left of a run that was there before.
    """
    rows = read_csv(workdir / "references.csv", fields)
    settings = {setting_id(config) for config in configs} if rows else ()
    return [row for row in rows if row["setting"] in settings]


def _read_levels(workdir, run_ids):
    """Rows of levels.csv that are of these runs."""
    rows = read_csv(workdir / "levels.csv")
    return [row for row in rows if row["run_id"] in run_ids]


def sweep_axes(config: dict[str, Any]) -> list[list[str]]:
    """The fields of each axis, in the order of the axes' names."""
    axes = [
        axis.get("field", "config")
        for _, axis in sorted(config.get("sweep", {}).items())
    ]
    return [[field] if isinstance(field, str) else list(field) for field in axes]
