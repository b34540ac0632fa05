"""The tour, a notebook, as a page with what its cells gave.

    python docs/generate/notebook.py

runs it, which takes some minutes, and keeps texts and figures in docs/notebooks/given,
as building the site takes them from there.
"""

import ast
import contextlib
import io
import json
import os
import platform
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

_COLUMNS = 96  # about those of a block on the page

TOUR = Path(__file__).parents[1] / "notebooks" / "tour.ipynb"
GIVEN = TOUR.parent / "given"


def cells(path: Path) -> list[tuple[str, str]]:
    """(kind, text) of a notebook's cells, kind "markdown" or "code"."""
    found = json.loads(path.read_text())["cells"]
    return [(cell["cell_type"], "".join(cell["source"])) for cell in found]


def page(path: Path = TOUR, given: Path = GIVEN) -> str:
    """Its text, its code as blocks, and what that gave when it was last run.

    Raises:
      ValueError: it was not run as it is now.
    """
    kept = json.loads((given / "given.json").read_text())
    found = cells(path)
    if [x["code"] for x in kept["cells"]] != [x for kind, x in found if kind == "code"]:
        raise ValueError(f"{path.name} has changed: python docs/generate/notebook.py")
    outputs, parts = iter(kept["cells"]), []
    for kind, text in found:
        parts.append(text if kind == "markdown" else _block("python", text))
        if kind == "code":
            parts += _shown(next(outputs), given.relative_to(path.parents[1]))
    return "\n\n".join([*parts, f"*These outputs are of {kept['machine']}.*"])


def _shown(cell, folder):
    if cell["text"]:
        yield _block("text", cell["text"])
    if cell["figure"]:
        yield f"![What the code above draws]({folder}/{cell['figure']})"


def _block(language, text):
    return f"```{language}\n{text.rstrip()}\n```"


def run(path: Path = TOUR, given: Path = GIVEN) -> None:
    """Runs the code in an empty folder, and keeps what it gives."""
    import jax
    import matplotlib

    matplotlib.use("agg")
    os.environ["COLUMNS"] = str(_COLUMNS)
    given.mkdir(exist_ok=True)
    names: dict[str, Any] = {"__name__": "tour"}
    done = []
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for number, (kind, text) in enumerate(cells(path)):
            if kind == "code":
                figure = given / f"{number}.png"
                done.append({"code": text, **_run_cell(text, names, figure)})
    packages = ", ".join(f"{x} {version(x)}" for x in ("caejax", "jax"))
    machine = f"{platform.machine()}, {jax.default_backend()}, {packages}"
    kept = {"machine": machine, "cells": done}
    (given / "given.json").write_text(f"{json.dumps(kept, indent=1)}\n")


class _Terminal(io.StringIO):
    """What is written to it is made for the columns of a terminal."""

    def isatty(self):
        return True


def _run_cell(text, names, figure):
    """What is printed, the value of a last line that is an expression, and a figure."""
    import matplotlib.pyplot as plt

    body = ast.parse(text).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(_Terminal()) as told:
        exec(compile(ast.Module(body, []), "tour", "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "tour", "eval"), names)
            if value is not None and not plt.get_fignums():
                print(repr(value))
    drawn = bool(plt.get_fignums())
    if drawn:
        plt.savefig(figure, dpi=100, bbox_inches="tight")
        plt.close("all")
    return {"text": told.getvalue(), "figure": figure.name if drawn else ""}


if __name__ == "__main__":
    run()
