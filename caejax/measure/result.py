"""What a measurement says, as a record and as text."""

import json
from typing import Any

from caejax.metrics.table import formatted, title
from caejax.terminal.lines import aligned

THRESHOLD_DB = -60.0


class Measurement(dict[str, Any]):
    """A record of the patterns in images, and of what separates them from others.

    It is a `dict` of plain values; `str` of it is what the command prints.
    """

    @property
    def clean(self) -> bool:
        """Whether no pattern is above the threshold."""
        return bool(self["clean"])

    def to_json(self) -> str:
        """The record as JSON text."""
        return json.dumps(self, indent=2, allow_nan=False)

    def __str__(self) -> str:
        return to_text(self)


def to_text(found: Measurement) -> str:
    """The record as a table and sentences."""
    lines = []
    if found["patterns"]:
        lines += [*_table(found["patterns"]), ""]
        lines += [
            f"period {x['period']} {where(x)}: {x['origin']}" for x in found["patterns"]
        ]
    if found["paired"]:
        lines += ["against the references:", *_paired(found["paired"])]
    return "\n".join([*lines, *found["about"], found["verdict"]])


def _paired(values):
    """A line each; of sizes below 0 what they are."""
    known = {k: v for k, v in values.items() if v is not None}
    width = max((len(title(k)) for k in known), default=0)
    lines = [f"  {title(k):<{width}}  {formatted(k, v)}" for k, v in known.items()]
    if any(v < 0 for k, v in known.items() if "grey" in k):
        lines.append("  (a size below 0 is none: less is left than chance leaves)")
    return lines


def _table(patterns):
    rows = [["period", "where", "grey levels", "dBFS", "limit", "chance", "images"]]
    rows += [
        [
            str(x["period"]),
            where(x),
            f"{x['grey']:.2f}",
            f"{x['db']:.1f}",
            "JPEG's own" if x["limit_db"] is None else f"{x['limit_db']:g}",
            "< 1e-99" if x["chance"] < 1e-99 else f"{x['chance']:.0e}",
            f"{100 * x['share']:.0f} %",
        ]
        for x in patterns
    ]
    return aligned(rows)


def where(pattern: dict[str, Any]) -> str:
    """Along which axes a pattern runs, in words."""
    axes = {"x": "along x", "y": "along y", "xy": "along both"}[pattern["axes"]]
    return f"of detail {axes}" if pattern["detail"] else axes
