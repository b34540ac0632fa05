"""Diagnoses published architectures as they are initialised: which can checkerboard.

    python -m experiments.audit.study

writes results.csv, a row an architecture, places.csv, a row a place that enlarges, and
results.md with the figure. Rows that are there are kept, so that a stopped study goes
on, and one architecture is done again once its row is taken out.
"""

import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from caejax.files.csv_files import read_csv, write_csv
from experiments.audit import architectures, figures, records, tables
from experiments.audit.architectures import Architecture
from experiments.audit.called import declare_operators
from experiments.shared.commands import create_parser
from experiments.shared.rows import rounded

HERE = Path(__file__).parent
SEEDS = 3

Diagnose = Callable[[Architecture, int], tuple[dict[str, Any], set[str]]]


def main() -> None:
    """Reads the command line, and does what is left to do."""
    parser = create_parser(__doc__ or "", HERE)
    parser.add_argument("--only", default="all", help="names of architectures")
    flags = parser.parse_args()
    run(architectures.named(flags.only), flags.out, diagnosed)


def run(chosen: Sequence[Architecture], out: Path, diagnose: Diagnose) -> None:
    """Diagnoses those that have no row yet, and writes the tables after each.

    Args:
      chosen: the architectures.
      out: the folder of results.
      diagnose: makes the diagnosis of an architecture and a seed, and the names of
        its layers that have biases.
    """
    rows, places = _read(out / "results.csv"), _read(out / "places.csv")
    there = {row["architecture"] for row in rows}
    for one in chosen:
        if one.name in there:
            continue
        row, own = _audited(one, diagnose)
        print(f"{one.name}: {row['status']}, {row['ripple_db']} dB", flush=True)
        rows.append(rounded(row, ".4g"))
        # Of one whose row was taken out, or is not there yet, the old are left out.
        places = [x for x in places if x["architecture"] != one.name]
        places += [rounded(x, ".4g") for x in own]
        if places:
            write_csv(out / "places.csv", places)
        write_csv(out / "results.csv", rows)
    # As they are read back: numbers as numbers.
    rows, places = _read(out / "results.csv"), _read(out / "places.csv")
    (out / "results.md").write_text(tables.write(rows, places))
    figures.draw(rows, out)


def _read(path):
    if not path.exists():
        return []
    # Cells that are empty are left out by the reader.
    empty = dict.fromkeys(path.read_text().split("\n", 1)[0].split(","), "")
    return [empty | row for row in read_csv(path)]


def _audited(one, diagnose):
    """Its row, and those of its places; what goes wrong is its status."""
    began = time.process_time()
    try:
        found = [diagnose(one, seed) for seed in range(SEEDS)]
        diagnoses = [x for x, _ in found]
        own = records.place_rows(one.name, diagnoses, found[0][1])
        row = records.architecture_row(
            *one[:3], diagnoses, own, time.process_time() - began
        )
    except Exception as error:  # a row says so, and the study goes on
        traceback.print_exc()
        said = str(error).strip().split("\n")[0][:200]
        row = records.blank(*one[:3])
        return row | {"status": "failed", "why": f"{type(error).__name__}: {said}"}, []
    return row, own


def diagnosed(one: Architecture, seed: int) -> tuple[dict[str, Any], set[str]]:
    """Builds an architecture with a seed, and diagnoses it."""
    import torch

    import caejax

    declare_operators()
    torch.manual_seed(seed)
    module, inputs = one.build()
    found = caejax.diagnose(module, inputs)
    layers = module.named_modules()
    biased = {name for name, x in layers if getattr(x, "bias", None) is not None}
    return found, biased


if __name__ == "__main__":
    main()
