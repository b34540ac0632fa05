"""What a diagnosis says, as a record and as text."""

import json
from typing import Any

THRESHOLD_DB = -60.0


class Diagnosis(dict[str, Any]):
    """A record of a model's enlarging places and of what they draw.

    It is a `dict` of plain values; `str` of it is what the command prints.
    """

    @property
    def clean(self) -> bool:
        """Whether what the model draws by itself is below the threshold."""
        return bool(self["clean"])

    def to_json(self) -> str:
        """The record as JSON text."""
        return json.dumps(self, indent=2, allow_nan=False)

    def __str__(self) -> str:
        return to_text(self)


def to_text(found: Diagnosis) -> str:
    """The record as a table and sentences."""
    lines = []
    if found["places"]:
        lines += [*_table(found["places"]), ""]
    lines += [
        f"{place['name']}: {sentence}"
        for place in found["places"]
        for sentence in (place["verdict"], place["cure"])
        if sentence
    ]
    lines += [*_by_period(found), *found["about"], found["verdict"]]
    return "\n".join(lines)


def _by_period(found):
    """Which places draw each period, where there are several."""
    drawn = found["ripple_db_by_period"]
    for period in drawn if len(drawn) > 1 else ():
        shares = [
            f"{place['name']} {100 * place['share_by_period'][period]:.0f} %"
            for place in found["places"]
            if place["share_by_period"].get(period)
        ]
        if shares:
            yield f"period {period}: {drawn[period]:.1f} dB, by {', '.join(shares)}"


_COLUMNS = {
    "name": "place",
    "operation": "operation",
    "stride": "stride",
    "kernel": "kernel",
    "gain_spread_db": "gains dB",
    "overlap_db": "overlap dB",
    "bias_spread": "biases",
    "period": "period",
    "ripple_db": "draws dB",
    "share": "share",
}


def _table(places):
    rows = [list(_COLUMNS.values())]
    rows += [[_cell(key, place[key]) for key in _COLUMNS] for place in places]
    widths = [max(len(row[n]) for row in rows) for n in range(len(_COLUMNS))]
    return [
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True))
        for row in rows
    ]


def _cell(key, value):
    if value is None:
        return "-"
    if key == "share":
        return f"{100 * value:.0f} %"
    if key in ("stride", "kernel", "period"):
        return "x".join(f"{x:g}" for x in value) or "-"
    if isinstance(value, float):
        return f"{value:.3g}" if key == "bias_spread" else f"{value:.1f}"
    return str(value)
