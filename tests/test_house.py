"""Tests of how the code is laid out: who may import and name what."""

import ast
import collections
import functools
import graphlib
import importlib
import re
import subprocess
import sys
from pathlib import Path

from caejax.sweep.executors import EXECUTORS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "caejax"
TESTS = sorted((ROOT / "tests").rglob("*.py"))
# Rooms of the package, low to high: each imports from its own row and those above it.
ROWS = """
errors files parameters terminal weights
ops runtime
corruptions data losses models optimizers
metrics
config
training
sweep
report evaluation inference diagnose export
measure
fix commands interface
main apply __main__ __init__
"""


def syntax(path):
    return ast.parse(path.read_text())


def room_of(path):
    """The folder or file in the package's root that a file is or lies in."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_between_rooms():
    """Which other rooms each room imports, wherever in its files it does so."""
    rooms = {room_of(path): set() for path in PACKAGE.rglob("*.py")}
    for path in PACKAGE.rglob("*.py"):
        for name in imported_modules(syntax(path)):
            package, _, rest = name.partition(".")
            other = rest.split(".")[0]
            if package == "caejax" and other in rooms:
                rooms[room_of(path)].add(other)
    return {room: others - {room} for room, others in rooms.items()}


def test_no_line_for_people_names_a_file_of_the_repository():
    """Installed, there is none: configs go by name, and the rest is not there."""
    named = re.compile(
        r"\b(configs|experiments|tests|docs)/\w|README|CONTRIBUTING|CHANGELOG"
    )
    found = [
        f"{path.relative_to(ROOT)}: {text}"
        for path in PACKAGE.rglob("*.py")
        for text in texts(syntax(path))
        if named.search(text)
    ]
    assert not found


def texts(tree):
    """Strings that are no docstrings, parts of f-strings among them."""
    docstrings = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in docstrings
    ]


def test_no_arrow_points_up():
    level = {room: i for i, row in enumerate(ROWS.split("\n")) for room in row.split()}
    imports = imports_between_rooms()
    assert set(imports) <= set(level), "a room that has no row yet"
    up = [
        (room, other)
        for room, others in imports.items()
        for other in others
        if level[other] > level[room]
    ]
    assert not up


def test_contributors_are_told_of_every_room():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    files = (PACKAGE / "__init__.py", PACKAGE / "py.typed")
    for path in PACKAGE.iterdir():
        if path not in files and path.name != "__pycache__":
            assert f"`{path.name}{'/' * path.is_dir()}`" in text, path.name


def test_no_imports_go_in_a_circle():
    order = graphlib.TopologicalSorter(imports_between_rooms())
    assert list(order.static_order())


def test_the_root_of_the_package_is_small():
    assert len(list(PACKAGE.glob("*.py"))) <= 10


def test_executors_are_named_in_their_room_only():
    """Elsewhere but in the default config; words in comments and texts are free."""
    found = collections.Counter(
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(syntax(path))
        if isinstance(node, ast.Constant) and node.value in tuple(EXECUTORS)
    )
    places = {place for place in found if not place.startswith("sweep/executors/")}
    assert places == {"config/__init__.py"}
    assert found["config/__init__.py"] == 1


def test_jax_waits_until_it_is_needed():
    modules = ("caejax", "caejax.config", "caejax.main", "caejax.report.report")
    code = f"import sys, {', '.join(modules)}; print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.split() == [b"False"]


def imported_modules(tree):
    """Names of all modules that a syntax tree imports, wherever it does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield module
            yield from (f"{module}.{alias.name}".strip(".") for alias in node.names)


def programs(tree):
    """What a file runs: itself, and programs that it holds as strings."""
    yield tree
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                yield ast.parse(node.value)
            except (SyntaxError, ValueError):
                continue


def test_what_is_imported_from_the_package_is_there():
    """In studies, configs and tests, too, wherever in a file it is imported."""
    folders = (PACKAGE, ROOT / "experiments", ROOT / "configs", ROOT / "tests")
    for path in (path for folder in folders for path in folder.rglob("*.py")):
        for program in programs(syntax(path)):
            for name in imported_modules(program):
                if name.split(".")[0] == "caejax":
                    assert is_there(name), f"{path.name} imports {name}"


@functools.cache
def is_there(name):
    """Whether a dotted name is a module or something in one."""
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not error.name.startswith("caejax"):
            return True  # it needs an extra that is not installed
        module, _, last = name.rpartition(".")
        return hasattr(importlib.import_module(module), last)
    return True


def test_no_test_imports_a_test():
    found = [
        (path.name, name)
        for path in TESTS
        for program in programs(syntax(path))
        for name in imported_modules(program)
        if any(part.startswith("test_") for part in name.split("."))
    ]
    assert not found


def test_imports_are_found_wherever_they_are():
    text = 'def f():\n    from this.that import x\nP = """\nimport some\n"""'
    names = {n for p in programs(ast.parse(text)) for n in imported_modules(p)}
    assert names == {"this.that", "this.that.x", "some"}
