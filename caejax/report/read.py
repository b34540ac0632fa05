"""Reads the folders of runs and sweeps into plain data."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from caejax.errors import CaejaxError
from caejax.writers import read_rows

_HASHES = ("run_id", "setting")


class RunFiles(NamedTuple):
    """What a finished run left in its folder.

    Attributes:
      config: nested dict.
      summary: final figures.
      rows: of metrics.jsonl.
      samples: arrays of samples.npz by name.
    """

    config: dict[str, Any]
    summary: dict[str, float]
    rows: list[dict[str, Any]]
    samples: dict[str, np.ndarray]


class SweepFiles(NamedTuple):
    """What a sweep left in its folder.

    Attributes:
      config: nested dict, with sweep.
      fields: the swept fields.
      rows: of results.csv, numbers parsed; those done have figures.
      runs: finished runs by run_id.
      references: rows of references.csv.
    """

    config: dict[str, Any]
    fields: list[str]
    rows: list[dict[str, Any]]
    runs: dict[str, RunFiles]
    references: Sequence[dict[str, Any]] = ()


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
      CaejaxError: it is missing.
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
    return RunFiles(
        config=read_json(workdir / "config.json"),
        summary=read_json(workdir / "summary.json"),
        rows=read_rows(workdir / "metrics.jsonl"),
        samples=arrays,
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
    rows = read_table(workdir / "results.csv", fields)
    done = [row["run_id"] for row in rows if row["status"] == "done"]
    runs = {name: read_run(workdir / "runs" / name) for name in done}
    references = read_table(workdir / "references.csv", fields)
    return SweepFiles(config, fields, rows, runs, references)


def read_table(path: Path, fields: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Reads a CSV file's rows, numbers parsed but for hashes; none if it is missing.

    Args:
      path: of the file.
      fields: whose cells may be empty; other empty ones are left out of their row.
    """
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [
            {
                name: text if name in _HASHES else _parse(text)
                for name, text in row.items()
                if text or name in fields
            }
            for row in csv.DictReader(file)
        ]


def sweep_axes(config: dict[str, Any]) -> list[list[str]]:
    """The fields of each axis, in the order of the axes' names."""
    axes = [axis["field"] for _, axis in sorted(config.get("sweep", {}).items())]
    return [[field] if isinstance(field, str) else list(field) for field in axes]


def _parse(text):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
