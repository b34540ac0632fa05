"""The reference of a config's fields."""

from itertools import groupby

from caejax.config.fields import described
from caejax.config.values import shown
from generate.tables import table


def page() -> str:
    """A table a section, in the order of the config."""
    rows = sorted(described(), key=lambda row: _SECTIONS.index(_section(row[0])))
    parts = []
    for section, fields in groupby(rows, lambda row: _section(row[0])):
        cells = [
            (f"`{name}`", f"`{shown(value)}`", whose, text)
            for name, value, whose, text in fields
        ]
        head = ("field", "default", "only with", "what it sets")
        parts.append(f"## {section or 'at the top'}\n\n{table(head, cells)}\n")
    return "\n".join(parts)


_SECTIONS = ("", "data", "corruption", "model", "loss", "optimizer", "train")
_SECTIONS += ("executor", "others")


def _section(field):
    first = field.split(".")[0]
    if field == "loss" or first == "loss_params":
        return "loss"
    if first == field:
        return ""
    return first if first in _SECTIONS else "others"
