"""What a mean over images is called in the end: decibels, grey levels, thresholds.

Powers are averaged over images, and only the mean is taken to another unit: a mean of
decibels would be that of the quietest images.
"""

from collections.abc import Mapping

import numpy as np

GREYS = 255  # levels of a full scale of 1
POWER_FLOOR = 1e-20  # -200 dB, far below float32 rounding


def decibels(power: float) -> float:
    """10 log10 of a power, of full scale 1; at least -200 dB."""
    return 10 * float(np.log10(max(float(power), POWER_FLOOR)))


def ratio_db(powers: Mapping[str, float]) -> float:
    """10 log10(part / whole) of powers with these names; at least -200 dB."""
    tiny = float(np.finfo(np.float32).tiny)
    return decibels(float(powers["part"]) / (float(powers["whole"]) + tiny))


def root(power: float) -> float:
    """The square root of a power; that of its size, with its sign, if it is negative.

    Powers that are estimated without bias around zero may be negative.
    """
    return float(np.sign(power) * np.sqrt(np.abs(float(power))))


def grey_levels(power: float) -> float:
    """The RMS amplitude that a power has in grey levels of 255: 255 sqrt(power).

    0.01 of the full scale is 2.55 grey levels; signed as in `root`.
    """
    return GREYS * root(power)


def part_grey_levels(powers: Mapping[str, float]) -> float:
    """`grey_levels` of the power called part."""
    return grey_levels(powers["part"])
