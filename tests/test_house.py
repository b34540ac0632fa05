"""Tests of how the code is laid out: who may import and name what."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = sorted((ROOT / "tests").rglob("*.py"))


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


def test_no_test_imports_a_test():
    found = [
        (path.name, name)
        for path in TESTS
        for program in programs(ast.parse(path.read_text()))
        for name in imported_modules(program)
        if any(part.startswith("test_") for part in name.split("."))
    ]
    assert not found


def test_imports_are_found_wherever_they_are():
    text = 'def f():\n    from this.that import x\nP = """\nimport some\n"""'
    names = {n for p in programs(ast.parse(text)) for n in imported_modules(p)}
    assert names == {"this.that", "this.that.x", "some"}
