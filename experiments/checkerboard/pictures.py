"""What the galleries show of an arm's runs, in 8 bits, to a small file and back."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from caejax.files.atomic import replacing

SHOWN = 4  # pictures a decoder
STRETCH = 0.2  # half the range in which ripple is shown

Pictures = dict[str, np.ndarray]


def chosen(samples: Mapping[str, Mapping[str, np.ndarray]]) -> Pictures:
    """The first images, what each decoder makes of them, and of a constant code.

    Args:
      samples: the arrays of samples.npz by decoder.

    Returns:
      kinds (K,) of the decoders; target and input (N, H, W, C), output (K, N, H, W, C)
      and ripple (K, H, W), without its mean and from -`STRETCH` to `STRETCH`, uint8.
    """
    first = next(iter(samples.values()))
    side = first["target"].shape[1]
    flats = [_ripple(arrays["flat"][0], side) for arrays in samples.values()]
    return {
        "kinds": np.array(list(samples)),
        "target": _bits(first["target"][:SHOWN]),
        "input": _bits(first["input"][:SHOWN]),
        "output": _bits(np.stack([x["output"][:SHOWN] for x in samples.values()])),
        "ripple": _bits(0.5 + 0.5 * np.stack(flats) / STRETCH),
    }


def _bits(images):
    return np.uint8(np.rint(255 * np.clip(images, 0, 1)))


def _ripple(image, side):
    """A constant code's image without its mean, (side, side), the first channel."""
    ripple = (image - image.mean((0, 1), keepdims=True))[..., 0]
    times = -(-side // min(ripple.shape))
    return np.tile(ripple, (times, times))[:side, :side]


def write(pictures: Pictures, path: Path) -> None:
    """Writes what `chosen` has found."""
    with replacing(path) as file:
        np.savez_compressed(file, **pictures)


def read(path: Path) -> Pictures | None:
    """Reads what `write` wrote; None where there is nothing."""
    if not path.exists():
        return None
    with np.load(path) as arrays:
        return dict(arrays)
