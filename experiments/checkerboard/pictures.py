"""What the galleries show of an arm's runs, in 8 bits."""

from collections.abc import Mapping

import numpy as np

from experiments.shared.pictures import as_bytes

SHOWN = 4  # pictures a decoder
STRETCH = 0.2  # half the range in which ripple is shown


def chosen(samples: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
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
        "target": as_bytes(first["target"][:SHOWN]),
        "input": as_bytes(first["input"][:SHOWN]),
        "output": as_bytes(np.stack([x["output"][:SHOWN] for x in samples.values()])),
        "ripple": as_bytes(0.5 + 0.5 * np.stack(flats) / STRETCH),
    }


def _ripple(image, side):
    """A constant code's image without its mean, (side, side), the first channel."""
    ripple = (image - image.mean((0, 1), keepdims=True))[..., 0]
    times = -(-side // min(ripple.shape))
    return np.tile(ripple, (times, times))[:side, :side]
