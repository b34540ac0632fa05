"""What the page shows of each run: pictures and curves, small enough for hundreds.

Curves become SVG and pictures bare PNG, drawn without matplotlib, which would take
a second for every few runs.
"""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from caejax.metrics.table import title
from caejax.report.channels import apart, planes
from caejax.report.figures import (
    QUALITY,
    all_positive,
    curve,
    in_greys,
    ripple,
    ripple_scale,
)
from caejax.report.read import RunFiles
from caejax.report.style import strip
from caejax.report.tables import all_numbers

CHART = 240, 110  # units of a chart's view box
_SIDE = 64  # larger pictures are cropped: to shrink them would change patterns
_NUMBERS = 80_000  # of all pictures of one run
_POINTS = 200  # of a curve
_STRIPS = ("target", "input", "output")
# What is drawn against the step, and of which splits.
_CURVES = {
    "loss": ("train", "val"),
    "psnr": ("train", "val"),
    "dc_ripple_db_s8": ("val",),
}


def panels(runs: dict[str, RunFiles]) -> dict[str, dict[str, Any]]:
    """Plain data for the template, by run; one grey scale for the ripples of all."""
    scale = ripple_scale(list(runs.values())) if runs else 1.0
    return {
        name: {
            "strips": _strips(run, scale),
            "charts": _charts(run),
            "psnr": run.summary.get(QUALITY),
            "all_numbers": all_numbers(run.summary),
        }
        for name, run in runs.items()
    }


def _strips(run, scale):
    """Rows of pictures, each a name and a PNG."""
    arrays = {name: run.samples[name] for name in _STRIPS}
    if "flat" in run.samples:
        told = f"ripple, black to white ±{in_greys(scale)} of 255"
        arrays[told] = ripple(run.samples["flat"], scale)
    count = _count(arrays["target"].shape)
    return [
        {"name": _strip_name(name, images), **png(_row(images[:count]))}
        for name, images in arrays.items()
    ]


def _strip_name(name, images):
    count = planes(images)
    name = name if count == 1 else f"{name}, channels 1 to {count}"
    return f"{name}, middle" if max(images.shape[1:3]) > _SIDE else name


def _count(shape):
    """How many pictures of (B, H, W, C) a strip has room for, at least two."""
    numbers = min(shape[1], _SIDE) * min(shape[2], _SIDE) * shape[3]
    return max(2, _NUMBERS // (4 * numbers))


def _row(images):
    """Pictures (B, H, W, C) side by side as 8-bit (h, w) or (h, w, 3).

    Other numbers of channels are one below the other, grey.
    """
    top, left = (max(0, (side - _SIDE) // 2) for side in images.shape[1:3])
    cut = images[:, top : top + _SIDE, left : left + _SIDE]
    row = apart(strip(cut))
    return np.round(255 * np.clip(row, 0, 1)).astype(np.uint8).squeeze()


def png(image: np.ndarray | bytes) -> dict[str, Any]:
    """An image for a page: its PNG in base64, its width and height in pixels.

    Args:
      image: an 8-bit image, (H, W) or (H, W, 3), or a PNG file's bytes.
    """
    if isinstance(image, np.ndarray):
        file = io.BytesIO()
        Image.fromarray(image).save(file, "PNG", optimize=True)
        image = file.getvalue()
    with Image.open(io.BytesIO(image)) as opened:
        width, height = opened.size
    text = base64.b64encode(image).decode()
    return {"png": text, "width": width, "height": height}


def _charts(run):
    charts = []
    for name, splits in _CURVES.items():
        curves = {split: _thinned(curve(run.rows, name, split)) for split in splits}
        curves = {split: points for split, points in curves.items() if points}
        if curves:
            log = name == "loss" and all_positive(run.rows, name)
            told = title(name) + ", log axis" * log
            charts.append({"title": told, **_chart(curves, log)})
    return charts


def _thinned(points):
    points = [point for point in points if np.isfinite(point[1])]
    every = -(-len(points) // _POINTS)
    return points[:: every or 1]


def _chart(
    curves: dict[str, Sequence[tuple[float, float]]], log: bool
) -> dict[str, Any]:
    """Scales curves to the view box; gives the ends of both axes as text."""
    x, y = np.array([point for points in curves.values() for point in points]).T
    scaled = np.log if log else np.asarray
    (left, right), (low, high) = ((z.min(), z.max()) for z in (x, scaled(y)))
    wide, tall = (max(span, 1e-12) for span in (right - left, high - low))
    width, height = CHART
    lines = {
        split: " ".join(
            f"{width * (a - left) / wide:.1f},"
            f"{height * (1 - (scaled(b) - low) / tall):.1f}"
            for a, b in points
        )
        for split, points in curves.items()
    }
    ends = {"low": f"{y.min():.3g}", "high": f"{y.max():.3g}"}
    return {"lines": lines, **ends, "first": f"{left:.0f}", "last": f"{right:.0f}"}
