"""Keeps here what the quickstart has made, and enough of it to draw its figure again.

python -m experiments.quickstart.keep --workdir=runs/quickstart   (or --redraw)
"""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from caejax.config.ids import setting_id
from caejax.files.atomic import read_json
from caejax.files.csv_files import read_csv, write_csv
from caejax.report import patterns
from caejax.report.denoisers import denoisers
from caejax.report.figures import comparable_runs, setting_of_compared
from caejax.report.read import RunFiles, SweepFiles, read_sweep
from caejax.report.style import paper_style, save
from caejax.report.tables import sweep_table, to_markdown
from caejax.runtime.parsers import create_parser

HERE = Path(__file__).parent
DRAWN = HERE / "drawn"  # what the first two figures are of, as a sweep's folder
REDRAWN = ("denoisers", "gallery")
FIGURES = (*REDRAWN, "dc_ripple_steps")
FIELDS = ["model.upsampling", "seed"]
COLUMNS = (
    "test/psnr",
    "test/psnr_noisy",
    "test/ssim",
    "test/dc_ripple_grey_s8",
    "test/lattice_grey_s2",
    "test/lattice_grey_s8",
    "params",
)
_SHOWN = 4  # examples
_EXAMPLES = ("target", "input", "output", "flat")
_ARRAYS = (*_EXAMPLES, "gallery_input", "gallery_output", "gallery_ripple")
LIGHT_GREY = 3  # of the gallery


def main(argv: Sequence[str] | None = None) -> int:
    """Copies it; returns the exit code."""
    parser = create_parser("experiments.quickstart.keep", __doc__)
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--workdir", type=Path, metavar="DIR")
    text = "draw the figures anew of what is kept, as their style has changed"
    chosen.add_argument("--redraw", action="store_true", help=text)
    flags = parser.parse_args(argv)
    if flags.redraw:
        draw(HERE)
    else:
        _keep(flags.workdir)
        print(table())
    return 0


def draw(folder: Path) -> None:
    """Draws the figures of what is kept into a folder, as the command draws them."""
    sweep = _whole(read_sweep(DRAWN))
    runs = comparable_runs(sweep)
    setting = setting_of_compared(sweep, runs)
    with paper_style():
        save(denoisers(sweep), folder / "denoisers")
        save(patterns.gallery(runs, setting), folder / "gallery")


def _whole(kept: SweepFiles):
    """The sweep with the rows of the runs, too, that no figure shows: of all seeds."""
    rows = read_csv(HERE / "results.csv", FIELDS)
    bare = {row["run_id"]: RunFiles({}, {}, [], {}) for row in rows}
    return kept._replace(rows=rows, runs=bare | kept.runs)


def _keep(workdir):
    for name in ("results.csv", "references.csv"):
        shutil.copyfile(workdir / name, HERE / name)
    for name in FIGURES:
        shutil.copyfile(workdir / "figures" / f"{name}.png", HERE / f"{name}.png")
    shutil.rmtree(DRAWN, ignore_errors=True)
    _keep_drawn(workdir, read_sweep(workdir))


def _keep_drawn(workdir, sweep: SweepFiles):
    runs = comparable_runs(sweep)
    names = [name for name, run in sweep.runs.items() if run in runs.values()]
    setting = setting_id(next(iter(runs.values())).config)
    rows = [row for row in read_csv(workdir / "results.csv") if row["run_id"] in names]
    DRAWN.mkdir()
    write_csv(DRAWN / "results.csv", rows)
    rows = read_csv(workdir / "references.csv")
    write_csv(
        DRAWN / "references.csv", [row for row in rows if row["setting"] == setting]
    )
    shutil.copyfile(workdir / "config.json", DRAWN / "config.json")
    for path in sorted((workdir / "references" / setting).glob("*.npz")):
        _keep_arrays(path, DRAWN / "references" / setting / path.name, ("output",))
    for name in names:
        run, kept = workdir / "runs" / name, DRAWN / "runs" / name
        _keep_arrays(run / "samples.npz", kept / "samples.npz", _ARRAYS)
        for file in ("config.json", "summary.json"):
            shutil.copyfile(run / file, kept / file)


def _keep_arrays(path, kept, names):
    with np.load(path) as arrays:
        shown = {
            name: arrays[name][:_SHOWN] if name in _EXAMPLES else arrays[name]
            for name in names
        }
    kept.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(kept, **shown)


def table() -> str:
    """The table of README.md, from the CSV files beside it."""
    rows = read_csv(HERE / "results.csv", FIELDS)
    references = read_csv(HERE / "references.csv", FIELDS)
    config = read_json(DRAWN / "config.json")
    sweep = SweepFiles(config, FIELDS, rows, {}, references)
    return to_markdown(*sweep_table(sweep, COLUMNS))


if __name__ == "__main__":
    sys.exit(main())
