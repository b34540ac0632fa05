"""A sweep's decoders beside denoisers that are not trained, on the same images."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from caejax.config.ids import setting_id
from caejax.metrics.units import GREYS
from caejax.report.channels import aspect, show_image
from caejax.report.figures import comparable_runs, seeds_of, setting_of_compared
from caejax.report.read import RunFiles, SweepFiles, by_code
from caejax.report.style import PAGE, head, strip, wrapped

_EXAMPLES = 4
_ENLARGED = 2  # times
_TEXT = 0.45  # inches above and below the pictures
_ROOM = 0.6  # inches that a decoder's name takes
_GREY = 0.75
_ROWS = ("enlarged", "flat grey", "ramp")
_ON_FLAT = "pattern: RMS\n{} of 255"
_BLANK = "only models are given these, without noise: other denoisers do not upsample"
# From the least to the most that a denoiser knows.
_ORDER = ("median", "tv", "wavelet", "nlm", "bm3d", "pca", "posterior")


def denoisers(sweep: SweepFiles, width: float = PAGE) -> Figure | None:
    """Test images, corrupted, and what references and each decoder make of them.

    Below, the part of the first image that has most in it, enlarged; and what each
    model makes of a flat grey image and of a ramp, which no noise was added to. PSNRs
    are means over the test split, sizes of patterns the RMS in grey levels of 255 of
    what is drawn on the flat one. All columns share the swept values of the best PSNR,
    but for the decoder; they and the seed stand above.

    Returns:
      The figure; None where no reference has been measured on all test images.
    """
    runs = comparable_runs(sweep)
    if not runs:
        return None
    first = next(iter(runs.values()))
    references = _references(sweep, first)
    if not references:
        return None
    columns = {
        "target": first.samples["target"],
        f"input\n{_db(first.summary, 'test/psnr_noisy')}": first.samples["input"],
        **references,
        **{
            f"{name}\n{_db(run.summary, 'test/psnr')}": run.samples["output"]
            for name, run in runs.items()
        },
    }
    count = min(_EXAMPLES, len(first.samples["target"]))
    drawn = all("gallery_output" in run.samples for run in runs.values())
    plain = _plain(first.samples["gallery_input"]) if drawn else []
    size, each = width / len(columns), aspect(first.samples["target"][0])
    figure, axes = plt.subplots(
        2 + len(plain),
        len(columns),
        figsize=(width, size * (each * (count + 1) + len(plain)) + _TEXT * 2),
        height_ratios=(count * each, each, *[1] * len(plain)),
        squeeze=False,
    )
    turned = 90 if size < _ROOM else 0  # words that have no room side by side
    window = _fullest(first.samples["target"][0])
    for top, middle, (name, images) in zip(*axes[:2], columns.items(), strict=True):
        top.set_title(name, fontsize=7, rotation=turned)
        show_image(top, strip(images[:count], down=True))
        show_image(middle, images[0][window])
    if plain:
        _say_why_blank(axes[2:, 1 : -len(runs)], size)
    for row, index in zip(axes[2:], plain, strict=True):
        show_image(row[0], first.samples["gallery_input"][index])
        for axis, run in zip(row[-len(runs) :], runs.values(), strict=True):
            image = run.samples["gallery_output"][index]
            show_image(axis, image)
            if index == plain[0]:
                drawn = grey_levels(GREYS * _deviation(image))
                label = f"RMS\n{drawn}\nof 255" if turned else _ON_FLAT.format(drawn)
                axis.set_xlabel(label, fontsize=7)
    names = ("detail", "flat\ngrey", "ramp") if turned else _ROWS
    for row, text in zip(axes[1:], names, strict=False):
        row[0].set_ylabel(text, fontsize=7)
    head(figure, _shown(sweep, runs))
    return figure


def _say_why_blank(axes, size):
    """In the middle of the fields that only models fill, each so many inches wide."""
    grid, (rows, columns) = axes[0, 0].get_gridspec(), axes.shape
    for axis in axes.flat:
        axis.axis("off")
    field = axes[0, 0].figure.add_subplot(grid[-rows:, 1 : 1 + columns])
    field.axis("off")
    text = wrapped(_BLANK, 0.85 * size * columns, 7)
    look = {"ha": "center", "va": "center", "fontsize": 7, "color": "0.35"}
    field.text(0.5, 0.5, text, in_layout=False, **look)


def _shown(sweep, runs):
    """The setting that is shown, and whether others are not."""
    rest = "; tables have the means over seeds" if seeds_of(sweep) > 1 else ""
    return setting_of_compared(sweep, runs) + rest


def flat_patterns(runs: Mapping[str, RunFiles]) -> dict[str, float | None]:
    """The RMS, in grey levels of 255, of what each run draws on flat light grey.

    None where a run has no such picture.
    """
    return {name: _on_flat(run.samples) for name, run in runs.items()}


def grey_levels(value: float) -> str:
    """An RMS in grey levels, in digits that do not depend on a machine's rounding."""
    return f"{value:.1f}" if value < 9.95 else f"{value:.0f}"


def _on_flat(samples):
    if "gallery_output" not in samples or "gallery_input" not in samples:
        return None
    flat, _ = _plain(samples["gallery_input"])
    return GREYS * _deviation(samples["gallery_output"][flat])


def _references(sweep, run: RunFiles):
    """Outputs of the references for a run's setting, by the titles of their columns."""
    setting, size = setting_id(run.config), run.samples["target"].shape
    found = {}
    for row in by_code(sweep.references):  # as their pictures are
        images = sweep.reference_samples.get((row["setting"], row["reference"]))
        if row["setting"] == setting and images is not None and images.shape == size:
            title = f"{row['reference']}\n{_db(row, 'test/psnr')}"
            found[row["reference"]] = title, images
    return dict(found[name] for name in _ORDER if name in found)


def _db(values, name):
    return f"{values[name]:.1f} dB" if name in values else ""


def _plain(gallery: np.ndarray) -> list[int]:
    """Places of a light grey and of the first ramp among images (N, H, W, C)."""
    flat = gallery.std((1, 2)).max(-1) < 1e-6
    grey = flat & (np.ptp(gallery[:, 0, 0], axis=-1) < 1e-6)
    distance = np.where(grey, np.abs(gallery[:, 0, 0, 0] - _GREY), np.inf)
    return [int(distance.argmin()), int(flat.argmin())]


def _deviation(image):
    return float(image.std((0, 1)).mean())


def _fullest(image: np.ndarray) -> tuple[slice, slice]:
    """The window, half as high and as wide, in which an image (H, W, C) has most.

    What is not the median, be it brighter as in digits or darker as in print.
    """
    sides = [max(1, side // _ENLARGED) for side in image.shape[:2]]
    shades = image.mean(-1)
    shades = np.abs(shades - np.median(shades))
    windows = np.lib.stride_tricks.sliding_window_view(shades, sides)
    y, x = np.unravel_index(windows.sum((2, 3)).argmax(), windows.shape[:2])
    return slice(y, y + sides[0]), slice(x, x + sides[1])
