"""A whole sweep, from its config to results.csv."""

from pathlib import Path

from ml_collections import ConfigDict

from caejax import config as config_lib
from caejax.errors import CaejaxError
from caejax.sweep import executors, results
from caejax.sweep.spec import SweepRun, expand
from caejax.train.folder import environment, is_started
from caejax.train.images import load_images
from caejax.writers import write_atomically, write_json


def run_sweep(config: ConfigDict, workdir: Path) -> list[results.Row]:
    """Does the runs that are not done yet and returns the rows of all.

    Args:
      config: with sweep axes.
      workdir: the sweep's folder. results.csv is written anew after every run.

    Raises:
      CaejaxError: a sweep that cannot be expanded, or a folder of something else.
    """
    runs = expand(config)
    folder = workdir / "runs"
    unfinished = any(results.status(folder / run.id) != "done" for run in runs)
    if unfinished and not any(field.startswith("data.") for field in runs[0].values):
        # Data that all runs share and none can read is one error, not one a run.
        load_images(runs[0].config)
    _claim(workdir, config, runs)

    def report(number: int, run: SweepRun, status: str) -> None:
        rows = results.collect(runs, folder)
        results.write_csv(workdir / "results.csv", rows)
        print(_line(number, len(runs), run, status, rows[number - 1]), flush=True)

    executors.serial(runs, folder, report)
    return results.collect(runs, folder)


def _claim(workdir, config, runs):
    """Makes the folder this sweep's, or checks that it is; axes may grow."""
    workdir.mkdir(parents=True, exist_ok=True)
    path = workdir / "config.json"
    if not _started_runs(workdir) <= {run.id for run in runs}:
        raise CaejaxError(
            f"{workdir} holds other runs than this sweep's; "
            "choose another --workdir or delete this one"
        )
    text = config_lib.to_json(config) + "\n"
    if not path.exists() or path.read_text() != text:
        write_json(workdir / "environment.json", environment())
        write_atomically(path, text)


def _started_runs(workdir):
    if is_started(workdir):
        raise CaejaxError(
            f"{workdir} holds a single run, not a sweep; choose another --workdir"
        )
    return {run.name for run in (workdir / "runs").glob("*") if is_started(run)}


def _line(number, total, run, status, row):
    values = "  ".join(f"{field}={value}" for field, value in run.values.items())
    line = f"[{number}/{total}] {run.id}  {values}  {status}"
    if row["status"] == "done" and "test/psnr" in row:
        line += f"  psnr {row['test/psnr']:.2f} dB"
    if status == "failed":
        line += f": {row['error']}"
    return line
