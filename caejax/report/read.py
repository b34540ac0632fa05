"""Reads the folders of runs and sweeps into plain data."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from caejax.config.ids import run_id, setting_id
from caejax.config.stored import read_stored
from caejax.errors import CaejaxError, describe
from caejax.files.atomic import damaged, read_json, read_rows
from caejax.files.csv_files import read_csv
from caejax.files.finished import read_samples, read_summary, reference_samples
from caejax.terminal.lines import printable
from caejax.terminal.notes import note

_PSNR = "test/psnr"


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
      left_out: why runs that were done are left out, by run_id: what they have left is
        damaged. Their rows are those of failed runs.
      reference_samples: what references made of the examples that runs show, by
        (setting, reference).
    """

    config: dict[str, Any]
    fields: list[str]
    rows: list[dict[str, Any]]
    runs: dict[str, RunFiles]
    references: Sequence[dict[str, Any]] = ()
    levels: Sequence[dict[str, Any]] = ()
    left_out: Mapping[str, str] = MappingProxyType({})
    reference_samples: Mapping[tuple[str, str], np.ndarray] = MappingProxyType({})


def read_environment(workdir: Path) -> dict[str, Any]:
    """Reads environment.json; where it is damaged, what is known is little.

    Returns:
      The file's values: time and command are text, packages the versions by name.
    """
    blank = {"time": "", "command": "", "packages": {}}
    path = workdir / "environment.json"
    try:
        found = read_json(path)
        for name, value in blank.items():
            if not isinstance(found.get(name), type(value)):
                raise damaged(path, f"it has no {name}")
    except (CaejaxError, OSError) as error:
        note(f"{describe(error)}; the page goes without")
        return blank
    return found


def _missing(path):
    return CaejaxError(
        f"{path} is missing, so there is nothing to report; check --workdir, or "
        "finish the run by `caejax run`"
    )


def is_sweep(workdir: Path) -> bool:
    """Whether a folder belongs to a sweep."""
    path = workdir / "config.json"
    try:
        return bool(read_json(path).get("sweep"))
    except FileNotFoundError:
        raise _missing(path) from None


def read_run(workdir: Path) -> RunFiles:
    """Reads a finished run's folder.

    Raises:
      CaejaxError: the run is not finished.
    """
    try:
        samples = read_samples(workdir)
        config = _read_config(workdir, needed=("corruption", "model", "seed"))
        summary = read_summary(workdir)
    except FileNotFoundError as error:
        raise _missing(error.filename) from None
    if _PSNR not in summary:
        raise damaged(workdir / "summary.json", f"it has no {_PSNR}")
    return RunFiles(
        config=config,
        summary=summary,
        rows=read_rows(workdir / "metrics.jsonl"),
        samples=samples,
        references=_read_references(workdir, [config]),
        levels=_read_levels(workdir, [run_id(config)]),
    )


def read_sweep(workdir: Path) -> SweepFiles:
    """Reads a sweep's folder and those of its finished runs.

    Raises:
      CaejaxError: no run has been started.
    """
    path = workdir / "results.csv"
    if not path.exists():
        raise _missing(path)
    config = _read_config(workdir)
    fields = [field for axis in sweep_axes(config) for field in axis]
    needed = ("run_id", "status", "seed", *fields)
    try:
        rows = read_csv(path, fields, needed=needed)
        _check_complete(path, rows)
    except CaejaxError as error:
        note(f"{error}; it is written again from what the runs have left")
        _write_results_again(workdir)
        rows = read_csv(path, fields, needed=needed)
    runs, left_out = {}, {}
    for name in [row["run_id"] for row in rows if row["status"] == "done"]:
        try:
            runs[name] = read_run(workdir / "runs" / name)
        except (CaejaxError, OSError) as error:
            left_out[name] = describe(error)
            note(f"run {name} is left out: {left_out[name]}")
    rows = [_row(row, {"seed", *fields}, left_out, workdir / "runs") for row in rows]
    configs = [run.config for run in runs.values()]
    references = _read_references(workdir, configs, fields)
    levels = _read_levels(workdir, list(runs))
    rows, references, levels = map(_in_lines, (rows, references, levels))
    samples = _read_reference_samples(workdir, references)
    return SweepFiles(config, fields, rows, runs, references, levels, left_out, samples)


def _in_lines(rows):
    """Rows whose texts can be shown: names of files may hold any characters."""
    return [
        {k: printable(v) if isinstance(v, str) else v for k, v in row.items()}
        for row in rows
    ]


def _check_complete(path, rows):
    """Each run of a sweep has a row, and sweeps never shrink."""
    finished = (path.parent / "runs").glob(f"{'[0-9a-f]' * 10}/summary.json")
    lost = {file.parent.name for file in finished} - {row["run_id"] for row in rows}
    if lost:
        raise damaged(path, f"it lacks run {min(lost)}")


def _write_results_again(workdir):
    # Not at the top: it takes JAX to know which runs a sweep has.
    from caejax.sweep import results
    from caejax.sweep.spec import expand
    from caejax.training.folder import begun_in

    runs = expand(read_stored(workdir / "config.json"), begun_in(workdir))
    results.write(workdir, results.collect(runs, workdir / "runs"))


def _row(row, fields, left_out, folder):
    if row["run_id"] not in left_out:
        return row
    kept = {name: row[name] for name in ("run_id", *sorted(fields)) if name in row}
    if not (folder / row["run_id"]).exists():
        return kept | {"status": "pending", "error": ""}
    return kept | {"status": "failed", "error": left_out[row["run_id"]]}


def _read_config(workdir, needed=()):
    """A run's or a sweep's config as it was stored, and what is newer than it."""
    path = workdir / "config.json"
    new, config = read_stored(path).to_dict(), read_json(path)
    for name in needed:
        if name not in config:
            raise damaged(path, f"it has no {name}")
    return {**new, **config}


def _read_references(workdir, configs, fields=()):
    """Rows of references.csv that are of the noisy images of runs with these configs.

    Others are left of a run that was there before.
    """
    rows = _read_measured(
        workdir / "references.csv",
        fields,
        needed=("reference", "setting", "corruption.name", "seed"),
        numbers=("corruption.level", "images", "test_images"),
    )
    settings = {setting_id(config) for config in configs} if rows else ()
    return [row for row in rows if row["setting"] in settings]


def _read_reference_samples(workdir, rows):
    """Of PCA, those of the largest code; none of what was given less than all images.

    Files of what has been given all of them before may still be there.
    """
    found = {}
    for row in by_code(row for row in rows if row["images"] == row["test_images"]):
        path = reference_samples(workdir, row)
        # Every part of an archive has errors of its own; without, a column is missing.
        with contextlib.suppress(Exception), path.open("rb") as file:
            found[row["setting"], row["reference"]] = np.load(file)["output"]
    return found


def by_code(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of references.csv, those of PCA's largest code last."""
    return sorted(rows, key=lambda row: row.get("latent_size") or 0)


def _read_levels(workdir, run_ids):
    """Rows of levels.csv that are of these runs."""
    rows = _read_measured(
        workdir / "levels.csv",
        needed=("run_id", "corruption.name"),
        numbers=("train_level", "test_level", _PSNR),
    )
    ids = set(run_ids)
    return [row for row in rows if row["run_id"] in ids]


def _read_measured(path, fields=(), **columns):
    try:
        return read_csv(path, fields, mend="`caejax eval` measures again", **columns)
    except CaejaxError as error:
        note(f"{error} where it is moved away; the report goes without")
        return []


def sweep_axes(config: dict[str, Any]) -> list[list[str]]:
    """The fields of each axis, in the order of the axes' names."""
    axes = [
        axis.get("field", "config")
        for _, axis in sorted(config.get("sweep", {}).items())
    ]
    return [[field] if isinstance(field, str) else list(field) for field in axes]
