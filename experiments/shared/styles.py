"""Colours and lines that mean the same in all studies."""

from caejax.report.decoders import style_of

GREY = "#999999"  # of what is beside the point: single seeds, lines of reference


def kind_style(kind: str) -> dict[str, str]:
    """Colour, marker and line of a kind of upsampling, the same in every figure."""
    return style_of(kind)


def points(style: dict[str, str]) -> dict[str, str]:
    """A style without its line."""
    return {**style, "linestyle": "none"}
