"""Pages of the site that are made from the code, anew with each build."""

from collections.abc import Callable, Mapping
from pathlib import Path

from generate import api, commands, fields, notebook, studies, tables

ROOT = Path(__file__).parents[2]


def _contributing() -> str:
    return (ROOT / "CONTRIBUTING.md").read_text().replace("](docs/", "](")


PAGES: Mapping[str, Callable[[], str]] = {
    "fields.md": fields.page,
    "commands.md": commands.page,
    "api.md": api.page,
    "decoders.md": tables.decoders,
    "sources_of_decoders.md": tables.sources_of_decoders,
    "metrics.md": tables.metrics,
    "corruptions.md": tables.corruptions,
    "losses.md": tables.losses,
    "sources.md": tables.sources,
    "executors.md": tables.executors,
    "configs.md": tables.configs,
    "extras.md": tables.extras,
    "tour.md": notebook.page,
    "changelog.md": lambda: (ROOT / "CHANGELOG.md").read_text(),
    "contributing.md": _contributing,
}
"""By file, what makes its Markdown."""


def write_all(folder: Path) -> None:
    """Writes all pages, the studies and the pictures of the science pages."""
    from generate import pictures

    folder.mkdir(parents=True, exist_ok=True)
    for name, make in PAGES.items():
        (folder / name).write_text(make())
    studies.write(ROOT / "experiments", folder / "studies")
    pictures.write(folder / "pictures")
