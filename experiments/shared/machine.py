"""What a study ran on, in words and as plain data."""

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import jax


def versions(packages: Sequence[str]) -> dict[str, str]:
    """The packages' versions by name, "not installed" where they are not."""
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def in_words(values: Mapping[str, Any]) -> str:
    """One line of names and values: "machine x86_64, cores 2"."""
    return ", ".join(f"{name} {value}" for name, value in values.items())


def elapsed(seconds: float, packages: Sequence[str] = ("jax", "numpy")) -> str:
    """The line a study ends with: its seconds, JAX's platform and the versions."""
    software = {"Python": platform.python_version(), **versions(packages)}
    return f"{seconds:.0f} s on {jax.devices()[0].platform}, {in_words(software)}"
