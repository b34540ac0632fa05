"""A sweep's decoders beside denoisers that are not trained, on the same images."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from caejax.config.ids import setting_id
from caejax.metrics.table import METRICS, PERIODS, column
from caejax.report.channels import aspect, show_image
from caejax.report.figures import comparable_runs, ripple, ripple_scale
from caejax.report.read import RunFiles, SweepFiles
from caejax.report.style import PAGE, strip

_EXAMPLES = 4
_ENLARGED = 2  # times
_TEXT = 0.45  # inches above and below the pictures
# From the least to the most that a denoiser knows.
_ORDER = ("median", "tv", "wavelet", "nlm", "bm3d", "pca", "posterior")


def denoisers(sweep: SweepFiles, width: float = PAGE) -> Figure | None:
    """Test images, corrupted, and what references and each decoder make of them.

    Below, the part of the first image that has most in it, enlarged, and what each
    decoder makes of a constant code. PSNRs are means over the test split, sizes of
    patterns RMS in grey levels of 255. All columns share the swept values of the best
    PSNR, but for the decoder.

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
    size, each = width / len(columns), aspect(first.samples["target"][0])
    figure, axes = plt.subplots(
        3,
        len(columns),
        figsize=(width, size * each * (count + 2) + 2 * _TEXT),
        height_ratios=(count, 1, 1),
        squeeze=False,
    )
    window = _fullest(first.samples["target"][0])
    for top, middle, (name, images) in zip(*axes[:2], columns.items(), strict=True):
        top.set_title(name, fontsize=7)
        show_image(top, strip(images[:count], down=True))
        show_image(middle, images[0][window])
    scale = ripple_scale(list(runs.values()))
    own = axes[2, -len(runs) :]
    for axis, run in zip(own, runs.values(), strict=True):
        show_image(axis, ripple(run.samples["flat"][:1], scale)[0])
        axis.set_xlabel(_grey_levels(run), fontsize=7)
    for axis in axes[2, : -len(runs)]:
        axis.axis("off")
    axes[1, 0].set_ylabel("enlarged", fontsize=7)
    own[0].set_ylabel("constant code", fontsize=7)
    return figure


def _references(sweep, run: RunFiles):
    """Outputs of the references for a run's setting, by the titles of their columns."""
    setting, size = setting_id(run.config), run.samples["target"].shape
    found = {}
    for row in sweep.references:
        images = sweep.reference_samples.get((row["setting"], row["reference"]))
        if row["setting"] == setting and images is not None and images.shape == size:
            title = f"{row['reference']}\n{_db(row, 'test/psnr')}"
            found[row["reference"]] = title, images
    return dict(found[name] for name in _ORDER if name in found)


def _db(values, name):
    return f"{values[name]:.1f} dB" if name in values else ""


def _grey_levels(run):
    """RMS of what a decoder draws on a constant code, as the output shows it."""
    for name in ("dc_ripple_image_grey", "dc_ripple_grey"):
        value = run.summary.get(column(METRICS[name], max(PERIODS), "test"))
        if value is not None:
            return f"{value:.2g} of 255"
    return ""


def _fullest(image: np.ndarray) -> tuple[slice, slice]:
    """The window, half as high and as wide, in which an image (H, W, C) has most."""
    sides = [max(1, side // _ENLARGED) for side in image.shape[:2]]
    windows = np.lib.stride_tricks.sliding_window_view(image.mean(-1), sides)
    y, x = np.unravel_index(windows.sum((2, 3)).argmax(), windows.shape[:2])
    return slice(y, y + sides[0]), slice(x, x + sides[1])
