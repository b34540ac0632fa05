"""report.html: one self-contained page for a sweep or a run."""

import base64
import csv
import io
import json
import re
import shlex
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from caejax import __version__
from caejax.files.atomic import write_atomically
from caejax.report import advice, again, explained, findings, leads, views
from caejax.report.captions import averaged, captions_of_run, captions_of_sweep
from caejax.report.citation import bibtex
from caejax.report.panels import CHART, panels, png
from caejax.report.read import RunFiles, SweepFiles, read_environment
from caejax.report.settings import label
from caejax.report.tables import all_numbers, number
from caejax.report.words import span
from caejax.terminal.lines import printable

PICTURES = (
    "denoisers",
    "checkerboard",
    "reconstructions",
    "gallery",
)  # come first on the page
_FACTS = {
    "params": "parameters",
    "epochs": "epochs",
    "steps": "steps",
    "train_seconds": "seconds of training",
}
_CSS_PER_INCH = 150  # a printed page's 6.75 inches are the page's width
_DPI = 200  # dots per inch of the figures' PNG files
_ALL_PANELS = 100  # of more runs, only one a setting is shown

Figures = Mapping[str, bytes]  # what a telephone shows of each, as PNG, by name


def write_sweep(workdir: Path, sweep: SweepFiles, figures: Figures) -> None:
    """Writes a sweep's report.html.

    Args:
      workdir: the sweep's folder.
      sweep: what the sweep's folder holds.
      figures: what is shown on a narrow screen of each of the PNG files in its figures
        folder, by name; b"" where that is the file itself.
    """
    done = [row for row in sweep.rows if row["status"] == "done"]
    shown = done if len(done) <= _ALL_PANELS else _one_a_setting(sweep, done)
    ids = {row["run_id"] for row in shown}
    made, found = _made(workdir), leads.leads(sweep)
    _write(
        workdir,
        made=made,
        question=findings.question(sweep),
        answer=findings.answer(sweep),
        steps=advice.next_steps(sweep, again.here(made["command"], workdir)),
        facts={
            "runs done": f"{len(done):,} of {len(sweep.rows):,}",
            "settings": f"{len(_one_a_setting(sweep, done)):,}",
            "seeds a setting": span(Counter(_settings(sweep, done)).values(), 0),
        },
        explained=explained.explain_sweep(sweep),
        decoders=explained.explain_decoders(explained.decoders_of(sweep)),
        best=views.best_table(sweep, ids),
        best_name=f"Highest {findings.highest(found)}",
        enough_seeds=any(lead.interval for lead in found),
        views=views.sweep_views(sweep, ids),
        references=views.Table((), ()),
        numbers={},
        all_numbers=[],
        selects=_selects(sweep),
        csv=_csv_files(workdir, ("results.csv", "references.csv", "levels.csv")),
        figures=figures,
        panels=_panels(sweep, shown),
        left_out=len(done) - len(shown),
        failed=[row for row in sweep.rows if row["status"] == "failed"],
        config=sweep.config,
        captions=captions_of_sweep(sweep),
        default=averaged(sweep),
    )


def write_run(workdir: Path, run: RunFiles, figures: Figures) -> None:
    """Writes a run's report.html; arguments as for `write_sweep`."""
    values = io.StringIO()
    rows = [("name", "value"), *run.summary.items()]
    csv.writer(values, lineterminator="\n").writerows(rows)
    summary = _data("text/csv", values.getvalue().encode())
    made = _made(workdir)
    _write(
        workdir,
        made=made,
        question=findings.run_question(run),
        answer=findings.run_answer(run),
        steps=advice.run_next_steps(run, again.here(made["command"], workdir)),
        facts={
            title: number(run.summary[name])
            for name, title in _FACTS.items()
            if name in run.summary
        },
        explained=explained.explain_run(run),
        decoders=explained.explain_decoders(
            [str(run.config["model"].get("upsampling", ""))]
        ),
        best=views.Table((), ()),
        best_name="",
        enough_seeds=False,
        views={},
        references=views.references_of_run(run),
        numbers=views.key_numbers(run.summary),
        all_numbers=all_numbers(run.summary),
        selects={},
        csv=[
            {"name": "summary.csv", "href": summary},
            *_csv_files(workdir, ("references.csv", "levels.csv")),
        ],
        figures=figures,
        panels=[{"id": "run", "title": "This run", **panels({"": run})[""]}],
        left_out=0,
        failed=[],
        config=run.config,
        captions=captions_of_run(run),
    )


def _made(workdir):
    """How it was made, by a command that works in any folder."""
    made = read_environment(workdir)
    directory = str(made.get("directory", ""))
    return made | {"command": again.anywhere(made["command"], directory)}


def _write(
    workdir: Path,
    *,
    made: Mapping[str, Any],
    figures: Figures,
    config: Mapping,
    captions: Mapping[str, str],
    default: str = "",
    **content: Any,
):
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = _code
    environment.filters["flags"] = _flags
    environment.filters["quoted"] = shlex.quote
    drawn = [
        _figure(workdir, name, narrow, captions.get(name, default))
        for name, narrow in figures.items()
    ]
    text = environment.get_template("page.html.jinja").render(
        content,
        title=workdir.resolve().name,
        folder=str(workdir),
        version=__version__,
        chart=CHART,
        pictures=[figure for figure in drawn if figure["name"] in PICTURES],
        figures=[figure for figure in drawn if figure["name"] not in PICTURES],
        environment=made,
        citation=bibtex(
            made["time"][:4], made["packages"].get("caejax", __version__)
        ).splitlines(),
        config=dict(_flat(config)),
    )
    write_atomically(workdir / "report.html", text)


def _shown(value):
    """Any text of a file or a name without characters that HTML may not have."""
    plain = isinstance(value, str) and not isinstance(value, Markup)
    return printable(value) if plain else value


def _code(text: str) -> Markup:
    """A sentence whose words in backticks are code."""
    parts = [escape(printable(part)) for part in text.split("`")]
    parts[1::2] = [Markup("<code>{}</code>").format(_flags(x)) for x in parts[1::2]]
    return Markup("").join(parts)


def _flags(text: str) -> Markup:
    """A command whose flags are not broken behind their hyphens."""
    whole = r'\1<span class="whole">--\2</span>'
    shown = str(escape(printable(text)))
    return Markup(re.sub(r"(^|\s|&#39;)--([\w-]+)", whole, shown))


def _figure(workdir, name, narrow, caption):
    file = workdir / "figures" / name
    wide = _sized(file.with_suffix(".png").read_bytes())
    return {
        "name": name,
        "caption": caption,
        **wide,
        "narrow": _sized(narrow) if narrow else None,
        "pdf": _data("application/pdf", file.with_suffix(".pdf").read_bytes()),
    }


def _sized(file):
    image = png(file)
    sides = {k: round(image[k] * _CSS_PER_INCH / _DPI) for k in ("width", "height")}
    return {**image, **sides}


def _csv_files(workdir, names):
    """What of these files there is, to be saved from the page alone."""
    paths = [workdir / name for name in names if (workdir / name).is_file()]
    return [
        {"name": path.name, "href": _data("text/csv", path.read_bytes())}
        for path in paths
    ]


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _selects(sweep):
    """The values of each swept field that has several, by its label."""
    found = {
        f: list(dict.fromkeys(str(r[f]) for r in sweep.rows)) for f in sweep.fields
    }
    return {label(f): values for f, values in found.items() if len(values) > 1}


def _one_a_setting(sweep, rows):
    """The first seed of every setting."""
    firsts: dict[tuple, dict] = {}
    for setting, row in zip(_settings(sweep, rows), rows, strict=True):
        firsts.setdefault(setting, row)
    return list(firsts.values())


def _settings(sweep, rows):
    """The setting of each row: its swept values without the seed."""
    fields = [field for field in sweep.fields if field != "seed"]
    return [tuple(row[f] for f in fields) for row in rows]


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
