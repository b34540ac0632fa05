"""How all figures look: sizes of a two-column paper, colours safe for all eyes."""

import contextlib
import io
import os
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from caejax.files.atomic import replacing
from caejax.files.marks import FIGURE

COLUMN, PAGE = 3.25, 6.75  # inches
NARROW = 3.4  # inches that a telephone shows with letters that can be read

# Okabe and Ito (2008), yellow left out: it is too pale for lines.
COLORS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX"

_SETTINGS = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.linewidth": 0.4,
    "grid.alpha": 0.5,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "image.cmap": "gray",
    "image.interpolation": "nearest",
    "savefig.dpi": 200,
    "pdf.fonttype": 42,
    "text.parse_math": False,  # a dollar may be part of a name
}


@contextlib.contextmanager
def paper_style() -> Iterator[None]:
    """Draws with the house's settings, whatever the user's are, and without windows.

    Afterwards the user's are as they were.
    """
    chosen = mpl.get_backend(auto_select=False)
    ours = {name: x for name, x in mpl.rcParamsDefault.items() if name != "backend"}
    with plt.rc_context(), warnings.catch_warnings():
        # Letters that the font lacks are drawn as boxes.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        plt.switch_backend("agg")  # changes some settings itself
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", mpl.MatplotlibDeprecationWarning)
            mpl.rcParams.update(ours | _SETTINGS)
        yield
    if chosen not in (None, "agg"):
        # A backend that does not work here is the user's matter.
        with contextlib.suppress(Exception):
            plt.switch_backend(chosen)


def save(figure: Figure, path: Path, *, formats: tuple[str, ...] = ("png",)) -> None:
    """Saves a figure under path with each suffix, and closes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for suffix in formats:
        # Without a date, equal figures are equal files.
        metadata = {"pdf": {"CreationDate": None}, "png": {"Description": FIGURE}}
        place = path.with_suffix(f".{suffix}")
        with _no_date(), replacing(place) as file:
            figure.savefig(file, format=suffix, metadata=metadata.get(suffix))
        # Laid out once is enough, and what takes most of the time.
        figure.set_layout_engine("none")
    plt.close(figure)


def to_png(figure: Figure) -> bytes:
    """A figure as a PNG file, and closes it."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    plt.close(figure)
    return file.getvalue()


@contextlib.contextmanager
def _no_date():
    """Matplotlib reads the date, which is not written, even where it is none."""
    name = "SOURCE_DATE_EPOCH"
    date = os.environ.pop(name, None)
    try:
        yield
    finally:
        if date is not None:
            os.environ[name] = date


def series_style(index: int) -> dict[str, str]:
    """Colour, marker and line of the index-th series, the same in all figures.

    Beyond the seventh the lines are dashed and the markers others, beyond the
    fourteenth dotted and others again, so that 21 series can be told apart.
    """
    turn, i = divmod(index, len(COLORS))
    return {
        "color": COLORS[i],
        "marker": MARKERS[(i + 3 * turn) % len(MARKERS)],
        "linestyle": ("-", "--", ":")[turn % 3],
    }


def head(figure: Figure, text: str) -> None:
    """Writes above a figure what it was measured at, in lines that fit its width."""
    figure.suptitle(wrapped(text, figure.get_figwidth() - 0.1, 7), fontsize=7)


def wrapped(text: str, width: float, points: float) -> str:
    """A text in lines of at most so many inches, in letters of so many points."""
    # Letters are a little over half as wide as high.
    letters = max(8, int(width * 72 / (0.56 * points)))
    return "\n".join(textwrap.fill(line, letters) for line in text.split("\n"))


def bare(axis: Axes) -> None:
    """Leaves nothing of an axis but what is drawn in it."""
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    axis.grid(False)


def strip(images: np.ndarray, *, down: bool = False) -> np.ndarray:
    """Pictures side by side, or one below the other, with white between them.

    One axis for many pictures is drawn many times as fast as an axis each.

    Args:
      images: the pictures, (B, H, W, C) in [0, 1].
      down: whether to put them one below the other.

    Returns:
      One picture, (H, W', C), or (H', W, C).
    """
    axis = 1 if down else 2
    shape = list(images.shape)
    shape[axis] = gap = max(1, shape[axis] // 14)
    spaced = np.concatenate([images, np.ones(shape)], axis)
    joined = np.concatenate(list(spaced), axis - 1)
    return joined[:-gap] if down else joined[:, :-gap]
