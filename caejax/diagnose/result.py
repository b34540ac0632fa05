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
        lines += [*_table(found["places"]), *_LEGEND, ""]
    lines += [*_sentences(found["places"]), *_by_period(found)]
    return "\n".join([*lines, *found["about"], found["verdict"]])


def _sentences(places):
    """Verdicts and cures, each once, behind the places that it is of."""
    said: dict[str, list[str]] = {}
    for place in places:
        for sentence in filter(None, (place["verdict"], place["cure"])):
            said.setdefault(sentence, []).append(place["name"])
    return [
        f"layer{'s' * (len(names) > 1)} {', '.join(names)}: {sentence}"
        for sentence, names in said.items()
    ]


def _by_period(found):
    """Which places draw each period, where there are several."""
    drawn, places = found["ripple_db_by_period"], found["places"]
    told = [
        _shared_out(period, drawn[period], places)
        for period in (drawn if len(drawn) > 1 else ())
        if any(place["share_by_period"].get(period) for place in places)
    ]
    return [*told, *([_HOW_SHARED] if told and len(places) > 1 else [])]


def _shared_out(period, db, places):
    """The places with their shares of one period, the largest first."""
    shares = [
        (round(100 * place["share_by_period"].get(period, 0)), place)
        for place in places
    ]
    ranked = sorted((x for x in shares if x[0]), key=lambda x: -x[0])
    parts = [
        f"layer {place['name']} ({place['operation']}) {_part(percent)}"
        for percent, place in ranked
    ]
    who = ", ".join(parts) or "no layer draws it by itself"
    return f"pattern of period {period}, {_against_constant(db)}: {who}"


def _part(percent):
    return f"draws {percent} % of it" if percent > 0 else f"weakens it by {-percent} %"


def _against_constant(db):
    """How strong a pattern is beside the constant that draws it, in words."""
    way = "weaker" if db < 0 else "stronger"
    return f"{abs(db):.1f} dB {way} than the response to the constant itself"


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
_LEGEND = (
    "gains, overlap, biases: how far the phases of the kernel differ in each; where "
    "none does, -200 dB, 0 dB and 0",
    "draws: pattern on flat inputs, against the response to the constant; -200 dB is "
    "none",
    "share: how much of the model's pattern goes when this layer alone is made clean",
)
_HOW_SHARED = (
    "a layer's part is what goes when it alone is made clean; parts of layers that act "
    "on each other need not add up to 100 %"
)


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
