"""The tour, a notebook, as a page."""

import json
from pathlib import Path


def cells(path: Path) -> list[tuple[str, str]]:
    """(kind, text) of a notebook's cells, kind "markdown" or "code"."""
    found = json.loads(path.read_text())["cells"]
    return [(cell["cell_type"], "".join(cell["source"])) for cell in found]


def page(path: Path) -> str:
    """Its text, and its code as blocks."""
    return "\n\n".join(
        text if kind == "markdown" else f"```python\n{text}\n```"
        for kind, text in cells(path)
    )
