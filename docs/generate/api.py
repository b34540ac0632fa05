"""The reference of the Python interface, from signatures and docstrings."""

import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any

MODULES = {
    "caejax": "What `import caejax` gives.",
    "caejax.metrics": "Measures; all take and return arrays.",
    "caejax.metrics.table": "The table of measures.",
    "caejax.diagnose": "Which places of a model draw a grid.",
    "caejax.measure": "Patterns of any period in images.",
    "caejax.fix": "Models that draw no grid.",
    "caejax.export": "Models as files of other programs.",
    "caejax.models.upsampling": "Upsampling layers.",
    "caejax.models.diagnosis": "What a layer's kernel says, without data.",
    "caejax.models.torch_kernels": "Kernels to PyTorch's layout and back.",
    "caejax.models.protocol": "What every autoencoder answers.",
    "caejax.ops.polyphase": "The algebra of upsampling.",
    "caejax.ops.gains": "Kernels whose phases have one gain.",
    "caejax.corruptions": "Corruptions by name.",
    "caejax.losses": "Losses by name.",
    "caejax.data": "Images from any source.",
    "caejax.parameters": "What entries of tables by name share.",
    "caejax.sweep.executors.protocol": "What an executor is.",
}
"""The modules that the reference has, and what for."""

_SECTION = re.compile(r"(Args|Attributes|Returns|Raises|Yields|Example|Examples):$")


def page() -> str:
    """All modules."""
    return "\n".join(_module(name, says) for name, says in MODULES.items())


def _module(name: str, says: str) -> str:
    module = importlib.import_module(name)
    parts = [f"## {name}\n\n{says}\n"]
    if name not in ("caejax", "caejax.metrics"):
        parts.append(to_markdown(inspect.getdoc(module)) + "\n")
    # Of a room of one function, that stands with caejax's own.
    own = [x for x in public_names(module) if f"caejax.{x}" != name]
    parts += [_entry(name, x, getattr(module, x)) for x in own]
    return "\n".join(parts)


def public_names(module: Any) -> list[str]:
    """Functions and classes that a module defines, or says that it gives."""
    own = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or callable(value))
        and getattr(value, "__module__", "") == module.__name__
        and not inspect.ismodule(value)
    ]
    names = getattr(module, "__all__", own)
    found = [(name, getattr(module, name)) for name in names]
    return [n for n, x in found if callable(x) and not inspect.ismodule(x)]


def _entry(module: str, name: str, value: Any, depth: int = 3) -> str:
    kind = "class" if inspect.isclass(value) else "function"
    members = list(_members(value)) if kind == "class" else []
    inner = "\n".join(
        _directive("property" if isinstance(x, property) else "method", n, x, 3)
        for n, x in members
    )
    return _directive(kind, f"{module}.{name}", value, 4, inner)


def _members(value: type) -> Iterator[tuple[str, Any]]:
    """Documented methods and properties of a class that are its own."""
    for name, member in vars(value).items():
        function = member.fget if isinstance(member, property) else member
        plain = inspect.isfunction(function) and not name.startswith("_")
        if plain and inspect.getdoc(function):
            yield name, member


def _directive(kind: str, name: str, value: Any, colons: int, inner: str = "") -> str:
    fence = ":" * colons
    signature = "" if kind == "property" else _signature(value)
    text = to_markdown(_doc(value))
    return f"{fence}{{py:{kind}}} {name}{signature}\n{text}\n\n{inner}\n{fence}\n"


def _doc(value):
    text = inspect.getdoc(value) or ""
    # A NamedTuple's own is its signature.
    return "" if re.match(r"\w+\(.*\)$", text) else text


def _signature(value: Any) -> str:
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return "()"
    parts, empty = [], inspect.Parameter.empty
    for parameter in found.parameters.values():
        if parameter.name == "self":
            continue
        shown = parameter.default
        plain = isinstance(shown, int | float | str | tuple | type(None))
        if shown is not empty and not plain:
            parameter = parameter.replace(default=...)
        parts.append(parameter.replace(annotation=empty))
    return str(inspect.Signature(parts))


def to_markdown(text: str | None) -> str:
    """A docstring in Google's style as Markdown.

    Paragraphs stay, indented blocks become blocks of code, and what the sections list
    becomes lists.
    """
    lines, parts, at = (text or "").splitlines(), [], 0
    while at < len(lines):
        end = at + 1
        if found := _SECTION.fullmatch(lines[at]):
            while end < len(lines) and (not lines[end] or lines[end][0] == " "):
                end += 1
            body = textwrap.dedent("\n".join(lines[at + 1 : end])).strip("\n")
            parts.append(_section(found.group(1), body))
        else:
            while end < len(lines) and not _SECTION.fullmatch(lines[end]):
                end += 1
            parts.append(_paragraphs("\n".join(lines[at:end])))
        at = end
    return "\n\n".join(part for part in parts if part)


def _section(title: str, body: str) -> str:
    if title.startswith("Example"):
        return f"**{title}**\n\n```pycon\n{body}\n```"
    if title in ("Returns", "Yields"):
        return f"**{title}:** {_paragraphs(body)}"
    items = re.split(r"\n(?=\S)", body)
    return f"**{title}**\n\n" + "\n".join(map(_item, items))


def _item(text: str) -> str:
    name, _, says = text.partition(":")
    return f"- `{name.strip()}`: {_escaped(' '.join(says.split()))}"


def _paragraphs(text: str) -> str:
    blocks = re.split(r"\n\s*\n", text.strip("\n"))
    parts: list[str] = []
    for block in blocks:
        if block.startswith(("    ", "  ")):
            parts.append(f"```text\n{textwrap.dedent(block)}\n```")
        elif block.strip():
            parts.append(_escaped(block))
    return "\n\n".join(parts)


def _escaped(text: str) -> str:
    """What Markdown would read as markup, outside of `code`."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(
        x if x.startswith("`") else re.sub(r"([*$<\[\]_|])", r"\\\1", x) for x in pieces
    )
