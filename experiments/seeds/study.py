"""All published systems on MNIST, beside what their sources report.

    python -m experiments.seeds.study --data=DIR [--systems=a,b] [--seeds=N]
        [--epochs-limit=N] [--executor=processes] [--runs=DIR]

DIR holds MNIST's four IDX files. All runs are one sweep in the folder --runs, so that
the same command goes on where it was stopped and leaves out what is done. When it ends,
or is interrupted, results.csv, curves.csv, results.md and the figures are written anew,
from all runs that are finished.
"""

import argparse
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from caejax.config import default
from caejax.files.atomic import read_rows, write_json
from caejax.files.csv_files import read_csv, write_csv
from caejax.inference import trained
from caejax.runtime.stopping import run_command
from caejax.sweep.executors import EXECUTORS, start_for
from caejax.sweep.results import status
from caejax.sweep.run import run_sweep
from caejax.sweep.spec import SweepRun, expand
from caejax.training.images import load_split
from experiments.seeds import figures, tables
from experiments.seeds.systems import (
    HERE,
    SYSTEMS,
    System,
    config_name,
    config_of,
    planned_epochs,
    pytorch_ends,
    with_references,
)
from experiments.shared import pictures
from experiments.shared.commands import GOES_ON, create_parser, names
from experiments.shared.rows import Row, check_none_failed

# Folders of runs by system and seed.
Places = Mapping[tuple[str, int], Path]


def sweep_config(data: Path, limit: int = 0) -> ConfigDict:
    """The sweep of all systems: seed 0 of each, the cheapest first, then seed 1.

    Args:
      data: the folder of MNIST's files.
      limit: the largest number of epochs; 0 for the sources' schedules.
    """
    config = default()
    # Only chooses how many cores share a batch: all systems' can be divided by it.
    batches = (config_of(system).train.batch_size for system in SYSTEMS)
    config.train.batch_size = math.gcd(*batches)
    most = max(system.seeds for system in SYSTEMS)
    later = [system for system in SYSTEMS if system.after]
    config.sweep = {
        "data": {"field": "data.dir", "values": (str(data.resolve()),)},
        "seed": {"field": "seed", "values": tuple(range(most))},
        "system": {
            "field": ("config", "train.epochs"),
            "values": tuple((config_name(s.name), _epochs(s, limit)) for s in SYSTEMS),
            "after": {config_name(s.name): config_name(s.after) for s in later},
        },
    }
    config.sweep_exclude = tuple(
        {"config": config_name(system.name), "seed": seed}
        for system in SYSTEMS
        for seed in range(system.seeds, most)
    )
    return config


def _epochs(system, limit):
    planned = planned_epochs(system)
    return min(limit or planned, planned)


def system_of(run: SweepRun) -> str:
    """Name of the system that a run of the sweep trains."""
    known = {config_name(system.name): system.name for system in SYSTEMS}
    return known[run.values["config"]]


def places(config: ConfigDict, runs: Path) -> Places:
    """Where the sweep in a folder keeps its runs."""
    return {
        (system_of(run), run.config.seed): runs / "runs" / run.id
        for run in expand(config)
    }


def count_dead_units(folders: Places) -> None:
    """Writes codes.json into the folders of finished runs that have none."""
    for folder in folders.values():
        path = folder / "codes.json"
        if status(folder) == "done" and not path.exists():
            write_json(path, {"dead_units": dead_units(folder)})


def dead_units(folder: Path) -> int:
    """Units or channels of the code that are 0 on all test images."""
    run = trained.load(folder)
    images = load_split(run.config, "test").images
    codes = np.stack(list(trained.in_batches(trained.encode(run), images)))
    return int(np.sum(codes.reshape(-1, codes.shape[-1]).max(0) <= 0))


def finished(folders: Places) -> tuple[list[Row], list[Row]]:
    """A row for each finished run, and one for each epoch of each of them."""
    rows, curves = [], []
    for system in SYSTEMS:
        for seed in range(system.seeds):
            folder = folders.get((system.name, seed))
            if folder and (folder / "codes.json").exists():
                row, curve = run_rows(system, seed, folder)
                rows.append(row)
                curves += curve
    return rows, curves


def run_rows(system: System, seed: int, folder: Path) -> tuple[Row, list[Row]]:
    """What a run found, and its curve."""
    summary, machine, codes = (
        json.loads((folder / f"{name}.json").read_text())
        for name in ("summary", "environment", "codes")
    )
    metrics = [
        row
        for row in read_rows(folder / "metrics.jsonl")
        if row["step"] > 0 and row["epoch"] % 1 == 0
    ]
    losses = {
        split: {int(r["epoch"]): r["loss"] for r in metrics if r["split"] == split}
        for split in ("train", "val")
    }
    last, unit = summary["epochs"], system.unit
    start = {"system": system.name, "seed": seed}
    row = start | {
        "epochs": last,
        "planned_epochs": planned_epochs(system),
        "figure": unit.factor * losses[unit.split][last],
        "train_loss": losses["train"][last],
        **{f"test_{k}": summary[f"test/{k}"] for k in ("mse", "psnr", "ssim")},
        "dead_units": codes["dead_units"],
        "params": summary["params"],
        "seconds": summary["train_seconds"],
        "device": f"{machine['devices']} x {machine['device']}",
    }
    curve = [
        start
        | {
            "epoch": epoch,
            "train_loss": loss,
            "figure": unit.factor * losses[unit.split][epoch],
        }
        for epoch, loss in losses["train"].items()
    ]
    return row, curve


def write_all(folders: Places, out: Path) -> None:
    """Tables and figures of all finished runs."""
    count_dead_units(folders)
    rows, curves = finished(folders)
    if not rows:
        return
    systems = [with_references(system) for system in SYSTEMS]
    out.mkdir(parents=True, exist_ok=True)
    write_csv(out / "results.csv", rows, ".6g")
    write_csv(out / "curves.csv", curves, ".6g")
    (out / "results.md").write_text(tables.report(systems, rows, pytorch_ends()))
    whole = [row for row in rows if tables.is_whole(row) and row["seed"] == 0]
    samples = {
        row["system"]: np.load(folders[row["system"], 0] / "samples.npz")
        for row in whole
    }
    shown = figures.pictures(samples) if samples else {}
    if shown:
        pictures.write(shown, out / figures.PICTURES)
    figures.draw(systems, curves, read_csv(HERE / "pytorch.csv"), shown, out)


def study(args: argparse.Namespace) -> int:
    """Runs what is left to do; returns the exit code."""
    chosen = names(args.systems, [system.name for system in SYSTEMS], "systems")
    config = sweep_config(args.data, args.epochs_limit)
    config.executor.name, config.executor.workers = args.executor, args.workers
    start_for(config)
    folders = places(config, args.runs)

    def wanted(run):
        return system_of(run) in chosen and run.config.seed < (args.seeds or math.inf)

    try:
        rows = run_sweep(config, args.runs, only=wanted) if chosen else []
    finally:
        write_all(folders, args.out)
    check_none_failed(rows, "the systems", args.runs)
    return 0


def main(argv: list[str] | None = None) -> int:
    """Runs the study; returns the exit code."""
    parser = create_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--systems", default="all", help="comma list; '' for none")
    parser.add_argument("--seeds", type=int, default=0, help="at most so many each")
    parser.add_argument("--epochs-limit", type=int, default=0, help="at most so many")
    parser.add_argument("--executor", choices=EXECUTORS, default="serial")
    parser.add_argument("--workers", type=int, default=0, help="0: one a core")
    parser.add_argument("--runs", type=Path, help="by default runs/seeds")
    parser.add_argument("--out", type=Path, help="by default beside this file")
    args = parser.parse_args(argv)
    # Shortened runs are others, and their tables stand beside no source's values.
    short = f"_{args.epochs_limit}_epochs" if args.epochs_limit else ""
    args.runs = args.runs or Path(f"runs/seeds{short}")
    args.out = args.out or (HERE / short.strip("_") if short else HERE)
    return run_command(lambda: study(args), GOES_ON)


if __name__ == "__main__":
    sys.exit(main())
