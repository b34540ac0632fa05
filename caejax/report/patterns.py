"""Figures of checkerboards: spectra, phase means, flat colours and gradients.

Each draws any number of runs side by side, given by name; those that left no
such data (models that are not convolutional) are passed over. They are drawn as wide as
asked for; above stands the setting that they were measured at.
"""

from collections.abc import Collection, Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.markers import CARETDOWN, CARETLEFT

from caejax.metrics.units import GREYS
from caejax.report.channels import grey, planes, show_image
from caejax.report.figures import below, in_greys, two_digits
from caejax.report.read import RunFiles
from caejax.report.style import PAGE, bare, head, strip, wrapped

Runs = Mapping[str, RunFiles]

_PANEL = 1.65  # inches, at least
_BESIDE = 1.0  # inches for what is written beside panels
_LINE = {7: 0.11, 8: 0.13}  # inches of a line, by the points of its letters
_BAR = {"shrink": 0.8, "pad": 0.02, "aspect": 40}
_PICTURES, _FEW = 5, 3  # of the gallery on a page, and where there is less room
_LETTER = 0.062  # inches, about
_TALLEST = 8.0  # inches of a gallery
_DECADES = 5  # of the spectrum's range that are shown, at most


def spectra(runs: Runs, setting: str = "", width: float = PAGE) -> Figure | None:
    """Mean power spectrum of the residuals, logarithmic, the lattice marked.

    Wedges outside of it, and so over no pixel, point at the rows and columns of odd
    multiples of 1/2, 1/4 and 1/8 cycle a pixel: a pattern of such a period has its
    power where one of them crosses another of them, or the middle.
    """
    arrays = _arrays(runs, "residual_spectrum")
    if not arrays:
        return None
    figure, axes, titles = _panels(arrays, 1.9, 0.6, width, setting)
    highest = np.log10(max(a.max() for a in arrays.values()))
    # All but the mean, which the residuals have not.
    least = min(a.ravel()[1:].min() for a in arrays.values())
    lowest = np.log10(max(least, 10.0 ** (highest - _DECADES)))
    for axis, title, power in zip(axes, titles, arrays.values(), strict=True):
        image = axis.imshow(
            np.log10(np.fft.fftshift(power) + 10.0 ** (highest - 2 * _DECADES)),
            extent=_extent(power.shape),
            vmin=lowest,
            vmax=highest,
            cmap="magma",
        )
        _mark_lattice(axis, power.shape)
        axis.set_title(title, pad=9)  # above the wedges
        limits = axis.get_xlim(), axis.get_ylim()
        ticks = [-0.5, 0]  # 0.5 is -0.5, and has no pixels of its own
        axis.set(xticks=ticks, yticks=ticks, xlim=limits[0], ylim=limits[1])
        axis.set_xlabel("cycles per pixel")
        axis.grid(False)
        if axis.get_subplotspec().is_first_col():
            axis.set_ylabel("cycles per pixel")
    bar = figure.colorbar(image, ax=list(axes), **_BAR)
    bar.set_label("log10 share of power")
    marks, names = axes[0].get_legend_handles_labels()
    figure.legend(marks, names, **below(names, figure.get_figwidth()))
    head(figure, setting)
    return _settled(figure)


def _extent(shape):
    """Edges of a shifted spectrum's outermost pixels, in cycles per pixel."""
    edges = [((-(n // 2) - 0.5) / n, ((n + 1) // 2 - 0.5) / n) for n in shape]
    (top, bottom), (left, right) = edges
    return left, right, bottom, top


def _mark_lattice(axis, shape):
    """Wedges with their tips at the upper and the right edge of a spectrum."""
    _, right, _, top = _extent(shape)
    for period, color, size in ((2, "#56B4E9", 30), (4, "#009E73", 20), (8, "0.5", 10)):
        if any(n % period for n in shape):
            continue
        places = [u / period for u in range(-period // 2, period // 2) if u % 2]
        edges = np.full(len(places), top), np.full(len(places), right)
        look = {"s": size, "color": color, "linewidths": 0, "clip_on": False}
        name = f"1/{period} cycle per pixel"
        axis.scatter(places, edges[0], marker=CARETDOWN, label=name, **look)
        axis.scatter(edges[1], places, marker=CARETLEFT, **look)


def phase_means(runs: Runs, setting: str = "", width: float = PAGE) -> Figure | None:
    """Heat maps of the residuals' phase means, whose mean is taken away.

    In grey levels of 255, on one scale for all. A checkerboard is in the map, and so is
    what is left of the images; only a map without structure says that there is none.
    """
    arrays = _arrays(runs, "residual_phase_means")
    if not arrays:
        return None
    maps = {name: GREYS * (a.mean(-1) - a.mean()) for name, a in arrays.items()}
    scale = max(1e-4, *(np.abs(a).max() for a in maps.values()))
    figure, axes, titles = _panels(maps, 1.9, 0.5, width, setting)
    for axis, title, values in zip(axes, titles, maps.values(), strict=True):
        image = axis.imshow(values, vmin=-scale, vmax=scale, cmap="RdBu_r")
        rms = f"RMS {two_digits(np.sqrt(np.mean(values**2)))} of 255"
        axis.set_title(f"{title}\n{rms}".strip())
        ticks = [0, len(values) // 2, len(values) - 1]
        axis.set(xticks=ticks, yticks=ticks)
        axis.grid(False)
    figure.supxlabel("column phase: column of pixels within a period", fontsize=8)
    for axis in axes:
        if axis.get_subplotspec().is_first_col():
            axis.set_ylabel("row phase")
    bar = figure.colorbar(image, ax=list(axes), **_BAR)
    bar.set_label("mean residual\n(grey levels of 255)")
    head(figure, setting)
    return _settled(figure)


def gallery(runs: Runs, setting: str = "", width: float = PAGE) -> Figure | None:
    """Flat colours and gradients, what each run makes of them, and its ripple.

    A row a run, outputs on the left. The ripple is the linear output without its
    trend, on one grey scale for all, whose ends are told in grey levels of 255.
    """
    ripples = _arrays(runs, "gallery_ripple")
    if not ripples:
        return None
    inputs = runs[next(iter(ripples))].samples["gallery_input"]
    most = _PICTURES if width == PAGE else _FEW
    chosen = np.linspace(0, len(inputs) - 1, min(len(inputs), most)).round()
    chosen = chosen.astype(int)
    # Darker than the darkest panel would leave the others grey.
    scale = max(1e-3, *(np.quantile(np.abs(a), 0.95) for a in ripples.values()))
    count = 1 + len(ripples)
    tall = max(planes(runs[name].samples["gallery_output"]) for name in ripples)
    labels = {name: wrapped(name or "output", width / 4, 8) for name in ripples}
    lines = [line for text in ("input", *labels.values()) for line in text.split("\n")]
    room = width - 0.2 - _LETTER * max(map(len, lines))
    size = min(room / (2 * len(chosen)), _TALLEST / count)
    figure, axes = plt.subplots(
        count, 2, figsize=(width, size * tall * count + 0.6), squeeze=False
    )
    bare(axes[0, 1])
    _pictures(axes[0, 0], inputs[chosen])
    axes[0, 0].set_ylabel("input", rotation=0, ha="right", va="center")
    axes[0, 0].set_title("input and outputs")
    for row, (name, ripple) in zip(axes[1:], ripples.items(), strict=True):
        _pictures(row[0], runs[name].samples["gallery_output"][chosen])
        _pictures(row[1], 0.5 + 0.5 * grey(ripple[chosen]) / scale)
        row[0].set_ylabel(labels[name], rotation=0, ha="right", va="center")
    ends = in_greys(scale)
    title = f"ripple, grey levels of\n255: black −{ends},\nwhite +{ends}"
    axes[0, 1].text(0.5, 0, title, ha="center", transform=axes[0, 1].transAxes)
    head(figure, setting)
    return figure


def _pictures(axis, images):
    """Draws (B, H, W, C) side by side, framed: some are white."""
    show_image(axis, strip(np.clip(images, 0, 1)))
    axis.spines[:].set(visible=True, color="0.8", linewidth=0.4)


def _arrays(runs, name):
    return {k: run.samples[name] for k, run in runs.items() if name in run.samples}


def _panels(
    names: Collection[str], height: float, extra: float, width: float, top: str
):
    """A grid of panels with such names, below a head.

    Returns:
      The figure, the used panels and their names in lines that fit.
    """
    count = len(names)
    columns = min(count, max(1, int(width / _PANEL)))
    rows = -(-count // columns)
    across = min(width, _BESIDE + 1.7 * columns)
    room = 0.85 * (across - _BESIDE) / columns  # some letters are wide
    titles = [wrapped(name, room, 8) for name in names]
    more = max(title.count("\n") for title in titles)
    # Where the page's width makes them smaller, they need less height.
    height *= min(1.0, width / (_BESIDE + 1.7 * columns))
    height += _LINE[8] * more
    extra += _LINE[7] * wrapped(top, across, 7).count("\n")
    figure, grid = plt.subplots(
        rows, columns, figsize=(across, height * rows + extra), squeeze=False
    )
    axes = list(grid.flat)
    for axis in axes[count:]:
        axis.set_visible(False)
    return figure, axes[:count], titles


def _settled(figure):
    """The figure, laid out once: panels of fixed shape find their places at the second
    time, and until then what is written above and below lies on them.
    """
    figure.draw_without_rendering()
    return figure
