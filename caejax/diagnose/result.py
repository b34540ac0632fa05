"""What a diagnosis says, as a record and as text."""

import json
from typing import Any

from caejax.terminal.lines import aligned, broken, columns, fitting, left_out

THRESHOLD_DB = -60.0


class Diagnosis(dict[str, Any]):
    """A record of a model's enlarging places and of what they draw.

    It is a `dict` of plain values; `str` of it is what the command prints, which on a
    terminal is no wider than that.
    """

    @property
    def clean(self) -> bool:
        """Whether what the model draws by itself is below the threshold."""
        return bool(self["clean"])

    def to_json(self) -> str:
        """The record as JSON text."""
        return json.dumps(self, indent=2, allow_nan=False)

    def __str__(self) -> str:
        return to_text(self, columns())

    __repr__ = __str__  # what a prompt shows


def to_text(found: Diagnosis, width: int | None = None) -> str:
    """The record as a table and sentences, the verdict first.

    Args:
      found: the record.
      width: columns that there are. Where the table needs more, those of the kernel are
        left out, and sentences are broken between words; None for any.
    """
    lines, legend = [broken(found["verdict"], width)], []
    places, period = _numbered(found["places"]), _period_shared(found)
    if places:
        shared = _with_shares_of(places, period)
        names = _shown(shared, width)
        lines += ["", *_lines(shared, names), ""]
        legend = [_LEGEND[name] for name in names if name in _LEGEND]
        left = left_out(_COLUMNS.values(), [_COLUMNS[name] for name in names])
        legend += [left] if left else []
        if period:
            legend.append(_OF_PERIOD.format(period))
    drawn = found["ripple_db_by_period"]
    said = [*_sentences(places), *_by_period(drawn, places), *found["about"]]
    said += ["", *legend] if legend and said else legend
    return "\n".join([*lines, *(broken(line, width) for line in said)])


def _numbered(places):
    """The places, with numbers behind names that several have."""
    names = [place["name"] for place in places]
    return [
        place | {"name": f"{name} ({names[: n + 1].count(name)})"}
        if names.count(name) > 1
        else place
        for n, (name, place) in enumerate(zip(names, places, strict=True))
    ]


def _period_shared(found):
    """The strongest period, where no place has a share of the whole; else None."""
    shares = [x["share"] for x in found["places"] if x["share"] is not None]
    drawn = found["ripple_db_by_period"]
    if not (shares and drawn) or any(round(100 * x) >= 0 for x in shares):
        return None
    strongest = max(drawn, key=drawn.get)
    parts = [x["share_by_period"].get(strongest, -1) for x in found["places"]]
    return strongest if any(round(100 * x) > 0 for x in parts) else None


def _with_shares_of(places, period):
    """The places, with their shares of one period in place of those of all."""
    if period is None:
        return places
    return [x | {"share": x["share_by_period"].get(period)} for x in places]


_OF_PERIOD = (
    "share: here of period {}, the strongest; of all periods together each layer "
    "weakens what the others draw"
)


def _sentences(places):
    """Verdicts with their cures, each pair once, behind the places that it is of."""
    said: dict[tuple[str, str], list[str]] = {}
    for place in places:
        said.setdefault((place["verdict"], place["cure"]), []).append(place["name"])
    for (verdict, cure), names in said.items():
        if verdict:
            yield _of_layers(names, verdict)
        if cure:
            yield f"cure: {cure}"


def _of_layers(names, sentence):
    if len(names) == 1:
        return f"layer {names[0]}: {sentence}"
    each = "each " if sentence.startswith("draws") else ""
    return f"layers {', '.join(names)}: {each}{sentence}"


def _by_period(drawn, places):
    """Which places draw each period, where there are several."""
    return [
        _shared_out(period, drawn[period], places)
        for period in (drawn if len(drawn) > 1 else ())
        if any(place["share_by_period"].get(period) for place in places)
    ]


def _shared_out(period, db, places):
    """The places with their shares of one period, the largest first."""
    shares = [
        (round(100 * place["share_by_period"].get(period, 0)), place)
        for place in places
    ]
    ranked = sorted((x for x in shares if x[0]), key=lambda x: -x[0])
    drawing = [f"{_layer(x)} {n} %" for n, x in ranked if n > 0]
    if drawing:
        n, first = ranked[0]
        drawing[0] = f"{_layer(first)} draws {n} % of it"
    less = [f"{_layer(x)} weakens it" for n, x in ranked if n < 0]
    who = ", ".join([*drawing, *less]) or "no layer draws it by itself"
    if less and not drawing:
        layers = " and ".join(_layer(x) for _, x in ranked)
        who = f"{layers} draw it together: {_TOGETHER}"
    return f"pattern of period {period}, {_against_constant(db)}: {who}"


_TOGETHER = (
    "each weakens what others draw, so that more is left when one alone is made clean; "
    "mend all of them"
)


def _layer(place):
    return f"layer {place['name']}"


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
_DROPPED = (
    *("bias_spread", "overlap_db", "kernel", "gain_spread_db", "stride"),
    *("period", "operation"),
)
# What the columns say. Where one is left out, so is its line.
_LEGEND = {
    "gain_spread_db": "gains: how far the phases' answers to a flat input differ (0 "
    "dB: as much as their mean); phases: the kinds of output pixels that a layer makes "
    "by turns, 2x2 of stride 2",
    "overlap_db": "overlap: how much heavier the strongest phase's weights are than "
    "the weakest's",
    "bias_spread": "biases: how far the phases' biases differ, in units of the result",
    "ripple_db": "draws: the pattern in the layer's own result on the worst of the "
    "flat inputs (0 dB: as strong as the flat part)",
    "share": "share: how much of the whole model's pattern goes when this layer alone "
    "is made clean; shares do not add up to 100 %",
}


def _shown(places, width):
    """The columns for which there is room."""
    return fitting(_COLUMNS, _DROPPED, lambda names: _lines(places, names), width)


def _lines(places, names):
    rows = [[_COLUMNS[name] for name in names]]
    rows += [[_cell(key, place[key]) for key in names] for place in places]
    return aligned(rows)


def _cell(key, value):
    if value is None:
        return "-"
    if key == "share":
        share = round(100 * value)  # a whole number, of which none is -0
        return "weakens" if share < 0 else f"{share} %"
    if key in ("stride", "kernel", "period"):
        return "x".join(f"{x:g}" for x in value) or "-"
    if isinstance(value, float):
        return f"{value:.3g}" if key == "bias_spread" else f"{value:.1f}"
    return str(value)
