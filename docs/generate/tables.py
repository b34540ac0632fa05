"""Tables of what can be chosen by name, from the tables of the code."""

import ast
import inspect
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from caejax.config import default
from caejax.config.load import config_names, find_config
from caejax.corruptions import CORRUPTIONS
from caejax.data import SOURCES
from caejax.losses import LOSSES
from caejax.metrics.table import to_markdown
from caejax.models.diagnosis import clean_at_initialisation, clean_by_construction
from caejax.models.kinds import UPSAMPLING
from caejax.parameters import resolve
from caejax.sweep.executors import EXECUTORS

ROOT = Path(__file__).parents[2]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; bars in cells are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in x] for x in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def first_sentence(text: str | None) -> str:
    """Of a docstring, in one line."""
    return " ".join(inspect.cleandoc(text or "").split("\n\n")[0].split())


def decoders() -> str:
    """What each kind of upsampling is, whether it is clean, and what it costs."""
    rows = []
    for name, kind in UPSAMPLING.items():
        clean = "at initialisation" if clean_at_initialisation(name) else "no"
        clean = "always" if clean_by_construction(name) else clean
        text = " ".join(inspect.cleandoc(kind.doc).split())
        costs = re.search(r"Parameters (.*?); multiplications (.*?)\.( |$)", text)
        if costs is None:
            raise ValueError(f"UPSAMPLING[{name!r}].doc does not end with its costs")
        rows.append((f"`{name}`", first_sentence(kind.doc), clean, *costs.groups()[:2]))
    head = ("name", "layer", "free of checkerboards", "parameters", "multiplications")
    return table(head, rows)


def sources_of_decoders() -> str:
    """What each kind's docstring says, in full."""
    return "".join(
        f"`{name}`\n: {' '.join(inspect.cleandoc(kind.doc).split())}\n\n"
        for name, kind in UPSAMPLING.items()
    )


def metrics() -> str:
    """The table of metrics."""
    return to_markdown()


def _params(entry):
    return "; ".join(
        f"`{name}` = {x.default:g}, {_range(x)}: {x.doc}"
        for name, x in entry.params.items()
    )


def _range(parameter):
    if math.isinf(parameter.high):
        return f"at least {parameter.low:g}"
    return f"{parameter.low:g} to {parameter.high:g}"


def corruptions() -> str:
    """What each corruption does, its level and its parameters."""
    rows = []
    for name, entry in CORRUPTIONS.items():
        says = first_sentence(resolve(entry.function).__doc__)
        level = "" if entry.level is None else f"{_range(entry.level)}: "
        level += "" if entry.level is None else entry.level.doc
        rows.append((f"`{name}`", says, level, _params(entry)))
    return table(("name", "what it does", "level", "parameters"), rows)


def losses() -> str:
    """What each loss is."""
    rows = [
        (
            f"`{name}`",
            first_sentence(entry.per_image.__doc__),
            "its sum over the batch" if entry.summed else "its mean over the batch",
            _params(entry),
        )
        for name, entry in LOSSES.items()
    ]
    return table(("name", "what it is", "what is minimised", "parameters"), rows)


def sources() -> str:
    """Where images come from, and which fields of config.data each takes."""
    rows, fields = [], default().data
    for name, entry in SOURCES.items():
        read = resolve(entry.function)
        taken = [p for p in inspect.signature(read).parameters if p in fields]
        says = first_sentence(inspect.getmodule(read).__doc__)
        rows.append((f"`{name}`", says, ", ".join(f"`{p}`" for p in taken)))
    return table(
        ("name", "what it reads", "fields of `config.data` that it uses"), rows
    )


def executors() -> str:
    """How the runs of a sweep are done."""
    rows = []
    for name, entry in EXECUTORS.items():
        says = first_sentence(inspect.getmodule(entry.run).__doc__)
        settings = ", ".join(f"`executor.{s}`" for s in entry.settings)
        rows.append((f"`{name}`", says, settings))
    return table(("name", "how it does runs", "fields of its own"), rows)


def configs() -> str:
    """The configs that ship, with the first line of what their files say."""
    rows = []
    for name in config_names():
        text = ast.get_docstring(ast.parse(find_config(name).read_text()))
        rows.append((f"`{name}`", first_sentence(text)))
    return table(("name", "what it trains"), rows)


def extras() -> str:
    """What `pip install 'caejax[NAME]'` brings."""
    call = ast.parse((ROOT / "setup.py").read_text()).body[-1].value
    found = next(k.value for k in call.keywords if k.arg == "extras_require")
    rows = [
        (f"`{name}`", ", ".join(f"`{x.split(';')[0]}`" for x in packages))
        for name, packages in ast.literal_eval(found).items()
    ]
    return table(("extra", "packages that it installs"), rows)
