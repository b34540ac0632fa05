"""Decoders, bottlenecks, noise: checkerboards and quality, over paired seeds.

    python -m experiments.checkerboard.study --mnist=DIR --bsds=DIR
        [--arms=primary_mnist,...] [--executor=processes] [--seeds=N] [--full]
        [--runs=DIR] [--out=DIR] [--repeat=0.1]

Every arm is a sweep in its own folder below --runs; the same command goes on where it
was stopped. After each arm its CSV files and the galleries' pictures are written, and
then all tables and figures from these alone: `--arms=` does only that, and needs no
data.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from caejax import config as config_lib
from caejax.errors import CaejaxError
from caejax.evaluation.references import measure_references, parse_references
from caejax.files.atomic import write_atomically
from caejax.report.tables import to_markdown
from caejax.runtime.stopping import run_command
from caejax.sweep.executors import EXECUTORS, start_for
from caejax.sweep.run import run_sweep
from caejax.sweep.spec import expand
from experiments.checkerboard import arms, records, repeat
from experiments.checkerboard.pictures import chosen
from experiments.shared import pictures
from experiments.shared.commands import GOES_ON, create_parser, names
from experiments.shared.rows import check_none_failed

HERE = Path(__file__).parent
REFERENCE_IMAGES = 0  # all


def arm_config(name: str, args: argparse.Namespace) -> ConfigDict:
    """An arm with its data, and cut by the flags.

    Raises:
      CaejaxError: the folder of its data is not given.
    """
    config = arms.arm(name, full=args.full)
    data = "bsds" if name.endswith("bsds") else "mnist"
    folder = getattr(args, data)
    if folder is None:
        raise CaejaxError(f"{name} needs data: give --{data}=DIR, or leave it out")
    config.data.dir = str(folder.resolve())
    config.executor.name = args.executor
    config.executor.workers = args.workers
    config.data.limit = args.limit or config.data.limit
    config.train.epochs = args.epochs or config.train.epochs
    if args.seeds:
        config.sweep.seed["values"] = tuple(range(args.seeds))
    return config


def train_arm(name: str, args: argparse.Namespace) -> None:
    """Does what is left of an arm, and writes its CSV files.

    Raises:
      CaejaxError: runs failed.
    """
    config, folder = arm_config(name, args), args.runs / name
    print(f"{name}:", flush=True)
    rows = run_sweep(config, folder)
    records.write(config, folder, args.out, name)
    if args.references and name not in arms.AS_PRIMARY:
        found = measure_references(folder, args.references, REFERENCE_IMAGES)
        records.write_references(found, args.out, name)
    check_none_failed(rows, name, folder)


def write_all(args: argparse.Namespace) -> None:
    """Tables and figures of all arms that have CSV files."""
    # Slow to import, and of no use to worker processes.
    from experiments.checkerboard import figures, tables

    kept = {name: records.read(args.out, name) for name in arms.ARMS}
    kept = {name: arm for name, arm in kept.items() if arm is not None}
    if not kept:
        raise CaejaxError(f"{args.out} has no arm's CSV: run one first")
    write_atomically(args.out / "results.md", tables.report(kept))
    figures.draw(kept, args.out)
    for name in tables.primaries(kept):
        path = args.out / f"gallery_{name.removeprefix('primary_')}"
        file = path.with_suffix(".npz")
        samples = first_samples(args.runs / name)
        if samples:
            pictures.write(chosen(samples), file)
        shown = pictures.read(file)
        if shown:
            figures.gallery(shown, name, kept[name], path)


def first_samples(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """Pictures of each decoder's run of seed 0, where the runs are there."""
    if not (folder / "config.json").exists():
        return {}
    runs = expand(config_lib.from_json((folder / "config.json").read_text()))
    paths = {
        run.values[arms.DECODER]: folder / "runs" / run.id / "samples.npz"
        for run in runs
        if run.config.seed == 0
    }
    return {kind: dict(np.load(p)) for kind, p in paths.items() if p.exists()}


def repeat_arms(chosen: list[str], args: argparse.Namespace) -> int:
    """Repeats a share of the arms' runs; 1 if one does not agree."""
    lines, fine = [], True
    for name in chosen:
        kept = records.read(args.out, name)
        if kept is None:
            raise CaejaxError(f"{args.out} has no {name}.csv: run the arm first")
        config = arm_config(name, args)
        more, agrees = repeat.repeat(config, name, kept.rows, args.repeat)
        lines, fine = lines + more, fine and agrees
    print(to_markdown(repeat.HEADER, lines))
    print(f"all within {repeat.TOLERANCE:g}: {'yes' if fine else 'no'}")
    return 0 if fine else 1


def study(args: argparse.Namespace) -> int:
    """Does what the flags say; returns the exit code."""
    chosen = names(args.arms, arms.ARMS, "arms")
    args.references = parse_references(args.references.split(",") if chosen else ())
    any_arm = arms.arm(arms.ARMS[0], full=args.full)
    any_arm.executor.name = args.executor
    start_for(any_arm)  # all have the same batches
    if args.repeat:
        return repeat_arms(chosen, args)
    for name in chosen:
        arm_config(name, args)  # what is missing is said before anything is trained
    for name in chosen:
        train_arm(name, args)
        write_all(args)
    if not chosen:
        write_all(args)
    return 0


def main(argv: list[str] | None = None) -> int:
    """Runs the study; returns the exit code."""
    parser = create_parser(__doc__)
    parser.add_argument("--mnist", type=Path, help="folder of the four IDX files")
    parser.add_argument("--bsds", type=Path, help="folder of BSDS500's photographs")
    parser.add_argument("--arms", default="all", help="comma list; '' for none")
    parser.add_argument("--full", action="store_true", help="the whole grid, for a GPU")
    parser.add_argument("--executor", choices=EXECUTORS, default="processes")
    parser.add_argument("--workers", type=int, default=0, help="0: one a core")
    words = "estimators on the same noisy images, comma list; '' for none"
    parser.add_argument("--references", default="all", help=words)
    parser.add_argument("--seeds", type=int, default=0, help="so many of each arm")
    parser.add_argument("--limit", type=int, default=0, help="images, for a trial")
    parser.add_argument("--epochs", type=int, default=0, help="for a trial")
    parser.add_argument("--repeat", type=float, default=0, help="share of the runs")
    parser.add_argument("--runs", type=Path, help="by default runs/checkerboard")
    parser.add_argument("--out", type=Path, help="by default beside this file")
    args = parser.parse_args(argv)
    args.runs = args.runs or Path("runs/checkerboard" + "_full" * args.full)
    args.out = args.out or (HERE / "full" if args.full else HERE)
    return run_command(lambda: study(args), GOES_ON)


if __name__ == "__main__":
    sys.exit(main())
