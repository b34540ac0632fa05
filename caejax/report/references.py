"""References and other noise levels: rows of tables, and the noise matrix."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from caejax.metrics.table import formatted, title
from caejax.report.decoders import styles
from caejax.report.fields import DECODER
from caejax.report.figures import QUALITY, below
from caejax.report.read import RunFiles, SweepFiles
from caejax.report.style import COLUMN, PAGE, head
from caejax.terminal.tables import print_table

Row = dict[str, Any]

ESTIMATOR = "estimator"  # the column that says what a row is of
KINDS = {  # of models, by encoder
    "conv": "autoencoder",
    "layers": "autoencoder",
    "dense": "dense autoencoder",
    "tied_dense": "tied autoencoder",
}
_PANEL = 2.2  # inches, at least
_SHOWN = ("test/psnr", "test/ssim")
_HEADER = ["reference", "corruption", "seed", "tuned", "tuned on", *map(title, _SHOWN)]


def with_references(sweep: SweepFiles) -> tuple[list[str], list[Row]]:
    """A sweep's rows with those of its references.

    Returns:
      The fields of its settings, seed left out, and the rows. Where there are
      references, the first field is `ESTIMATOR`: the reference's name, or what kind of
      model it is, by its encoder. What a reference does not depend on is empty, so the
      decoder is.
    """
    fields = [field for field in sweep.fields if field != "seed"]
    if not sweep.references:
        return fields, list(sweep.rows)
    fields = [ESTIMATOR, *fields]
    rows = [
        row | {ESTIMATOR: KINDS.get(kind, kind)}
        for row in sweep.rows
        for kind in [row.get("model.encoder") or _kind(sweep, row)]
    ]
    blank = dict.fromkeys(fields, "") | {"status": "done"}
    references = [blank | row | {ESTIMATOR: _name(row)} for row in sweep.references]
    return fields, [*rows, *references]


def _kind(sweep, row):
    """The kind of a run's model, which in a sweep of whole configs is its own."""
    run = sweep.runs.get(row.get("run_id"))
    configs = [run.config] if run else []
    kinds = [x.get("model", {}).get("encoder") for x in [*configs, sweep.config]]
    return next(filter(None, kinds), "model")


def run_table(run: RunFiles) -> tuple[list[str], list[list[str]]]:
    """Header and cells: a line for a run and for each of its references, if any."""
    if not run.references:
        return [], []
    corruption = {f"corruption.{k}": v for k, v in run.config["corruption"].items()}
    own = {"seed": run.config["seed"]} | corruption | run.summary
    lines = [["this model", *_cells(own)]]
    return _HEADER, lines + [[_name(row), *_cells(row)] for row in run.references]


def _cells(row):
    """What `_HEADER` has behind the name."""
    return [
        f"{row['corruption.name']} {row['corruption.level']}",
        str(row["seed"]),
        row.get("parameters", ""),
        str(row.get("tuned_on", "")),
        *(formatted(name, row[name]) if name in row else "" for name in _SHOWN),
    ]


def _name(row):
    name = row["reference"]
    if "latent_size" in row:
        name += f" ({row['latent_size']:,} numbers)"
    if row["images"] < row["test_images"]:
        name += f" ({row['images']:,} images)"
    return name


def print_references(rows: Sequence[Row]) -> None:
    """Prints rows of references.csv, if any."""
    if not rows:
        return
    lines = [_HEADER, *([_name(row), *_cells(row)] for row in rows)]
    # Where room is short, what the values are of is left out before they are.
    header, *lines = [[line[0], *line[-2:], *line[1:-2]] for line in lines]
    print_table(header, lines)


def print_levels(rows: Sequence[Row]) -> None:
    """Prints the mean PSNR by training and test level."""
    for name, (train, test, psnr) in _matrices(rows).items():
        print_table(
            ("trained at", *map(str, test)),
            [
                (str(level), *(f"{x:.2f}" for x in line))
                for level, line in zip(train, psnr, strict=True)
            ],
            above=f"{title(QUALITY)}, {name}",
        )


def noise_matrix(rows: Sequence[Row], setting: str, width: float = PAGE) -> Figure:
    """PSNR by training and test level, a panel for each corruption and decoder.

    Means over all else. Where all models were trained at one level, curves.

    Args:
      rows: the rows of levels.csv.
      setting: what the models share, a line above.
      width: inches, at most.
    """
    matrices = _matrices(rows)
    if all(len(train) == 1 for train, *_ in matrices.values()):
        return _curves(rows, matrices, setting)
    columns = min(len(matrices), max(1, int(width / _PANEL)))
    lines = -(-len(matrices) // columns)
    figure, axes = plt.subplots(
        lines, columns, figsize=(width, 2.2 * lines), squeeze=False
    )
    known = np.concatenate([psnr.ravel() for *_, psnr in matrices.values()])
    low, high = np.nanmin(known), np.nanmax(known)
    for axis, (name, (train, test, psnr)) in zip(
        axes.flat, matrices.items(), strict=False
    ):
        image = axis.imshow(psnr, "viridis", vmin=low, vmax=high, aspect="auto")
        for (i, j), value in np.ndenumerate(psnr):
            color = "white" if value < (low + high) / 2 else "black"
            text = "" if np.isnan(value) else f"{value:.1f}"
            axis.text(j, i, text, color=color, ha="center", va="center")
        axis.set_xticks(range(len(test)), map(str, test))
        axis.set_yticks(range(len(train)), map(str, train))
        axis.set(title=name, xlabel="test noise level", ylabel="train noise level")
        axis.grid(False)
    for axis in axes.flat[len(matrices) :]:
        axis.axis("off")
    figure.colorbar(image, ax=axes, label=f"test {title(QUALITY)}")
    head(figure, setting)
    return figure


def _curves(rows, matrices, setting):
    figure, axis = plt.subplots(figsize=(COLUMN, 2.6 + 0.3 * len(matrices)))
    noisy = _matrices(rows, "test/psnr_noisy")
    looks = styles(list(matrices))
    for name, (train, test, psnr) in matrices.items():
        style = looks[name]
        axis.plot(test, psnr[0], label=f"{name}, trained at {train[0]}", **style)
        axis.axvline(train[0], color=style["color"], linewidth=0.6)
        style |= {"linestyle": ":", "marker": ""}
        # Nothing added, nothing to recover: a PSNR of 100 dB would hide the rest.
        shown = [(x, y) for x, y in zip(test, noisy[name][2][0], strict=True) if y < 60]
        axis.plot(*zip(*shown, strict=True), label=f"{name}, input itself", **style)
    axis.set(xlabel="test noise level", ylabel=f"test {title(QUALITY)}")
    handles, names = axis.get_legend_handles_labels()
    figure.legend(handles, names, **below(names, COLUMN))
    head(figure, setting)
    return figure


def _matrices(rows, wanted=QUALITY):
    """By panel: train levels, test levels, and means of a value (train, test)."""
    panels: dict[str, list[Row]] = {}
    decoders = {row.get(DECODER, "") for row in rows}
    for row in rows:
        name = row["corruption.name"]
        if len(decoders) > 1:
            name += f", {row.get(DECODER, '')}"
        panels.setdefault(name, []).append(row)
    return {name: _matrix(panel, wanted) for name, panel in panels.items()}


def _matrix(rows, wanted):
    train, test = (
        sorted({row[name] for row in rows}) for name in ("train_level", "test_level")
    )
    values = np.full((len(train), len(test)), np.nan)
    for i, j in np.ndindex(values.shape):
        levels = train[i], test[j]
        found = [
            r[wanted]
            for r in rows
            if (r["train_level"], r["test_level"]) == levels and wanted in r
        ]
        if found:
            values[i, j] = np.mean(found)
    return train, test, values
