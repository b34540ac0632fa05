"""The reference of a config's fields."""

from itertools import groupby

from caejax.config.fields import FIELDS, described
from caejax.config.values import shown
from generate.tables import table


def page() -> str:
    """A table a section, in the order of the config; what chooses a kind is first."""
    rows = sorted(described(), key=_place)
    parts = []
    for section, fields in groupby(rows, lambda row: _section(row[0])):
        title, about, kinds = _SECTIONS[section]
        head = ["field", "default", *([f"only with {kinds}"] * bool(kinds))]
        cells = [
            [f"`{name}`", f"`{shown(value)}`", *([whose] * bool(kinds)), text]
            for name, value, whose, text in fields
        ]
        made = table([*head, "what it sets"], cells)
        parts.append(f"### {title}\n\n{about}\n\n{made}\n")
    return "\n".join(parts)


# By section: its title, what stands above its table, and what its fields depend on.
_SECTIONS = {
    "": (
        "The whole run",
        "Besides these there is `config.sweep`: [axes](../howto/sweep.md).",
        "",
    ),
    "data": (
        "data",
        "Which images. [Sources](data.md#sources) says what `data.source` may be, and "
        "which of these fields each source uses.",
        "",
    ),
    "corruption": (
        "corruption",
        "What is done to the images before the model sees them. "
        "[Corruptions](data.md#corruptions) says what `corruption.name` may be, and "
        "the range of each level.",
        "`corruption.name`",
    ),
    "model": (
        "model",
        "What is trained. [Models](models.md) says what the kinds of model and of "
        "upsampling are.",
        "`model.encoder`",
    ),
    "loss": (
        "loss",
        "What training minimises. [Losses](data.md#losses) says what `loss` may be.",
        "`loss`",
    ),
    "optimizer": ("optimizer", "How the parameters are changed at each step.", ""),
    "train": ("train", "How long training takes, and on which parts of images.", ""),
    "executor": (
        "executor",
        "How the runs of a sweep are done. [Executors](sweeps.md) says what "
        "`executor.name` may be.",
        "",
    ),
}


def _section(field):
    first = field.split(".")[0]
    if first == "loss_params":
        return "loss"
    return first if first in _SECTIONS else ""


def _place(row):
    """Fields stand as `FIELDS` has them, and behind these the parameters of kinds."""
    order = list(FIELDS)
    at = order.index(row[0]) if row[0] in FIELDS else len(order)
    return list(_SECTIONS).index(_section(row[0])), at
