"""What it costs to mend trained decoders, and what training them further wins back.

    python -m experiments.fixing.study --data=DIR [--runs=DIR] [--out=DIR]

DIR holds MNIST's four IDX files. Of each kind and seed a model is trained, mended by
`caejax fix`, and trained further twice: mended, with its phases tied, and as it was,
untied, by as many steps. Writes results.csv, a row for each, after each of them, and
from that results.md and the figure; the same command goes on where it was stopped.
Where no row is missing it trains nothing, and needs no data.
"""

import argparse
import shutil
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from caejax.config.load import load_config
from caejax.errors import CaejaxError
from caejax.files.csv_files import read_csv, write_csv
from caejax.files.finished import read_summary
from caejax.files.paths import expand
from caejax.fix import fix_file
from caejax.fix.runs import TIED
from caejax.runtime.startup import start
from caejax.runtime.stopping import run_command
from caejax.training.loop import train
from experiments.fixing import figures, tables
from experiments.shared.commands import GOES_ON, create_parser
from experiments.shared.rows import Row, rounded, select

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


def study(args: argparse.Namespace) -> int:
    """Does what is missing; returns the exit code."""
    args.runs, args.out = expand(args.runs, "--runs"), expand(args.out, "--out")
    args.data = args.data and expand(args.data, "--data")
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "results.csv"
    rows: list[dict[str, Any]] = list(read_csv(path)) if path.exists() else []
    kinds = KINDS[:1] if args.trial else KINDS
    wanted = [(x, n) for n in range(2 if args.trial else SEEDS) for x in kinds]
    missing = [x for x in wanted if not select(rows, kind=x[0], seed=x[1])]
    if missing and args.data is None:
        raise CaejaxError(
            f"{path} lacks {len(missing)} of {len(wanted)} models; give --data=DIR, "
            "MNIST's IDX files, to train them"
        )
    for kind, seed in missing:
        rows.append(rounded(measure(kind, seed, args), ".6g"))
        write_csv(path, rows)
    kept = read_csv(path)
    (args.out / "results.md").write_text(tables.write(kept))
    figures.draw(kept, _setting(args.trial), args.out)
    return 0


def _setting(trial):
    """What the models were trained on, and how, in the figure's words."""
    epochs, further = (1, 1) if trial else (EPOCHS, FURTHER)
    corruption = load_config("quickstart").corruption
    return (
        f"MNIST, {IMAGES:,} images, {corruption.name} noise {corruption.level}, "
        f"{epochs} epochs, further training {further} more"
    )


def main(argv: list[str] | None = None) -> int:
    """Reads the command line, and does it."""
    parser = create_parser(__doc__, out=HERE)
    parser.add_argument("--data", type=Path, help="MNIST's IDX files")
    parser.add_argument("--runs", type=Path, default=Path("runs/fixing"))
    words = "one kind, two seeds, two epochs: to see that it runs"
    parser.add_argument("--trial", action="store_true", help=words)
    args = parser.parse_args(argv)
    start()
    return run_command(lambda: study(args), GOES_ON)


if __name__ == "__main__":
    raise SystemExit(main())
