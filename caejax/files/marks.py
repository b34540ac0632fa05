"""A mark in PNG files that are figures, by which they are told from images."""

from pathlib import Path

FIGURE = "a figure of caejax"  # the text of a chunk that comes before the pixels
_START = 1024  # bytes


def is_figure(path: Path) -> bool:
    """Whether a file is a figure that caejax drew; not so where it cannot be read."""
    try:
        with path.open("rb") as file:
            return FIGURE.encode() in file.read(_START)
    except OSError:
        return False
