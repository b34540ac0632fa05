"""Pictures of what the shipped denoisers do not do well, for their model card.

`python -m experiments.denoiser.ship --data=DIR` without runs draws them anew, of the
models that ship.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from scipy.ndimage import convolve1d

from caejax.report.channels import show_image
from caejax.report.crops import fullest
from caejax.report.style import PAGE, head, paper_style, save
from experiments.denoiser.measure import (
    Estimator,
    Photograph,
    leads,
    noisy,
    of_run,
    photographs,
    psnr,
)
from experiments.shared.rows import Row

SIDE = 112  # pixels of the part that is shown
_SEEN = "101087"  # of CBSD68: foliage before a bright sky


class Failure(NamedTuple):
    """One picture that a denoiser does not do well.

    Attributes:
      name: what is wrong with the input, in words.
      clean, given: the photograph and the input, (H, W, C) float64.
    """

    name: str
    clean: np.ndarray
    given: np.ndarray


def draw(kind: str, model: Path, data: Path, rows: list[Row], path: Path) -> None:
    """Draws and saves the failures of a model.

    Args:
      kind: "gray" or "color".
      model: the file of weights.
      data: the folder of BSDS500's images.
      rows: the rows of results.csv, in which all of CBSD68 is measured.
      path: where the figure goes.
    """
    failures = list(find(photographs(data, kind), kind, rows))
    with paper_style():
        save(figure(failures, of_run(model), model.stem), path)


def figure(failures: list[Failure], denoise: Estimator, name: str) -> Figure:
    """Rows of photograph, input, output: a part, with the PSNR of the whole."""
    size = PAGE, PAGE / 3 * len(failures) + 0.3
    drawn, axes = plt.subplots(len(failures), 3, figsize=size, squeeze=False)
    for line, failure in zip(axes, failures, strict=True):
        output = denoise(failure.given, 0).clip(0, 1)
        window = fullest(failure.clean, (SIDE, SIDE))
        given = failure.given.clip(0, 1)
        titles = (
            "photograph",
            f"{failure.name}: {psnr(given, failure.clean):.1f} dB",
            f"denoised: {psnr(output, failure.clean):.1f} dB",
        )
        images = (failure.clean, given, output)
        for axis, image, title in zip(line, images, titles, strict=True):
            show_image(axis, image[window])
            axis.set_title(title)
    head(
        drawn,
        f"{name} on CBSD68: parts of {SIDE} x {SIDE} pixels, PSNR of the whole "
        "photograph; noise in grey levels of 255",
    )
    return drawn


def find(of_cbsd68: list[Photograph], kind: str, rows: list[Row]) -> Iterator[Failure]:
    """The failures: one that is measured, and three of inputs not trained on."""
    by_name = {one.name: one for one in of_cbsd68}
    worst = by_name[str(behind(rows, kind, 50))]
    yield Failure("noise of 50", worst.clean, noisy(worst, 50))
    seen = by_name[_SEEN]
    yield Failure("noise of 100", seen.clean, noisy(seen, 100))
    shared = smoothed(noisy(seen, 25) - seen.clean)
    yield Failure("shared noise of 25", seen.clean, seen.clean + shared)
    yield Failure("JPEG of quality 10", seen.clean, as_jpeg(seen.clean))


def behind(rows: list[Row], kind: str, level: int) -> int:
    """The number of the image on which caejax is most behind BM3D, or least ahead."""
    found = leads(rows, kind, level)
    return min(found, key=found.get)


def smoothed(noise: np.ndarray) -> np.ndarray:
    """Noise (H, W, C) that neighbours share, of the same standard deviation.

    A binomial filter (1, 2, 1) each way, as of demosaicing.
    """
    for axis in (0, 1):
        noise = convolve1d(noise, [0.25, 0.5, 0.25], axis=axis, mode="reflect")
    return noise / (6 / 16)  # the root of the taps' squares' sum, for each axis


def as_jpeg(image: np.ndarray) -> np.ndarray:
    """An image (H, W, C) in [0, 1] after a JPEG file of quality 10."""
    pixels = np.uint8(np.rint(image * 255))
    file = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(file, "JPEG", quality=10)
    with Image.open(file) as read:
        return np.asarray(read, np.float64).reshape(image.shape) / 255
