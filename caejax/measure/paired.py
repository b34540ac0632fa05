"""How far images are from their references, by `caejax.metrics`."""

import importlib
from typing import Any

import numpy as np

from caejax.data.pictures import in_channels

PERIODS = (2, 4, 8)
_LEAST = 11  # pixels, of SSIM's window
_ROOM = 24  # pixels, of the patterns' metrics at period 8
_KEPT = 128  # images that those are taken of


class Paired:
    """Adds up pairs of images, of any sizes."""

    def __init__(self):
        self._values: list[dict[str, float]] = []
        self._kept: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, out: np.ndarray, ref: np.ndarray) -> dict[str, float]:
        """One pair's own metrics, images (H, W, C) in [0, 1]."""
        metrics: Any = importlib.import_module("caejax.metrics")
        pair = out[None], ref[None]
        values = {"psnr": float(metrics.psnr(*pair)[0])}
        if min(out.shape[:2]) >= _LEAST:
            values["ssim"] = float(metrics.ssim(*pair)[0])
        self._values.append(values)
        if len(self._kept) < _KEPT and min(out.shape[:2]) >= _ROOM:
            self._kept.append((in_channels(out, 1), in_channels(ref, 1)))
        return values

    def means(self) -> dict[str, float]:
        """Means over the images, and the metrics of the patterns that all share.

        Those are of the luma of at most 128 images, cropped at their ends to the size
        that all have.
        """
        names = dict.fromkeys(name for values in self._values for name in values)
        means = {
            name: float(np.mean([x[name] for x in self._values if name in x]))
            for name in names
        }
        return means | self._of_patterns()

    def _of_patterns(self):
        if not self._kept:
            return {}
        metrics: Any = importlib.import_module("caejax.metrics")
        units: Any = importlib.import_module("caejax.metrics.units")
        height, width = (min(out.shape[i] for out, _ in self._kept) for i in (0, 1))
        pair = [np.stack([x[i][:height, :width] for x in self._kept]) for i in (0, 1)]
        found = {}
        for s in PERIODS:
            found[f"lattice_peak_db_s{s}"] = float(metrics.lattice_peak_db(*pair, s))
            found[f"phase_var_db_s{s}"] = float(metrics.phase_var_db(*pair, s))
            if len(self._kept) > 1:
                power = float(metrics.lattice_power(*pair, s))
                found[f"lattice_grey_s{s}"] = units.grey_levels(power)
        return {k: v if np.isfinite(v) else None for k, v in found.items()}
