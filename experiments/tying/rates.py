"""The tuned learning rates: chosen on validation images, held in rates.csv."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from caejax.files.csv_files import read_csv, write_csv
from experiments.shared.rows import Row, by_columns, done
from experiments.tying import plan
from experiments.tying.records import DECODER

RATE = "optimizer.learning_rate"
FILE = "rates.csv"
_KEY = ("data", "form", DECODER)


def choose(rows: Sequence[Row], data: str, form: str) -> list[Row]:
    """The best rate of each decoder of a tuning arm.

    That of the highest mean PSNR on validation images. A rate at which a run has
    failed or has no finite PSNR cannot win.

    Returns:
      A row a decoder: data, form, decoder, learning_rate; edge, "lowest" or "highest"
      where it is the end of what was tried; and psnr_RATE, the means.
    """
    found = []
    for (decoder,), some in by_columns(rows, [DECODER]).items():
        means = {}
        for (rate,), runs in by_columns(some, [RATE]).items():
            values = [float(r["val/psnr"]) for r in done(runs) if "val/psnr" in r]
            whole = len(values) == len(runs) and np.isfinite(values).all()
            means[float(rate)] = float(np.mean(values)) if whole else -np.inf
        if not np.isfinite(list(means.values())).any():
            continue  # not run yet, or diverged at every rate
        best = max(means, key=lambda rate: (means[rate], -rate))
        edge = {min(means): "lowest", max(means): "highest"}.get(best, "")
        row = {"data": data, "form": form, DECODER: decoder, "learning_rate": best}
        row |= {"edge": edge}
        row |= {f"psnr_{rate:g}": f"{x:.3f}" for rate, x in sorted(means.items())}
        found.append(row)
    return found


def keep(rows: Sequence[Row], out: Path) -> None:
    """Puts chosen rates into rates.csv, in place of earlier ones of the same."""
    new = {tuple(row[k] for k in _KEY) for row in rows}
    old = read_csv(out / FILE)
    left = [row for row in old if tuple(row[k] for k in _KEY) not in new]
    order = [(d, f, k) for d in plan.DATA for f in plan.FORMS for k in plan.KINDS]
    both = sorted([*left, *rows], key=lambda r: order.index(tuple(r[k] for k in _KEY)))
    write_csv(out / FILE, both)


def read(out: Path) -> plan.Rates:
    """The rates that are held, by data, form and kind."""
    return {
        (row["data"], row["form"], row[DECODER]): float(row["learning_rate"])
        for row in read_csv(out / FILE)
    }
