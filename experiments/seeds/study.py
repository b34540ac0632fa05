"""All published systems on MNIST, beside what their sources report.

    python -m experiments.seeds.study --data=DIR [--systems=a,b] [--seeds=N]
        [--epochs-limit=N] [--runs=DIR]

DIR holds MNIST's four IDX files. Every run has a folder below --runs, so that the same
command goes on where it was stopped and leaves out what is done. After every run
results.csv, curves.csv, results.md and the figures are written anew, from all runs that
are finished.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from caejax.errors import chosen, exit_code
from caejax.files.atomic import read_rows, write_json
from caejax.files.csv_files import read_csv, write_csv
from caejax.inference import trained
from caejax.runtime.compilation import use_cache
from caejax.runtime.devices import use_cores
from caejax.train.images import load_split
from experiments.seeds import figures, tables
from experiments.seeds.systems import (
    HERE,
    SYSTEMS,
    System,
    config_of,
    planned_epochs,
    pytorch_ends,
    with_references,
)

Row = dict[str, Any]


def plan(systems: Sequence[System], most: int = 0) -> list[tuple[System, int]]:
    """Runs in their order: seed 0 of all systems, then seed 1.

    Args:
      systems: the cheapest first.
      most: seeds of each; 0 for what each system is to have.
    """
    counts = [min(most, system.seeds) if most else system.seeds for system in systems]
    return [
        (system, seed)
        for seed in range(max(counts, default=0))
        for system, count in zip(systems, counts, strict=True)
        if seed < count
    ]


def folder_of(runs: Path, system: str, seed: int) -> Path:
    """Where a run is kept."""
    return runs / system / f"seed{seed}"


def epochs_done(folder: Path) -> int:
    """Epochs of a run that is finished and whose code is measured, else 0."""
    paths = folder / "summary.json", folder / "codes.json"
    if not all(path.exists() for path in paths):
        return 0
    done, measured = (json.loads(path.read_text())["epochs"] for path in paths)
    return done if done == measured else 0


def run_config(
    system: System, seed: int, *, data: Path, runs: Path, limit: int
) -> ConfigDict:
    """The source's config with this seed, and with fewer epochs under a limit."""
    config = config_of(system)
    config.seed = seed
    config.data.dir = str(data.resolve())
    config.train.epochs = min(limit or config.train.epochs, config.train.epochs)
    if system.after:
        first = folder_of(runs, system.after, seed)
        config.train.start_from = str(first.resolve())
    return config


def left_to_do(
    planned: Sequence[tuple[System, int]], *, data: Path, runs: Path, limit: int
) -> Iterator[tuple[System, int, ConfigDict]]:
    """What of the plan is neither done nor waits for a run that is not done.

    Looked at one by one, so that a run may wait for an earlier one of the plan.
    """
    by_name = {system.name: system for system in SYSTEMS}
    for system, seed in planned:
        config = run_config(system, seed, data=data, runs=runs, limit=limit)
        name = f"{system.name}, seed {seed}"
        if epochs_done(folder_of(runs, system.name, seed)) >= config.train.epochs:
            print(f"{name}: done", flush=True)
            continue
        if system.after:
            first = folder_of(runs, system.after, seed)
            if epochs_done(first) < planned_epochs(by_name[system.after]):
                print(f"{name}: waits for all epochs of {system.after}", flush=True)
                continue
        print(f"{name}: {config.train.epochs} epochs", flush=True)
        yield system, seed, config


def train_run(config: ConfigDict, folder: Path) -> None:
    """Trains a run, and counts the dead units of its code."""
    # The number of devices must be chosen before this makes the first array.
    from caejax.train.loop import train

    epochs = train(config, folder)["epochs"]
    codes = {"epochs": epochs, "dead_units": dead_units(folder)}
    write_json(folder / "codes.json", codes)


def dead_units(folder: Path) -> int:
    """Units or channels of the code that are 0 on all test images."""
    run = trained.load(folder)
    images = load_split(run.config, "test").images
    codes = np.stack(list(trained.in_batches(trained.encode(run), images)))
    return int(np.sum(codes.reshape(-1, codes.shape[-1]).max(0) <= 0))


def finished(runs: Path) -> tuple[list[Row], list[Row]]:
    """A row for each finished run, and one for each epoch of each of them."""
    rows, curves = [], []
    for system in SYSTEMS:
        for seed in range(system.seeds):
            folder = folder_of(runs, system.name, seed)
            if epochs_done(folder):
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
    # A run that goes on beyond its summary has more of them.
    metrics = [
        row
        for row in read_rows(folder / "metrics.jsonl")
        if 0 < row["step"] <= summary["steps"] and row["epoch"] % 1 == 0
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


def write_all(runs: Path, out: Path) -> None:
    """Tables and figures of all finished runs."""
    rows, curves = finished(runs)
    if not rows:
        return
    systems = [with_references(system) for system in SYSTEMS]
    out.mkdir(parents=True, exist_ok=True)
    write_csv(out / "results.csv", rows, ".6g")
    write_csv(out / "curves.csv", curves, ".6g")
    (out / "results.md").write_text(tables.report(systems, rows, pytorch_ends()))
    whole = [row for row in rows if tables.is_whole(row) and row["seed"] == 0]
    samples = {
        row["system"]: np.load(folder_of(runs, row["system"], 0) / "samples.npz")
        for row in whole
    }
    figures.draw(systems, curves, read_csv(HERE / "pytorch.csv"), samples, out)


def study(args: argparse.Namespace) -> int:
    """Runs what is left to do; returns the exit code."""
    known = {system.name: system for system in SYSTEMS}
    systems = [
        known[name] for name in chosen(args.systems.split(","), known, "systems")
    ]
    use_cache()
    use_cores(math.gcd(*(config_of(system).train.batch_size for system in SYSTEMS)))
    planned = plan(systems, args.seeds)
    settings = {"data": args.data, "runs": args.runs, "limit": args.epochs_limit}
    for system, seed, config in left_to_do(planned, **settings):
        train_run(config, folder_of(args.runs, system.name, seed))
        write_all(args.runs, args.out)
    write_all(args.runs, args.out)
    return 0


def main(argv: list[str] | None = None) -> int:
    """Runs the study; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--systems", default="all", help="comma list; '' for none")
    parser.add_argument("--seeds", type=int, default=0, help="at most so many each")
    parser.add_argument("--epochs-limit", type=int, default=0, help="at most so many")
    parser.add_argument("--runs", type=Path, default=Path("runs/seeds"))
    parser.add_argument("--out", type=Path, default=HERE)
    args = parser.parse_args(argv)
    stopped = "interrupted; the same command goes on where this one was stopped"
    return exit_code(lambda: study(args), stopped)


if __name__ == "__main__":
    sys.exit(main())
