"""Tying the phases of upsampling: where it is free, and where it costs something.

    python -m experiments.tying.study --mnist=DIR --bsds=DIR --minutes=N
        [--arms=plain_bsds,...] [--decoders=deconv_k3,...] [--full] [--runs=DIR]
        [--out=DIR] [--repeat=0.02]

Arms are done in the order of `experiments.tying.plan`, the most important first, a
decoder after the other; the same command goes on where it was stopped. Decoders whose
runs are done in the CSV files are not done again, so that another machine goes on with
these files alone. They are written after each decoder, rates.csv after each arm that
tunes rates, all tables and figures at the end. `--arms=` writes these from the CSV
files alone, and needs no data.

Commands with other `--decoders` and another `--out` may share one `--runs` and one GPU;
the command for all decoders then finds the runs done, and writes what is to be written.
"""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from ml_collections import ConfigDict

from caejax.data.bsds500 import CBSD68
from caejax.errors import CaejaxError
from caejax.evaluation.references import measure_references, parse_references
from caejax.files.csv_files import read_csv
from caejax.files.paths import expand as expand_path
from caejax.report.tables import to_markdown
from caejax.runtime.stopping import run_command
from caejax.sweep.executors import start_for
from caejax.sweep.run import run_sweep
from caejax.sweep.spec import SweepRun
from experiments.shared.commands import GOES_ON, create_parser, names
from experiments.tying import plan, rates, records, times

HERE = Path(__file__).parent
DECODERS = (*plan.KINDS, *plan.MIXED)


def photographs(source: Path, links: Path) -> Path:
    """A folder of links to BSDS500 as the study parts it.

    Train and test are those of the data set. Of its validation images those of CBSD68
    are left out, since nothing is to be tuned on what denoisers are tested on.

    Raises:
      CaejaxError: the folder lacks a part.
    """
    for part in ("train", "val", "test"):
        found = sorted((source / part).glob("*.jpg"))
        if not found:
            raise CaejaxError(
                f"{source / part} has no .jpg: give --bsds the folder of BSDS500's "
                "train, val and test"
            )
        (links / part).mkdir(parents=True, exist_ok=True)
        for path in found:
            link = links / part / path.name
            if not (part == "val" and path.stem in CBSD68) and not link.is_symlink():
                link.symlink_to(path.resolve())
    return links


def arm_config(name: str, args: argparse.Namespace) -> ConfigDict:
    """An arm with its data, and cut by the flags of a trial.

    Raises:
      CaejaxError: the folder of its data is not given, or a rate is not tuned.
    """
    arm = plan.ARMS[name]
    folder = _folder(arm.data, args)
    tuned, widths = rates.read(args.out), times.read(args.out)
    config = plan.config(arm, folder, tuned, widths, full=args.full)
    config.data.limit = args.limit
    if args.epochs:
        config.train.steps_per_epoch = 2
        config.train.epochs = args.epochs
        config.optimizer.warmup_steps = 1
    if args.seeds:
        config.sweep.seed["values"] = config.sweep.seed["values"][: args.seeds]
    return config


def _folder(data, args):
    given = getattr(args, data)
    if given is None:
        raise CaejaxError(f"arms of {data} need --{data}=DIR, or leave them out")
    if data == "bsds":
        return photographs(given, args.runs / "photographs").resolve()
    return given.resolve()


def do_arm(name: str, args: argparse.Namespace) -> None:
    """Does what is left of an arm, decoder after decoder, and keeps its CSV files."""
    arm, folder = plan.ARMS[name], args.runs / name
    if arm.equal == "time" and not (args.out / times.FILE).exists():
        times.write(args.out)
    config = arm_config(name, args)
    rows = read_csv(args.out / f"{name}.csv")
    for only in _one_by_one(arm, args):
        try:
            run_sweep(config, folder, only=only)
        finally:
            if (folder / "environment.json").exists():
                rows = records.write(config, folder, args.out, name)
    if arm.rates:
        rates.keep(rates.choose(rows, arm.data, arm.form), args.out)
    if name.startswith("references") and args.references and folder.exists():
        found = measure_references(folder, args.references)
        records.write_references(found, args.out, name)
    failed = sum(row["status"] == "failed" for row in rows)
    print(f"{name}: {len(rows)} runs, {failed} failed", flush=True)


def _one_by_one(arm: plan.Arm, args: argparse.Namespace) -> Iterator:
    finished = records.finished(args.out, arm.name)  # on whatever machine
    for decoder in arm.decoders:
        if decoder in finished or decoder not in args.decoders:
            continue
        print(f"{arm.name}: {decoder}", flush=True)

        def only(run: SweepRun, decoder: str = decoder) -> bool:
            return plan.decoder_of(run.values["model.upsampling"]) == decoder

        yield only


def write_all(args: argparse.Namespace) -> None:
    """Tables and figures of all arms that have CSV files.

    Raises:
      CaejaxError: there are none.
    """
    from experiments.tying import figures, tables  # slow to import

    kept = {name: records.read(args.out, name) for name in plan.ARMS}
    kept = {name: arm for name, arm in kept.items() if arm is not None}
    if not kept:
        raise CaejaxError(f"{args.out} has no arm's CSV: run one first")
    tables.write(kept, args.out)
    figures.draw(kept, args.out)


def repeat_arms(chosen: list[str], args: argparse.Namespace) -> int:
    """Repeats a share of the arms' runs from nothing; 1 if one does not agree."""
    from experiments.tying import repeat

    lines, fine = [], True
    for name in chosen:
        kept = records.read(args.out, name)
        if kept is not None:
            config = arm_config(name, args)
            more, agrees = repeat.repeat(config, name, kept.rows, args.repeat)
            lines, fine = lines + more, fine and agrees
    print(to_markdown(repeat.HEADER, lines))
    print(f"all within {repeat.TOLERANCE:g}: {'yes' if fine else 'no'}")
    return 0 if fine else 1


def study(args: argparse.Namespace) -> int:
    """Does what the flags say; returns the exit code."""
    chosen = names(args.arms, plan.ARMS, "arms")
    args.decoders = names(args.decoders, DECODERS, "decoders")
    for flag in ("mnist", "bsds", "runs", "out"):
        if (path := getattr(args, flag)) is not None:
            setattr(args, flag, expand_path(path, f"--{flag}"))
    args.references = parse_references(
        args.references.split(",") if args.references and chosen else ()
    )
    if not chosen:
        write_all(args)
        return 0
    for name in chosen:
        _folder(plan.ARMS[name].data, args)  # said before anything is trained
    any_arm = plan.base("bsds", "plain")
    any_arm.train.batch_size = 64 if args.full else plan.BATCH
    start_for(any_arm)
    if args.repeat:
        return repeat_arms(chosen, args)
    if args.minutes:
        stop = threading.Timer(
            60 * args.minutes, os.kill, (os.getpid(), signal.SIGTERM)
        )
        stop.daemon = True
        stop.start()
    for name in chosen:
        do_arm(name, args)
    if args.decoders == list(DECODERS):
        write_all(args)
    return 0


def main(argv: list[str] | None = None) -> int:
    """Runs the study; returns the exit code."""
    parser = create_parser(__doc__)
    parser.add_argument("--mnist", type=Path, help="folder of the four IDX files")
    parser.add_argument("--bsds", type=Path, help="folder of BSDS500's photographs")
    parser.add_argument("--arms", default="all", help="comma list; '' for none")
    words = "stop after so many, as Ctrl-C does; 0: when all is done"
    parser.add_argument("--minutes", type=float, default=0, help=words)
    parser.add_argument("--full", action="store_true", help="for a GPU")
    words = "estimators on the same noisy images, comma list; '' for none"
    parser.add_argument("--references", default="all", help=words)
    parser.add_argument("--repeat", type=float, default=0, help="share of the runs")
    words = "comma list: the arms' runs of these alone"
    parser.add_argument("--decoders", default="all", help=words)
    parser.add_argument("--seeds", type=int, default=0, help="the first N, a trial")
    parser.add_argument("--limit", type=int, default=0, help="images, for a trial")
    parser.add_argument("--epochs", type=int, default=0, help="of 2 steps, a trial")
    parser.add_argument("--runs", type=Path, help="by default runs/tying")
    parser.add_argument("--out", type=Path, help="by default beside this file")
    args = parser.parse_args(argv)
    args.runs = args.runs or Path("runs/tying" + "_full" * args.full)
    args.out = args.out or (HERE / "full" if args.full else HERE)
    return run_command(lambda: study(args), GOES_ON)


if __name__ == "__main__":
    sys.exit(main())
