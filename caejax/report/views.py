"""The tables of the page: columns in groups that fit it, and rows that link to runs."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from caejax.metrics.table import brief_columns, find, title
from caejax.report import decoders
from caejax.report.fields import DECODER, choices_and_conditions
from caejax.report.leads import (
    INPUT,
    INPUT_SSIM,
    PSNR,
    SSIM,
    leads,
    leads_table,
)
from caejax.report.read import RunFiles, SweepFiles
from caejax.report.references import run_table
from caejax.report.settings import label
from caejax.report.tables import (
    PARAMS,
    TRAINING,
    by_setting,
    called,
    cell,
    columns,
    known,
    number,
)

_ACROSS = 8  # columns of values, so that no table is wider than the page
_GROUPS = {  # of measures, by what they need
    "output": "Image quality",
    "input": "Image quality",
    "decoder": "Pattern on constant codes",
    "image": "Pattern on constant codes",
    "shown": "Pattern on constant codes",
    "layers": "Pattern on constant codes",
}
_OTHERS = "Pattern in test images"
OVERVIEW, RUNS = "Overview", "By run"
_KEYS = 4  # numbers of a run in each group, before all of them
_LEADS = ("PSNR (dB)", "lead (dB)", "input's PSNR")  # columns where more is better


class Column(NamedTuple):
    """A column's head.

    Attributes:
      name: what it is called.
      kind: "setting" for what has been set, "value" for what has been measured, "note"
        for what is neither.
      better: "higher" or "lower", where a value is the better for it.
    """

    name: str
    kind: str
    better: str = ""


class Cell(NamedTuple):
    """A cell: a text, or links in its place, and a decoder's colour."""

    text: str
    links: Sequence[tuple[str, str]] = ()  # text and address
    color: str = ""


class Table(NamedTuple):
    """A table of the page, empty without rows."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]


def sweep_views(sweep: SweepFiles, shown: Collection[str]) -> dict[str, Table]:
    """A sweep's tables by name: a line a setting for each group of columns, and runs.

    Args:
      sweep: what the sweep's folder holds.
      shown: the ids of the runs that the page shows; links to others go to their
        folders.
    """
    groups = {
        name: found
        for name, wanted in column_groups().items()
        if (found := known(sweep, wanted))
    }
    views = {name: _settings(sweep, group, shown) for name, group in groups.items()}
    return views | {RUNS: _runs(sweep, groups.get(OVERVIEW, []), shown)}


def column_groups() -> dict[str, list[str]]:
    """Columns of results.csv by the table that has room for them."""
    overview = [*brief_columns(), INPUT, PARAMS]
    groups: dict[str, list[str]] = {}
    for name in columns():
        if found := find(name):
            group = _GROUPS.get(found.metric.needs, _OTHERS)
            groups.setdefault(group, []).append(name)
    parts = {OVERVIEW: overview[:_ACROSS]}
    for group, names in groups.items():
        if set(names) <= set(overview):
            continue
        for part, first in enumerate(range(0, len(names), _ACROSS), start=1):
            parts[f"{group} {part}" if part > 1 else group] = names[
                first : first + _ACROSS
            ]
    return parts


def _value_column(name):
    found = find(name)
    return Column(
        title(name, short=True), "value", found.metric.better if found else ""
    )


def _settings(sweep, names, shown):
    fields, groups = by_setting(sweep)
    head = [Column(label(field), "setting") for field in fields]
    head += [Column("seeds", "note"), *map(_value_column, names)]
    rows = [
        [
            *map(_setting_cell, fields, setting),
            _seeds(found, shown),
            *(Cell(cell(found, name)) for name in names),
        ]
        for setting, found in groups.items()
    ]
    return Table(head, rows)


def _setting_cell(field, value):
    color = ""
    if field == DECODER and str(value) in decoders.SENTENCES:
        color = decoders.style_of(str(value))["color"]
    return Cell(str(value), color=color)


def _seeds(rows, shown):
    """The seeds of a setting, each a link to its run; of a reference their number."""
    links = [
        (str(row["seed"]), _address(row["run_id"], shown))
        for row in rows
        if "run_id" in row
    ]
    return Cell(str(len(rows)), links)


def _address(run, shown):
    return f"#run-{run}" if run in shown else f"runs/{run}/"


def _runs(sweep, names, shown):
    fields = list(dict.fromkeys([*sweep.fields, "seed"]))
    head = [Column(label(field), "setting") for field in fields]
    head += [
        Column("status", "note"),
        *map(_value_column, names),
        Column("run", "note"),
    ]
    rows = [
        [
            *(_setting_cell(field, row[field]) for field in fields),
            Cell(row["status"]),
            *(Cell(cell([row], name)) for name in names),
            _run_cell(row, shown),
        ]
        for row in sweep.rows
    ]
    return Table(head, rows)


def _run_cell(row, shown):
    name = row["run_id"]
    return Cell(
        name, [(name, _address(name, shown))] if row["status"] == "done" else ()
    )


def best_table(sweep: SweepFiles, shown: Collection[str]) -> Table:
    """The best choice at each condition; empty where nothing is compared."""
    header, lines = leads_table(sweep)
    _, conditions = choices_and_conditions(sweep)
    head = [
        Column(
            label(name),
            "setting" if name in conditions else "value",
            "higher" if name in _LEADS else "",
        )
        for name in header
    ]
    found = [lead for lead in leads(sweep) if lead.second is not None]
    rows = []
    for lead, line in zip(found, lines, strict=True):
        links = {"best": lead.best, "runner-up": lead.second}
        rows.append(
            [
                _choice_cell(sweep, lead, links[name], text, shown)
                if name in links
                else Cell(text)
                for name, text in zip(header, line, strict=True)
            ]
        )
    return Table(head, rows)


def _choice_cell(sweep, lead, choice, text, shown):
    """A choice that links to the first of its runs at a lead's condition."""
    choices, conditions = choices_and_conditions(sweep)
    at = dict(zip(choices + conditions, choice + lead.condition, strict=True))
    runs = [
        row["run_id"]
        for row in sweep.rows
        if row["status"] == "done"
        and "run_id" in row
        and all(row[field] == value for field, value in at.items())
    ]
    color = _setting_cell(DECODER, text.split(", ")[0]).color
    return Cell(text, [(text, _address(runs[0], shown))] if runs else (), color)


def references_of_run(run: RunFiles) -> Table:
    """A run's references beside its model; empty without any."""
    header, lines = run_table(run)
    quality = {title(f"test/{name}") for name in ("psnr", "ssim")}
    head = [
        Column(
            name, "value" if name in quality else "note", "higher" * (name in quality)
        )
        for name in header
    ]
    return Table(head, [[Cell(text) for text in line] for line in lines])


def key_numbers(summary: Mapping[str, Any]) -> dict[str, list[dict[str, str]]]:
    """A run's most telling numbers in groups: name, value and what it says of each."""
    quality = [PSNR, INPUT, SSIM, INPUT_SSIM]
    patterns: dict[str, str] = {}
    for name in columns():
        found = find(name)
        if found and name not in quality and found.stage == "test":
            patterns[found.metric.name] = name  # the longest period comes last
    groups = {
        "Image quality": quality,
        "Checkerboard": list(patterns.values()),
        "Model and training": list(TRAINING),
    }
    named = {
        group: [
            {"name": called(name), "value": shown(name, summary[name])}
            | {"text": found.metric.text if (found := find(name)) else ""}
            for name in names
            if name in summary
        ][:_KEYS]
        for group, names in groups.items()
    }
    return {group: items for group, items in named.items() if items}


def shown(name: str, value: float) -> str:
    """A value of a summary with the digits that it deserves."""
    found = find(name)
    return f"{value:z.{found.metric.digits}f}" if found else number(value)
