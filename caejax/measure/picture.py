"""The figure of a measurement."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation

from caejax.errors import CaejaxError
from caejax.files.marks import is_figure
from caejax.measure.images import Seen
from caejax.measure.lines import KINDS, PERIODS, lattice
from caejax.measure.periods import beat
from caejax.measure.result import where
from caejax.measure.scores import FALSE_ALARMS, rarity, scores, surprises
from caejax.measure.search import Pattern
from caejax.measure.strengths import amplitudes
from caejax.report.figures import below
from caejax.report.style import PAGE, head, paper_style, save, series_style

_FAINTEST = 0.1  # of the evidence that is drawn
_RAREST = 1e-300
_BESIDE = 5  # points from a line of the spectrum to its mark, which is not to hide it


def place(path: Path) -> Path:
    """Where a figure of this name is written: as a PNG file.

    Raises:
      CaejaxError: it is named as a file of another kind.
    """
    if path.suffix.lower() in (".png", ""):
        return path.with_suffix(".png")
    raise CaejaxError(
        f"the figure is a PNG file and not {path.name!r:.100}; name it "
        f"{path.stem + '.png'!r:.100}"
    )


def check_free(path: Path) -> None:
    """Refuses to draw over a file that is no figure of caejax.

    Raises:
      CaejaxError: there is such a file.
    """
    if path.exists() and not is_figure(path):
        raise CaejaxError(
            f"{path} exists and is no figure of caejax, so it is not written over; "
            "name another --figure"
        )


def draw(path: Path, seen: Seen, found: Sequence[Pattern]) -> None:
    """Draws the mean spectrum, the evidence for each period, and a folded pattern.

    What is marked is what the table lists, in its order.
    """
    with paper_style():
        figure, (left, middle, right) = plt.subplots(
            1, 3, figsize=(PAGE, 3.3), width_ratios=(0.95, 1.3, 1.05)
        )
        head(figure, _setting(seen))
        _draw_spectrum(left, seen, found)
        _draw_evidence(middle, seen, found)
        _draw_pattern(right, seen, found)
        marks, names = left.get_legend_handles_labels()
        more, others = middle.get_legend_handles_labels()
        names += others
        figure.legend(marks + more, names, **below(names, PAGE))
        save(figure, path)


def _setting(seen):
    """What was measured, in a line."""
    count, (height, width) = len(seen.images), seen.size
    what = "1 image" if count == 1 else f"{count} images, the smallest"
    of = f"{what} of {width} x {height} pixels"
    return f"{of}, minus references" if seen.paired else of


def _look(index):
    """The mark of the index-th pattern of the table, in all panels."""
    style = series_style(index)
    return {"color": style["color"], "marker": style["marker"], "linestyle": ""}


def _draw_spectrum(axes, seen, found):
    image = axes.imshow(
        np.log10(seen.spectrum + 1e-3),
        extent=(0, 0.5, 0.5, -0.5),
        aspect="equal",
        interpolation="nearest",
    )
    axes.figure.colorbar(image, ax=axes, shrink=0.7, label="log10 of power")
    beside = ScaledTranslation(_BESIDE / 72, 0, axes.figure.dpi_scale_trans)
    for index, pattern in enumerate(found):
        peaks = [_right_half(y, x) for y, x, _ in pattern.peaks]
        axes.plot(
            [x for _, x in peaks],
            [y for y, _ in peaks],
            transform=axes.transData + beside,
            markersize=4,
            label=f"{pattern.period} {where(pattern._asdict())}",
            clip_on=False,
            **_look(index),
        )
    axes.set(xlabel="fx (1/pixel)", ylabel="fy (1/pixel)")
    axes.set_title("mean spectrum; marks are\nright of the strongest lines")
    axes.grid(False)


def _right_half(y, x):
    """The one of two mirror images that is drawn, fy from -1/2 to 1/2."""
    y, x = ((f + 0.5) % 1 - 0.5 for f in (y, x))
    return (-y, -x) if x < 0 else (y, x)


def _draw_evidence(axes, seen, found):
    """How rare chance is: a stem for what was found, a line for what is left then."""
    axes.plot(
        PERIODS,
        np.maximum(left_over(seen, found), _FAINTEST),
        color="0.5",
        linewidth=0.9,
        label="what is not listed",
    )
    for index, pattern in enumerate(found):
        rare = -np.log10(max(pattern.chance, _RAREST))
        look = _look(index)
        axes.plot([pattern.period] * 2, [_FAINTEST, rare], color=look["color"])
        axes.plot([pattern.period], [rare], markersize=6, **look)
    axes.axhline(
        -np.log10(FALSE_ALARMS),
        color="0.4",
        linestyle=":",
        linewidth=0.9,
        label="limit above which a period is listed",
    )
    axes.set(yscale="log", xscale="log")
    highest = axes.get_ylim()[1]
    powers = [10**n for n in range(-1, 6) if n < 2 or 10**n < highest]
    axes.set(
        title="evidence for each period;\nlisted ones are marked",
        xlabel="period (pixels, log scale)",
        ylabel="evidence (\u2212log10 of chance)",
        ylim=(_FAINTEST * 0.9, max(20, highest)),
        yticks=powers,
        yticklabels=[f"{x:g}" for x in powers],
        xticks=(2, 3, 4, 6, 8, 16, 32, 64),
        xticklabels=("2", "3", "4", "6", "8", "16", "32", "64"),
    )
    axes.minorticks_off()


def left_over(seen: Seen, found: Sequence[Pattern]) -> np.ndarray:
    """The evidence for what was not found, (63,): -log10 of chance, of all kinds.

    Lines of what was found are left out. NaN where none is left to see.
    """
    periods = tuple(x.period for x in found)
    if seen.jpeg:  # what their blocks have made of these is not listed
        periods += tuple(beat(period) for period in periods)
    rare = [
        rarity(surprises(scores(seen.lines[kind], kind, seen.size, periods), kind))
        for kind in KINDS
    ]
    return np.fmax.reduce(rare)


def _draw_pattern(axes, seen, found):
    axes.grid(False)
    if not found:
        axes.text(0.5, 0.5, "no pattern", ha="center", transform=axes.transAxes)
        axes.set(title="folded period", xticks=(), yticks=())
        return
    strongest = max(found, key=lambda x: x.grey)
    period = strongest.period
    tile = folded(seen, period, strongest.detail)
    limit = max(float(np.abs(tile).max()), 1e-6)
    image = axes.imshow(
        np.tile(tile, (2, 2)), cmap="RdBu_r", vmin=-limit, vmax=limit, origin="upper"
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator("auto", integer=True))
    axes.figure.colorbar(image, ax=axes, shrink=0.7, label="grey levels of 255")
    axes.set(
        title=f"the strongest: period {period},\ndrawn twice each way",
        xlabel="pixels",
        ylabel="pixels",
    )


def folded(seen: Seen, period: int, detail: bool) -> np.ndarray:
    """A period (S, S) of what stands out, in grey levels; its mean is zero."""
    spectrum = np.zeros((period, period), complex)
    shift = 0.0 if detail else 0.5
    for other in (x for x in KINDS if x.endswith("detail") == detail):
        _, own, amplitude, _ = amplitudes(seen.lines[other], other, period)
        of = lattice(other)
        y, x = np.rint(of.frequency[own] * period).astype(int).T
        # Differences lie half a pixel behind, and a quarter turn ahead, of the pixels.
        axes = (np.abs(of.frequency[own]) > 0) if shift else np.zeros((own.sum(), 2))
        turns = np.exp(2j * np.pi * shift * (of.frequency[own] * axes).sum(1))
        turned = amplitude[own] * turns.conj() * (-1j) ** axes.sum(1)
        spectrum[y, x] += turned
        mirrored = of.twins[own] == 2
        spectrum[-y[mirrored] % period, -x[mirrored] % period] += turned[
            mirrored
        ].conj()
    return np.fft.ifft2(spectrum).real * period**2
