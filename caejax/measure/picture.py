"""The figure of a measurement."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from caejax.measure.images import Seen
from caejax.measure.lines import KINDS, PERIODS, lattice
from caejax.measure.result import where
from caejax.measure.scores import FALSE_ALARMS, needed, scores, surprises
from caejax.measure.search import Pattern, amplitudes
from caejax.report.style import COLORS, PAGE, paper_style, save

_SHOWN = 3  # patterns whose lines are marked


def place(path: Path) -> Path:
    """Where a figure of this name is written: as a PNG file."""
    return path.with_suffix(".png")


def draw(path: Path, seen: Seen, found: Sequence[Pattern]) -> None:
    """Draws the mean spectrum, the evidence for each period, and a folded pattern."""
    with paper_style():
        figure, (left, middle, right) = plt.subplots(
            1, 3, figsize=(PAGE, 3.0), width_ratios=(0.75, 1.35, 1)
        )
        _draw_spectrum(left, seen, found)
        _draw_evidence(middle, seen, found)
        _draw_pattern(right, seen, found)
        save(figure, path)


def _draw_spectrum(axes, seen, found):
    axes.imshow(
        np.log10(seen.spectrum + 1e-3),
        extent=(0, 0.5, 0.5, -0.5),
        aspect="equal",
        interpolation="nearest",
    )
    for pattern, color in zip(found[:_SHOWN], COLORS, strict=False):
        peaks = [_right_half(y, x) for y, x, _ in pattern.peaks]
        axes.plot(
            [x for _, x in peaks],
            [y for y, _ in peaks],
            "o",
            markerfacecolor="none",
            color=color,
            markersize=7,
            label=f"{pattern.period} {where(pattern._asdict())}",
            clip_on=False,
        )
    if found:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2))
    axes.set(title="mean spectrum", xlabel="fx (1/pixel)", ylabel="fy (1/pixel)")
    axes.grid(False)


def _right_half(y, x):
    """The one of two mirror images that is drawn, fy from -1/2 to 1/2."""
    y, x = ((f + 0.5) % 1 - 0.5 for f in (y, x))
    return (-y, -x) if x < 0 else (y, x)


def _draw_evidence(axes, seen, found):
    periods = tuple(x.period for x in found)
    parts = [any(whole % s == 0 for whole in periods) for s in PERIODS]
    for kind, color in zip(KINDS, COLORS, strict=False):
        # What is found would else be seen beside itself, too.
        alone, rest = (
            surprises(scores(seen.lines[kind], kind, seen.size, explained), kind)
            for explained in ((), periods)
        )
        shown = np.maximum(np.where(parts, alone, rest), 0.1)
        axes.plot(PERIODS, shown, color=color, label=kind.replace("_", ", "))
    axes.axhline(needed(FALSE_ALARMS), color="0.4", linestyle="--", linewidth=0.8)
    powers = [10**n for n in range(-1, 6) if n < 3 or 10**n < axes.get_ylim()[1]]
    axes.set(
        title="evidence; found above the dashes",
        xlabel="period (pixels)",
        ylabel="-log10 of chance",
        yscale="log",
        xscale="log",
        yticks=powers,
        yticklabels=[f"{x:g}" for x in powers],
        xticks=(2, 3, 4, 6, 8, 16, 32, 64),
        xticklabels=("2", "3", "4", "6", "8", "16", "32", "64"),
    )
    axes.minorticks_off()
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)


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
    axes.figure.colorbar(image, ax=axes, shrink=0.7, label="grey levels")
    axes.set(title=f"period {period}, twice", xlabel="pixels")


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
