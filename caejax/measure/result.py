"""What a measurement says, as a record and as text."""

import json
from typing import Any

from caejax.metrics.table import formatted, title
from caejax.terminal.lines import aligned, broken, columns, fitting, left_out

THRESHOLD_DB = -60.0


class Measurement(dict[str, Any]):
    """A record of the patterns in images, and of what separates them from others.

    It is a `dict` of plain values; `str` of it is what the command prints, which on a
    terminal is no wider than that.
    """

    @property
    def clean(self) -> bool:
        """Whether no pattern is above the threshold."""
        return bool(self["clean"])

    def to_json(self) -> str:
        """The record as JSON text."""
        return json.dumps(self, indent=2, allow_nan=False)

    def __str__(self) -> str:
        return to_text(self, columns())

    __repr__ = __str__  # what a prompt shows


def to_text(found: Measurement, width: int | None = None) -> str:
    """The record as a table and sentences.

    Args:
      found: the record.
      width: columns that there are; None for any. Where the table needs more, some of
        its own are left out, and sentences are broken between words.
    """
    table, said, beside = [], [], []
    if found["patterns"]:
        table = [*_table(found["patterns"], width), ""]
        said = [
            f"period {x['period']} {where(x)} usually comes from {x['origin']}"
            for x in found["patterns"]
        ]
    if found["paired"]:
        beside = ["against the references:", *_paired(found["paired"])]
    last = [*found["about"], found["verdict"]]
    return "\n".join(
        [
            *table,
            *(broken(line, width) for line in said),
            *beside,
            *(broken(line, width) for line in last),
        ]
    )


def _paired(values):
    """A line each; of sizes below 0 what they are."""
    known = {k: v for k, v in values.items() if v is not None}
    width = max((len(title(k)) for k in known), default=0)
    lines = [f"  {title(k):<{width}}  {formatted(k, v)}" for k, v in known.items()]
    if any(v < 0 for k, v in known.items() if "grey" in k):
        lines.append("  (a size below 0 is none: less is left than chance leaves)")
    return lines


_COLUMNS = ("period", "where", "grey levels", "dBFS", "limit", "chance", "images")
_DROPPED = ("chance", "limit", "images", "dBFS")


def _table(patterns, width):
    cells = [dict(zip(_COLUMNS, _row(x), strict=True)) for x in patterns]

    def table(names):
        return aligned([names, *([row[name] for name in names] for row in cells)])

    shown = fitting(_COLUMNS, _DROPPED, table, width)
    left = left_out(_COLUMNS, shown)
    return [*table(shown), *([broken(left, width)] if left else [])]


def _row(pattern):
    own = pattern["limit_db"] is None
    return [
        str(pattern["period"]),
        where(pattern),
        f"{pattern['grey']:.2f}",
        f"{pattern['db']:.1f}",
        "JPEG's own" if own else f"{pattern['limit_db']:g}",
        "< 1e-99" if pattern["chance"] < 1e-99 else f"{pattern['chance']:.0e}",
        f"{100 * pattern['share']:.0f} %",
    ]


def where(pattern: dict[str, Any]) -> str:
    """Along which axes a pattern runs, in words."""
    axes = {"x": "along x", "y": "along y", "xy": "along both"}[pattern["axes"]]
    return f"of detail {axes}" if pattern["detail"] else axes
