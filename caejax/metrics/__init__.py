"""What is measured: a table of metrics, their functions, and one evaluator.

The functions can be had from here, `caejax.metrics.psnr` for instance; JAX is imported
with the first of them, so that reports can read the table without it. From here they
take arrays of NumPy, JAX and PyTorch, and lists of these.
"""

import importlib
from typing import Any

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
    return globals().setdefault(name, found)


def __dir__() -> list[str]:
    return sorted(__all__)
