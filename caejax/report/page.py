"""report.html: one self-contained page for a sweep or a run."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from caejax import __version__
from caejax.files.atomic import write_atomically
from caejax.report import findings, references, tables
from caejax.report.figures import label
from caejax.report.panels import CHART, panels, png
from caejax.report.read import RunFiles, SweepFiles, read_environment
from caejax.terminal.lines import printable

CAPTIONS = {
    "denoisers": "Test images, corrupted, and what denoisers that are not trained "
    "(tuned on validation images) and each decoder make of them, with PSNRs over the "
    "test split; the part of the first image that has most in it, enlarged; and what "
    "each model makes of a flat grey image and of a ramp, to which no noise was added: "
    "the number is the RMS of the pattern on the flat one, in grey levels.",
    "checkerboard": "Test images, and below what each decoder makes of a constant "
    "code: it ought to be flat. All runs share the other swept values.",
    "dc_ripple_steps": "DC ripple while training: mean and range over all runs.",
    "residual_spectrum": "Mean power spectrum of the test residuals. Rings mark the "
    "frequencies at which only a pattern of that period can put a peak.",
    "phase_means": "Mean test residual of every phase of the longest period: without "
    "a checkerboard they are alike.",
    "gallery": "Flat colours and gradients, what each model makes of them, and the "
    "ripple in that: its linear output without the trend.",
    "reconstructions": "Test images: target, corrupted input and output.",
    "curves": "Loss, PSNR and checkerboards while training.",
    "noise_matrix": "PSNR of models trained at one noise level and tested at another, "
    "mean over all their other settings.",
}
_FACTS = {
    "params": "parameters",
    "epochs": "epochs",
    "steps": "steps",
    "train_seconds": "seconds of training",
}
_CAPTION = "Mean over seeds; bars are their range."
_CSS_PER_INCH = 150  # a printed page's 6.75 inches are the page's width
_DPI = 200  # dots per inch of the figures' PNG files
_ALL_PANELS = 100  # of more runs, only one a setting is shown

Table = tuple[Sequence[str], Sequence[Sequence[str]]]


def write_sweep(workdir: Path, sweep: SweepFiles, figures: Sequence[str]) -> None:
    """Writes a sweep's report.html.

    Args:
      workdir: the sweep's folder.
      sweep: what the folder holds.
      figures: the names of the PNG files in its figures folder.
    """
    done = [row for row in sweep.rows if row["status"] == "done"]
    shown = done if len(done) <= _ALL_PANELS else _one_a_setting(sweep, done)
    seeds = {row["seed"] for row in done}
    views = {
        "By setting": tables.sweep_table(sweep),
        "By run": tables.runs_table(sweep),
    }
    _write(
        workdir,
        question=findings.question(sweep),
        answer=findings.answer(sweep),
        facts={
            "runs done": f"{len(done)} of {len(sweep.rows)}",
            "settings": len(_one_a_setting(sweep, done)),
            "seeds": len(seeds),
        },
        best=_labelled(findings.leads_table(sweep)),
        views={name: _labelled(table) for name, table in views.items()},
        references=((), ()),
        selects=_selects(sweep),
        figures=figures,
        panels=_panels(sweep, shown),
        left_out=len(done) - len(shown),
        failed=[row for row in sweep.rows if row["status"] == "failed"],
        config=sweep.config,
    )


def write_run(workdir: Path, run: RunFiles, figures: Sequence[str]) -> None:
    """Writes a run's report.html; arguments as for `write_sweep`."""
    lines = [[name, tables.number(value)] for name, value in run.summary.items()]
    _write(
        workdir,
        question=findings.run_question(run),
        answer=findings.run_answer(run),
        facts={
            title: tables.number(run.summary[name])
            for name, title in _FACTS.items()
            if name in run.summary
        },
        best=((), ()),
        views={"All values": (["name", "value"], lines)},
        references=references.run_table(run),
        selects={},
        figures=figures,
        panels=[{"id": "run", "title": "This run", **panels({"": run})[""]}],
        left_out=0,
        failed=[],
        config=run.config,
    )


def _write(workdir: Path, *, figures: Sequence[str], config: Mapping, **content: Any):
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("page.html.jinja").render(
        content,
        title=workdir.resolve().name,
        version=__version__,
        chart=CHART,
        figures=[_figure(workdir, name) for name in figures],
        environment=read_environment(workdir),
        config=dict(_flat(config)),
    )
    write_atomically(workdir / "report.html", text)


def _shown(value):
    """Any text of a file or a name without characters that HTML may not have."""
    plain = isinstance(value, str) and not isinstance(value, Markup)
    return printable(value) if plain else value


def _figure(workdir, name):
    image = png((workdir / "figures" / f"{name}.png").read_bytes())
    sides = {k: round(image[k] * _CSS_PER_INCH / _DPI) for k in ("width", "height")}
    return {"name": name, "caption": CAPTIONS.get(name, _CAPTION), **image, **sides}


def _labelled(table: Table) -> Table:
    header, lines = table
    return [label(name) for name in header], lines


def _selects(sweep):
    """The values of each swept field that has several, by its label."""
    found = {
        f: list(dict.fromkeys(str(r[f]) for r in sweep.rows)) for f in sweep.fields
    }
    return {label(f): values for f, values in found.items() if len(values) > 1}


def _one_a_setting(sweep, rows):
    """The first seed of every setting."""
    fields = [field for field in sweep.fields if field != "seed"]
    firsts: dict[tuple, dict] = {}
    for row in rows:
        firsts.setdefault(tuple(row[f] for f in fields), row)
    return list(firsts.values())


def _panels(sweep, rows):
    drawn = panels({row["run_id"]: sweep.runs[row["run_id"]] for row in rows})
    fields = list(dict.fromkeys([*sweep.fields, "seed"]))
    return [
        {
            "id": row["run_id"],
            "title": ", ".join(f"{label(f)} {row[f]}" for f in fields),
            **drawn[row["run_id"]],
        }
        for row in rows
    ]


def _flat(config, prefix=""):
    """Fields of nested dicts as (dotted name, JSON text)."""
    for name, value in config.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", json.dumps(value)
