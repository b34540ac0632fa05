"""What figures and pages say of the setting that they show."""

from collections.abc import Iterable, Mapping
from typing import Any

from caejax.metrics.table import title
from caejax.report.read import SweepFiles
from caejax.terminal.lines import printable

LABELS = {
    "corruption.level": "noise level",
    "corruption.name": "corruption",
    "model.upsampling": "upsampling",
    "model.downsampling": "downsampling",
    "data.source": "data",
    "model.latent_channels": "bottleneck channels",
    "estimator": "estimator",
}
_SHOWN = 4  # values of a field; of more, the first and the last


def label(field: str) -> str:
    """How a field or a value is called in figures."""
    return LABELS.get(field, title(field))


def setting_of(config: Mapping[str, Any], fields: Iterable[str] = ()) -> str:
    """One run's setting in a line: its data, corruption and seed, and more fields.

    Args:
      config: the run's config as a nested dict; what it lacks is left out.
      fields: dotted names of further fields that are to be told.
    """
    told = [_data(config), _corruption(config)]
    for field in fields:
        if field.split(".")[0] not in ("data", "corruption", "seed"):
            told.append(f"{label(field)} {_find(config, field)}")
    if "seed" in config:
        told.append(f"seed {config['seed']}")
    return printable(", ".join(text for text in told if text))


def settings_of(sweep: SweepFiles, fields: Iterable[str] = ()) -> str:
    """The settings of a sweep's finished runs: what they share, and swept values.

    Args:
      sweep: what the sweep's folder holds.
      fields: the swept fields that are to be told, with all their values.
    """
    config, swept = sweep.config, sweep.fields
    rows = [row for row in sweep.rows if row["status"] == "done"]
    whole = "config" in swept  # of these each has its own data and corruption
    told = []
    if not whole and not any(f.startswith("data.") for f in swept):
        told.append(_data(config))
    if not whole and "corruption.name" not in swept:
        told.append(_corruption(config, level="corruption.level" not in swept))
    for field in dict.fromkeys([*fields, "seed"]):
        values = list(dict.fromkeys(str(row[field]) for row in rows if field in row))
        if values:
            name = label(field) + ("s" if field == "seed" and len(values) > 1 else "")
            told.append(f"{name} {several(values)}")
    return printable(", ".join(text for text in told if text))


def several(values: list[str], word: str = "and") -> str:
    """Values as words, the last behind a word: all of a few, the ends of many."""
    if len(values) > _SHOWN:
        first, *_, last = _in_order(values)
        return f"{first} to {last} ({len(values)} values)"
    *first, last = values
    return f"{', '.join(first)} {word} {last}" if first else last


def _in_order(values):
    """Numbers from the least on, whatever a sweep's order is; others as given."""
    try:
        return sorted(values, key=float)
    except ValueError:
        return values


def _data(config):
    data = config.get("data", {})
    return " ".join(filter(None, (data.get("source"), data.get("name"))))


def _corruption(config, level=True):
    corruption = config.get("corruption", {})
    if corruption.get("name") in (None, "none"):
        return ""
    text = f"{corruption['name']} {corruption['level'] if level else ''}".strip()
    ends = [f"{x:.3g}" for x in corruption.get("train_range") or ()]
    return f"{text} (in training {' to '.join(ends)})" if ends else text


def _find(config, field):
    for part in field.split("."):
        config = config.get(part, {}) if isinstance(config, Mapping) else {}
    return config
