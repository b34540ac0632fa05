"""Artifacts to plant on images, and changes that are no artifacts: the controls.

All images are float32 (B, H, W, 1) of data range 1, sides multiples of the period.
Only JPEG clips to [0, 1]: black paper and white ink would swallow half of a pattern,
and how much is a question about output activations, not about metrics.
"""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, shift

BASE_BLUR = 1.0
"""Standard deviation, in pixels, of the Gaussian that stands for a model."""

BASE_NOISE = 0.01
"""Standard deviation of a base's white noise."""

LOW_PASS = 4.0
"""Standard deviation, in pixels, of the Gaussian before the low-pass modulation."""

CHECKER = np.array([[1, -1], [-1, 1]], np.float32)
"""The one pattern of period 2 whose phases all have the same power."""


def blur(images: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur over space, borders reflected."""
    return gaussian_filter(images, (0, sigma, sigma, 0))


def base(rng: np.random.Generator, targets: np.ndarray) -> np.ndarray:
    """What a model without checkerboards might make: soft, and a little noisy."""
    noise = rng.standard_normal(targets.shape, np.float32)
    return blur(targets, BASE_BLUR) + np.float32(BASE_NOISE) * noise


# Patterns.


def unit_pattern(rng: np.random.Generator, period: int) -> np.ndarray:
    """A random pattern (S, S) of exactly one period: zero mean, unit RMS.

    What repeats with half the period is taken out of white noise, so that a pattern
    of period 8 has nothing of period 4 or 2. The noise is as likely as any shift of
    it: the lattice has no preferred origin.
    """
    half = period // 2
    pattern = rng.normal(size=(period, period))
    pattern -= np.tile(pattern.reshape(2, half, 2, half).mean((0, 2)), (2, 2))
    return (pattern / pattern.std()).astype(np.float32)


def unit_patterns(rng: np.random.Generator, sets: int, period: int) -> np.ndarray:
    """A new random pattern for each set, (sets, S, S), each randomly shifted."""
    shifts = rng.integers(period, size=(sets, 2))
    return np.stack(
        [np.roll(unit_pattern(rng, period), by, axis=(0, 1)) for by in shifts]
    )


def tile(patterns: np.ndarray, per_set: int, shape: tuple[int, int]) -> np.ndarray:
    """Each pattern over all images of its set: (sets * per_set, H, W, 1)."""
    size = patterns.shape[-1]
    repeats = (1, shape[0] // size, shape[1] // size)
    return np.repeat(np.tile(patterns, repeats), per_set, axis=0)[..., None]


# Artifacts: what a decoder might add, (tiled patterns, targets) to unit RMS an image.


def tone(pattern: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The pattern itself, whatever the image."""
    del targets
    return pattern


def content_modulated(pattern: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The pattern times the image without its mean; its sign varies."""
    return _unit_rms(pattern * _centred(targets))


def low_pass_modulated(pattern: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The pattern times the low-passed image without its mean; its sign varies."""
    return _unit_rms(pattern * _centred(blur(targets, LOW_PASS)))


Artifact = Callable[[np.ndarray, np.ndarray], np.ndarray]

ARTIFACTS: dict[str, Artifact] = {
    "tone": tone,
    "content": content_modulated,
    "low_pass": low_pass_modulated,
}


def _centred(images):
    return images - images.mean((1, 2, 3), keepdims=True)


def _unit_rms(images):
    """Each image scaled to unit RMS; nothing stays nothing."""
    rms = np.sqrt((images**2).mean((1, 2, 3), keepdims=True))
    return images / np.where(rms > 0, rms, 1)


# Controls: (rng, base outputs) to outputs without any lattice, but one.


def unchanged(rng: np.random.Generator, outputs: np.ndarray) -> np.ndarray:
    """Nothing at all: the base against the base."""
    del rng
    return outputs


def noisier(rng: np.random.Generator, outputs: np.ndarray) -> np.ndarray:
    """White noise of standard deviation 0.02 on top."""
    return outputs + np.float32(0.02) * rng.standard_normal(outputs.shape, np.float32)


def blurrier(rng: np.random.Generator, outputs: np.ndarray) -> np.ndarray:
    """A second Gaussian blur of one pixel."""
    del rng
    return blur(outputs, 1.0)


def sharpened(rng: np.random.Generator, outputs: np.ndarray) -> np.ndarray:
    """An unsharp mask of one pixel, amount 1."""
    del rng
    return 2 * outputs - blur(outputs, 1.0)


def shifted(rng: np.random.Generator, outputs: np.ndarray) -> np.ndarray:
    """One pixel to the right; the left column stays."""
    del rng
    return shift(outputs, (0, 0, 1, 0), order=0, mode="nearest")


def jpeg(rng: np.random.Generator, outputs: np.ndarray) -> np.ndarray:
    """JPEG of quality 75, 8 bits: has a lattice of its own, of period 8."""
    del rng
    bytes_ = np.round(255 * np.clip(outputs[..., 0], 0, 1)).astype(np.uint8)
    return np.stack([_through_jpeg(image) for image in bytes_])[..., None]


def _through_jpeg(image):
    with io.BytesIO() as file:
        Image.fromarray(image).save(file, "jpeg", quality=75)
        return np.asarray(Image.open(file), np.float32) / 255


Control = Callable[[np.random.Generator, np.ndarray], np.ndarray]

CONTROLS: dict[str, Control] = {
    "none": unchanged,
    "noise": noisier,
    "blur": blurrier,
    "sharpen": sharpened,
    "shift": shifted,
    "jpeg": jpeg,
}
