"""How far a model's outputs move when it is mended."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from caejax.diagnose import examples
from caejax.errors import CaejaxError
from caejax.report.intervals import mean_interval

Model = Callable[[np.ndarray], np.ndarray]
_NONE = 200.0  # dB of images that are the same


def measure(
    old: Model,
    new: Model,
    shape: Sequence[int | None],
    images: Path,
    targets: Path | None = None,
    kind: DTypeLike = np.float32,
) -> dict[str, Any]:
    """Runs both models on images.

    Args:
      old, new: from (1, C, n1, ..., nd) to (1, C', ...).
      shape: (C, n1, ..., nd) of what they take, None for any size.
      images: a folder, or one image.
      targets: a folder of what should come out, under the same names; or None.
      kind: of the numbers that the models take.

    Returns:
      The number of images, the mean PSNR between old and new outputs with its 95 %
      interval (None of one image), and with targets the mean PSNR of both against
      them, its change and that change's interval. The peak is 1 where all outputs of
      the old model lie in [-0.5, 1.5], and else their range.

    Raises:
      CaejaxError: no images, or none that fit; a target that is missing or of another
        shape.
    """
    paths = examples.find(images)
    read = (examples.read(path, shape, kind) for path in paths)
    made = [(old(x), new(x)) for x in read]
    low = min(float(y.min()) for y, _ in made)
    high = max(float(y.max()) for y, _ in made)
    peak = 1.0 if low >= -0.5 and high <= 1.5 else high - low
    found = {
        "count": len(made),
        "peak": peak,
        "between": _mean([_psnr(a, b, peak) for a, b in made]),
        "targets": None,
    }
    if targets is not None:
        wanted = [
            _target(targets, images, p, y)
            for p, (y, _) in zip(paths, made, strict=True)
        ]
        before = [_psnr(y, t, peak) for (y, _), t in zip(made, wanted, strict=True)]
        after = [_psnr(y, t, peak) for (_, y), t in zip(made, wanted, strict=True)]
        found["targets"] = {
            "before": _mean(before),
            "after": _mean(after),
            "change": _mean(list(np.subtract(after, before))),
        }
    return found


def _psnr(image, target, peak):
    error = float(np.mean((np.asarray(image, np.float64) - target) ** 2))
    return min(10 * float(np.log10(peak**2 / error)), _NONE) if error else _NONE


def _mean(values):
    """A mean in dB and its 95 % interval, which of two values tells nothing."""
    ends = None if len(values) < 3 else [float(x) for x in mean_interval(values)]
    return {"mean_db": float(np.mean(values)), "interval_db": ends}


def _target(targets, images, path, output):
    name = path.relative_to(images) if images.is_dir() else Path(path.name)
    wanted = targets / name if targets.is_dir() else targets
    if not wanted.exists():
        raise CaejaxError(f"--targets lacks {name}, which --images has")
    kind = output.dtype if output.dtype.kind in "iu" else np.float32
    return examples.read(wanted, output.shape[1:], kind)
