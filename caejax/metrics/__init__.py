"""What is measured: a table of metrics, their functions, and one evaluator.

The functions can be had from here, `caejax.metrics.psnr` for instance; JAX is imported
with the first of them, so that reports can read the table without it. From here they
take arrays of NumPy, JAX and PyTorch, and lists of these.
"""

import functools
import importlib
from typing import Any

from caejax.errors import WrongValue
from caejax.metrics.table import METRICS, PERIODS, Metric
from caejax.ops.foreign import taking_any

_FUNCTIONS = {
    "caejax.metrics.quality": ("bce", "mse", "psnr", "ssim"),
    "caejax.metrics.responses": ("constant_response",),
    "caejax.metrics.checkerboard": (
        "dc_ripple_db",
        "dc_ripple_relative_db",
        "grad_phase_db",
        "lattice_peak_db",
        "lattice_peak_unpaired_db",
        "lattice_power",
        "phase_var_cv",
        "phase_var_db",
    ),
    "caejax.metrics.ramps": ("ramp_ripple_db",),
    "caejax.metrics.shifts": ("shift_error_db",),
    "caejax.metrics.visibility": (
        "contrast_sensitivity",
        "pattern_visibility",
        "ripple_visibility",
    ),
    "caejax.metrics.overlap": ("overlap_db",),
    "caejax.metrics.lattice": ("spectrum",),
    "caejax.metrics.phases": ("phase_means",),
}
_MODULE_OF = {name: module for module, names in _FUNCTIONS.items() for name in names}

__all__ = ["METRICS", "PERIODS", "Metric", *_MODULE_OF]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"caejax.metrics has no {name!r}")
    found = taking_any(getattr(importlib.import_module(_MODULE_OF[name]), name))
    return globals().setdefault(name, _hinting(found))


def _hinting(function):
    """A function whose errors say so where images have the order of PyTorch."""

    @functools.wraps(function)
    def call(*args, **named):
        try:
            return function(*args, **named)
        except ValueError as error:
            shapes = (getattr(x, "shape", ()) for x in (*args, *named.values()))
            turned = [shape for shape in shapes if _channels_first(shape)]
            if not turned:
                raise
            b, c, h, w = turned[0]
            raise WrongValue(
                f"{error}; images are (B, H, W, C), and {(b, c, h, w)} looks like "
                "PyTorch's (B, C, H, W): hand over x.transpose(0, 2, 3, 1), or of a "
                "tensor x.permute(0, 2, 3, 1)"
            ) from error

    return call


def _channels_first(shape):
    return len(shape) == 4 and shape[1] in (1, 3) and min(shape[2:]) > 4


def __dir__() -> list[str]:
    return sorted(__all__)
