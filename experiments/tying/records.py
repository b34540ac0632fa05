"""From an arm's sweep folder to small CSV files, and back."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from caejax import config as config_lib
from caejax.files.atomic import read_rows, write_json
from caejax.files.csv_files import read_csv, write_csv
from caejax.metrics.groups import PREFIX
from caejax.metrics.table import PERIODS
from caejax.sweep.results import collect
from caejax.sweep.spec import SweepRun, expand
from experiments.checkerboard import residuals
from experiments.shared import rows as shared
from experiments.shared.rows import Row, done
from experiments.tying import plan

DECODER = "decoder"
FLOATS = ".5g"
_BY_PERIOD = (
    "test/dc_ripple_db",
    "test/dc_ripple_grey",
    "test/ripple_visibility",
    "test/ramp_ripple_db",
    "test/ramp_ripple_grey",
    "test/lattice_peak_db",
    "test/lattice_grey",
    "test/lattice_visibility",
    "test/phase_var_db",
    "test/phase_var_grey",
    "init/dc_ripple_grey",
)
MEASURES = ("test/psnr", "test/ssim", "test/shift_error_db", "test/shift_error_grey")
MEASURES += tuple(f"{name}_s{s}" for name in _BY_PERIOD for s in PERIODS)
OF_PHOTOGRAPHS = ("psnr", "ssim", "dc_ripple_grey_s8")
# Arms that a claim about other photographs is made of.
PRIMARY = ("plain", "unet_refine")
CELL = 16  # pixels of what is kept of a constant code's image
_ESTIMATOR = ("reference", "latent_size", "corruption.level", "seed", "images")
_ESTIMATOR += ("parameters", "tuned_on", "test/psnr", "test/ssim")
_MACHINE = ("python", "packages", "platform", "device", "backend", "cpu_cores")


class Kept(NamedTuple):
    """What is kept of an arm.

    Attributes:
      rows: a row a run: decoder, swept values, seed, status, and `MEASURES`;
        "val/psnr" at the end and "val/gain", what the last tenth of training added.
      about: how it was run.
      curves: by run and step, the ripple on validation images; of "plain" arms.
      photographs: by run and measure, a value a photograph; of `PRIMARY` arms.
      spectra: mean residual spectra by decoder; of "plain" arms.
      flats: by decoder, a constant code's image of the median seed in grey levels
        about its mean; of "plain" arms.
      references: other estimators on the same noisy images.
    """

    rows: list[Row]
    about: dict[str, Any]
    curves: list[Row]
    photographs: list[Row]
    spectra: residuals.Arrays
    flats: list[Row]
    references: list[Row]


def write(config: ConfigDict, folder: Path, out: Path, name: str) -> list[Row]:
    """Writes the CSV files of what an arm's folder holds; returns its rows.

    Of decoders that are finished in the files, and not begun in the folder, what is
    there is kept.
    """
    arm, runs = plan.ARMS[name], expand(config)
    found = collect(runs, folder / "runs")
    paths = [folder / "runs" / run.id for run in runs]
    begun = {_decoder(run) for run, path in zip(runs, paths, strict=True) if _any(path)}
    kept = finished(out, name) - begun
    out.mkdir(parents=True, exist_ok=True)

    def save(suffix, new, floats="", column=DECODER):
        path = out / f"{name}{suffix}.csv"
        both = [row for row in read_csv(path) if row[column] in kept]
        both += [row for row in new if row[column] not in kept]
        both.sort(key=lambda row: arm.decoders.index(row[column]))
        write_csv(path, both, floats)
        return both

    rows = list(map(_row, runs, found, paths))
    ended = [x for x in zip(runs, rows, paths, strict=True) if x[1]["status"] == "done"]
    if name.rpartition("_")[0] in PRIMARY:
        save("_photographs", _photographs(ended))
    if name.startswith("plain"):
        save("_steps", _curves(ended))
        spectra = residuals.rows((run, path / "samples.npz") for run, _, path in ended)
        save("_spectra", spectra, residuals.FLOATS, residuals.DECODER)
        save("_flats", _flats(ended), FLOATS)
    rows = save("", rows)  # last: what it says is finished is in the others, too
    write_json(out / f"{name}.json", _about(config, runs, rows, folder))
    return rows


def finished(out: Path, name: str) -> set[str]:
    """The decoders all of whose runs are done in an arm's CSV files."""
    arm, rows = plan.ARMS[name], read_csv(out / f"{name}.csv")
    if name.startswith("references") and not read_csv(out / f"{name}_references.csv"):
        return set()
    count = Counter(row[DECODER] for row in done(rows))
    return {x for x in arm.decoders if count[x] == arm.runs // len(arm.decoders)}


def _decoder(run):
    return plan.decoder_of(run.values["model.upsampling"])


def _any(path):
    return path.is_dir() and any(path.iterdir())


def write_references(rows: Sequence[Row], out: Path, name: str) -> None:
    """Writes NAME_references.csv of what `measure_references` found."""
    kept = [
        shared.rounded({k: row[k] for k in _ESTIMATOR if k in row}, FLOATS)
        for row in rows
    ]
    write_csv(out / f"{name}_references.csv", kept)


def read(out: Path, name: str) -> Kept | None:
    """Reads what `write` wrote; None where there is no such arm."""
    if not (out / f"{name}.csv").exists():
        return None

    def rows(suffix):
        return read_csv(out / f"{name}_{suffix}.csv")

    return Kept(
        read_csv(out / f"{name}.csv"),
        json.loads((out / f"{name}.json").read_text()),
        rows("steps"),
        rows("photographs"),
        residuals.read(out / f"{name}_spectra.csv"),
        rows("flats"),
        rows("references"),
    )


def _row(run: SweepRun, row: Row, folder: Path) -> Row:
    kept = {
        DECODER: _decoder(run),
        **{k: v for k, v in run.values.items() if k != "model.upsampling"},
        "status": row["status"],
    }
    if row["status"] == "done":
        kept |= {"params": row["params"], "steps": row["steps"]}
        kept |= _last_tenth(folder)
        kept |= {name: row[name] for name in MEASURES if name in row}
    return shared.rounded(kept, FLOATS)


def _val_rows(folder):
    return [r for r in read_rows(folder / "metrics.jsonl") if r["split"] == "val"]


def _last_tenth(folder):
    """PSNR on validation images at the end, and what the last epoch has added."""
    found = {row["epoch"]: row["psnr"] for row in _val_rows(folder) if "psnr" in row}
    epochs = sorted(found)
    if len(epochs) < 2:
        return {}
    last, before = (found[epochs[i]] for i in (-1, -2))
    return {"val/psnr": last, "val/gain": last - before}


def _curves(ended):
    columns = ("step", *(f"dc_ripple_grey_s{s}" for s in PERIODS))
    columns += tuple(f"dc_ripple_db_s{s}" for s in PERIODS)
    for _, row, folder in ended:
        for found in _val_rows(folder):
            values = {name: found[name] for name in columns if name in found}
            yield _whose(row) | shared.rounded(values, FLOATS)


def _whose(row):
    return {DECODER: row[DECODER], "seed": row["seed"]}


def _photographs(ended):
    for _, row, folder in ended:
        with np.load(folder / "samples.npz") as arrays:
            for measure in OF_PHOTOGRAPHS:
                values = arrays.get(PREFIX + measure)
                if values is not None:
                    numbers = {f"g{i}": float(x) for i, x in enumerate(values)}
                    numbers = shared.rounded(numbers, FLOATS)
                    yield _whose(row) | {"measure": measure} | numbers


def _flats(ended):
    """Of each decoder the seed whose ripple is the median's, or just below."""
    groups: dict[str, list] = {}
    for _, row, folder in ended:
        size = float(row["test/dc_ripple_grey_s8"])
        groups.setdefault(row[DECODER], []).append((size, row["seed"], folder))
    for decoder, found in groups.items():
        size, seed, folder = sorted(found)[(len(found) - 1) // 2]
        with np.load(folder / "samples.npz") as arrays:
            image = arrays["flat"][0].mean(-1)
        top, left = ((side - CELL) // 2 // 8 * 8 for side in image.shape)
        cell = 255 * (image - image.mean())[top : top + CELL, left : left + CELL]
        for line in cell:
            numbers = {f"x{i}": float(x) for i, x in enumerate(line)}
            yield {DECODER: decoder, "seed": seed, "grey": size} | numbers


def _about(config, runs, rows, folder):
    machine = json.loads((folder / "environment.json").read_text())
    settings = config_lib.one_run(runs[0].config).to_dict()
    del settings["data"]["dir"], settings["seed"]
    return {
        "runs": len(runs),
        "done": len(done(rows)),
        "machine": {name: machine[name] for name in _MACHINE},
        "config_of_first_run": settings,
    }


def by_seed(rows: Iterable[Row], measure: str) -> dict[tuple[str, int], float]:
    """A measure's values by decoder and seed, of done runs that have a finite one."""
    return {
        (row[DECODER], row["seed"]): float(row[measure])
        for row in rows
        if row["status"] == "done" and is_finite(row.get(measure))
    }


def is_finite(value: Any) -> bool:
    """Whether a cell holds a number, and a finite one."""
    return value not in (None, "") and math.isfinite(float(value))
