"""What it costs to mend trained decoders, and what training them further wins back.

    python -m experiments.fixing.study --data=DIR [--runs=DIR] [--out=DIR]

DIR holds MNIST's four IDX files. Of each kind and seed a model is trained, mended by
`caejax fix`, and trained further twice: mended, with its phases tied, and as it was,
untied, by as many steps. Writes results.csv, a row for each, after each of them, and
results.md; the same command goes on where it was stopped.
"""

import argparse
import shutil
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from caejax.config.load import load_config
from caejax.files.csv_files import read_csv, write_csv
from caejax.files.finished import read_summary
from caejax.files.paths import expand
from caejax.fix import fix_file
from caejax.fix.runs import TIED
from caejax.report.tables import to_markdown
from caejax.runtime.startup import start
from caejax.runtime.stopping import run_command
from caejax.training.loop import train
from experiments.shared.cells import mean_and_interval
from experiments.shared.commands import GOES_ON, create_parser
from experiments.shared.rows import Row, distinct, rounded, select

HERE = Path(__file__).parent
KINDS = ("deconv_k4", "shuffle_k3", "shuffle_icnr")
KINDS += ("deconv_k2", "deconv_k3", "deconv_k5", "deconv_k6")  # without a tied kind
SEEDS = 5
EPOCHS, FURTHER = 6, 2
IMAGES = 12_000
_GREYS = ("grey_s2", "grey_s4", "grey_s8")


def config_of(kind: str, seed: int, data: Path, epochs: int) -> ConfigDict:
    """The quickstart's model and training, on MNIST."""
    config = load_config("quickstart")
    config.sweep, config.references = {}, ()
    config.data.source, config.data.name = "idx", "mnist"
    config.data.dir, config.data.limit = str(data), IMAGES
    config.model.upsampling = kind
    config.train.epochs = epochs
    config.train.probe_steps = ()
    config.seed = seed
    return config


def measure(kind: str, seed: int, args: argparse.Namespace) -> Row:
    """Trains, mends and trains further; a row of PSNR in dB and ripple."""
    epochs, further = (1, 1) if args.trial else (EPOCHS, FURTHER)
    folder = args.runs / kind / str(seed)
    trained = train(config_of(kind, seed, args.data, epochs), folder / "trained")
    mended = folder / "mended"
    for begun in (mended, folder / "mended-tuned"):
        shutil.rmtree(begun, ignore_errors=True)  # of a command that was stopped
    tuned = kind in TIED
    record = fix_file(folder / "trained", mended, finetune=further if tuned else 0)
    after = read_summary(mended)
    row = {
        "kind": kind,
        "seed": seed,
        "psnr": trained["test/psnr"],
        "mended_psnr": after["test/psnr"],
        "ripple_db": record["ripple_before_db"],
        "mended_ripple_db": record["ripple_after_db"],
        "ripple_grey": _grey(trained),
        "mended_ripple_grey": _grey(after),
        "tied_psnr": None,
        "tied_ripple_db": None,
        "untied_psnr": None,
        "untied_ripple_grey": None,
    }
    if tuned:
        control = config_of(kind, seed, args.data, further)
        control.train.start_from = str((folder / "trained").resolve())
        untied = train(control, folder / "untied")
        row |= {
            "tied_psnr": record["quality"]["finetuned_psnr_db"],
            "tied_ripple_db": record["quality"]["finetuned_ripple_db"],
            "untied_psnr": untied["test/psnr"],
            "untied_ripple_grey": _grey(untied),
        }
    return row


def _grey(summary):
    """The largest ripple of a period, in grey levels of 255."""
    return max(summary[f"test/dc_ripple_{name}"] for name in _GREYS)


def write_table(rows: list[Row], out: Path) -> None:
    """Means over seeds, and Student's 95 % intervals of paired differences."""
    lines = []
    for kind in distinct(rows, "kind"):
        own = select(rows, kind=kind)
        tied = own if kind in TIED else []
        lines.append(
            [
                kind,
                str(len(own)),
                mean_and_interval([row["ripple_grey"] for row in own], ".3g"),
                mean_and_interval([row["psnr"] for row in own]),
                _differences(own, "mended_psnr", "psnr"),
                _differences(tied, "tied_psnr", "untied_psnr"),
                _differences(tied, "tied_psnr", "psnr"),
                f"{max(row['mended_ripple_db'] for row in own):.0f} dB",
            ]
        )
    header = [
        "kind",
        "seeds",
        "ripple, grey levels",
        "PSNR, dB",
        "mended",
        "tied, against untied",
        "tied, against before",
        "largest ripple mended",
    ]
    (out / "results.md").write_text(to_markdown(header, lines) + "\n")


def _differences(rows, name, other):
    if not rows:
        return ""
    return mean_and_interval([row[name] - row[other] for row in rows], "+.3f")


def study(args: argparse.Namespace) -> int:
    """Does what is missing; returns the exit code."""
    args.data, args.runs, args.out = (
        expand(getattr(args, name), f"--{name}") for name in ("data", "runs", "out")
    )
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "results.csv"
    rows: list[dict[str, Any]] = list(read_csv(path)) if path.exists() else []
    kinds = KINDS[:1] if args.trial else KINDS
    for seed in range(2 if args.trial else SEEDS):
        for kind in kinds:
            if not select(rows, kind=kind, seed=seed):
                rows.append(rounded(measure(kind, seed, args), ".6g"))
                write_csv(path, rows)
    write_table(read_csv(path), args.out)
    return 0


def main(argv: list[str] | None = None) -> int:
    """Reads the command line, and does it."""
    parser = create_parser(__doc__, out=HERE)
    parser.add_argument("--data", type=Path, required=True, help="MNIST's IDX files")
    parser.add_argument("--runs", type=Path, default=Path("runs/fixing"))
    words = "one kind, two seeds, two epochs: to see that it runs"
    parser.add_argument("--trial", action="store_true", help=words)
    args = parser.parse_args(argv)
    start()
    return run_command(lambda: study(args), GOES_ON)


if __name__ == "__main__":
    raise SystemExit(main())
