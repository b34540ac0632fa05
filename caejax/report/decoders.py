"""Kinds of upsampling as reports show them: a sentence and one look each.

JAX is not imported here, so the kinds of `caejax.models.kinds.UPSAMPLING` are named
once more, in its order; a test holds the two together.
"""

import re
import zlib
from collections.abc import Sequence

from caejax.report.style import COLORS, series_style

_CLEAN = "; no checkerboard on constant codes, whatever is learnt"
_MAY = "; draws a checkerboard unless its phases happen to learn equal gains"

SENTENCES = {
    "deconv_k2": f"Transposed convolution 2 x 2 of stride 2, without overlap{_MAY}",
    "deconv_k3": f"Transposed convolution 3 x 3 of stride 2, whose kernels overlap "
    f"unevenly{_MAY}",
    "deconv_k4": f"Transposed convolution 4 x 4 of stride 2, whose kernels overlap "
    f"evenly{_MAY}",
    "deconv_k5": f"Transposed convolution 5 x 5 of stride 2, whose kernels overlap "
    f"unevenly{_MAY}",
    "deconv_k6": f"Transposed convolution 6 x 6 of stride 2, whose kernels overlap "
    f"evenly{_MAY}",
    "nearest_k3": f"Every pixel doubled, then a convolution 3 x 3{_CLEAN}",
    "bilinear_k3": f"Bilinear resize, then a convolution 3 x 3{_CLEAN}",
    "bicubic_k3": f"Bicubic resize, then a convolution 3 x 3{_CLEAN}",
    "shuffle_k3": "Sub-pixel convolution: a convolution 3 x 3 to four times the "
    f"channels, which become the four phases{_MAY}",
    "shuffle_icnr": "Sub-pixel convolution whose four phases start with the same "
    "kernel; no checkerboard at the start, but training may bring one",
    "shuffle_hold": "Sub-pixel convolution, then an average over 2 x 2 pixels" + _CLEAN,
    "deconv_k3_fir": f"Transposed convolution 3 x 3, then a fixed blur{_CLEAN}",
    "bilinear_additive": "Bilinear resize, sums of four channels, then a convolution "
    f"3 x 3{_CLEAN}",
    "deconv_k4_tied": "Transposed convolution 4 x 4 whose phases are held to one "
    f"gain{_CLEAN}",
    "shuffle_tied": f"Sub-pixel convolution whose phases are held to one gain{_CLEAN}",
    "nearest_k5": f"Every pixel doubled, then a convolution 5 x 5{_CLEAN}",
    "carafe": "Each pixel is a mean of its neighbourhood with weights that the content "
    f"makes, then a convolution 3 x 3{_CLEAN}",
    "dysample": "Pixels are read between others at offsets that the content makes, "
    f"then a convolution 3 x 3{_CLEAN}",
}
# By its place a kind would have that of another one with which it is often drawn: there
# are fewer colours than kinds.
_COLOR = {"shuffle_icnr": COLORS[4], "deconv_k4_tied": COLORS[5]}


def style_of(name: str) -> dict[str, str]:
    """Colour, marker and line of a decoder, the same wherever it is drawn.

    Args:
      name: a key of `SENTENCES`; what else a config has called upsampling, several
        kinds in a row for instance, gets a look that depends on its name alone.
    """
    kinds = list(SENTENCES)
    if name in kinds:
        look = series_style(kinds.index(name))
        return look | {"color": _COLOR.get(name, look["color"])}
    return series_style(len(kinds) + zlib.crc32(name.encode()) % 3)


def styles(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """The look of each series of a figure, by its name.

    Args:
      names: the series' names. Those of which a part, up to a comma or the line's end,
        is a decoder have its colour; several of one decoder differ in marker and line.
        Others go by their place.
    """
    found: dict[str, dict[str, str]] = {}
    used: list[str] = []
    for place, name in enumerate(names):
        parts = re.split(r", |\n", name)
        decoder = next((part for part in parts if part in SENTENCES), None)
        if decoder is None:
            found[name] = series_style(place)
            continue
        turn = used.count(decoder)
        other = series_style(list(SENTENCES).index(decoder) + 7 * turn)
        found[name] = other | {"color": style_of(decoder)["color"]}
        used.append(decoder)
    return found


def sentence(name: str) -> str:
    """What a decoder is, or nothing where that is not known."""
    text = SENTENCES.get(name, "")
    return f"{text}." if text else ""
