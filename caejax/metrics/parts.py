"""What is averaged over a split's residuals, and what its averages say.

Some metrics belong to a whole split, because a pattern shows in the mean of many
residuals and not in each. They are made of parts, means over images of arrays.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from caejax.metrics import checkerboard, units
from caejax.metrics.lattice import peak_db, spectrum
from caejax.metrics.phases import (
    BORDER,
    phase_means,
    phase_ratio_db,
    phase_variance,
    phase_variation,
)
from caejax.metrics.visibility import visible_power

Arrays = dict[str, jax.Array]


class Part(NamedTuple):
    """What is averaged over images.

    Attributes:
      of: function of (output, target, period), with images (B, H, W, C), that returns
        one array per image.
      room: (n, p): images need at least n periods and p pixels a side.
    """

    of: Callable[[jax.Array, jax.Array, int], jax.Array]
    room: tuple[int, int] = (2, 0)


def _residual(of):
    def part(output, target, period):
        return of(checkerboard.residual(output, target), period)

    return part


PARTS: dict[str, Part] = {
    # Spectra (B, H', W').
    "residual": Part(_residual(spectrum)),
    "output": Part(lambda output, target, period: spectrum(output, period)),
    "target": Part(lambda output, target, period: spectrum(target, period)),
    # The residual's phase means (B, S, S, C) and their variance (B,).
    "phase_means": Part(_residual(phase_means)),
    "phase_variance": Part(_residual(lambda x, s: phase_variance(x, s).mean(-1))),
    # The square of how visible the residual's phase means are, (B,).
    "visible_power": Part(_residual(lambda x, s: visible_power(phase_means(x, s)))),
    # Power of the residual's fine detail by phase, (B, S, S).
    "detail": Part(checkerboard.detail_power, (1, 2 * BORDER)),
}

# Parts that a run keeps, too, of its longest period: (H', W') and (S, S, C).
MAPS = {"residual": "residual_spectrum", "phase_means": "residual_phase_means"}


def fits(room: tuple[int, int], size: tuple[int, int], period: int = 0) -> bool:
    """Whether images of (H, W) have so many periods and pixels a side."""
    periods, pixels = room
    return min(size) >= periods * period + pixels


def parts_of(
    names: tuple[str, ...], output: jax.Array, target: jax.Array, period: int
) -> Arrays:
    """Those of some parts for which images have room; see `PARTS`."""
    size = target.shape[1:3]
    return {
        name: PARTS[name].of(output, target, period)
        for name in names
        if fits(PARTS[name].room, size, period)
    }


class Means(NamedTuple):
    """The means over a split that a metric is made of.

    Attributes:
      parts: each part's mean over the split, by name.
      count: the number of images in the split.
      period: the period S.
    """

    parts: Arrays
    count: int
    period: int


def lattice_peak(means: Means) -> jax.Array:
    """`lattice_peak_db` of a split, from the mean spectrum of its residuals."""
    return peak_db(means.parts["residual"], means.period)


def lattice_peak_unpaired(means: Means) -> jax.Array:
    """`lattice_peak_unpaired_db` of a split, from the mean spectra of both."""
    output, target = (
        peak_db(means.parts[name], means.period) for name in ("output", "target")
    )
    return output - target


def pattern_power(means: Means) -> jax.Array:
    """`lattice_power` of a split, from its mean phase means and their variance."""
    return checkerboard.shared_power(
        means.parts["phase_means"], means.parts["phase_variance"], means.count
    )


def pattern_grey(means: Means) -> float:
    """The pattern's RMS in grey levels of 255, signed: `lattice_power`'s."""
    return units.grey_levels(pattern_power(means))


def pattern_visibility(means: Means) -> float:
    """`pattern_visibility` of the pattern that residuals share, signed as its power.

    The square is without bias, as in `lattice_power`: (N V^2(mean_n mu) - mean_n
    V^2(mu_n)) / (N - 1).
    """
    shared = visible_power(jnp.asarray(means.parts["phase_means"]))
    each, count = means.parts["visible_power"], means.count
    return units.root((count * float(shared) - float(each)) / (count - 1))


def detail_ratio(means: Means) -> jax.Array:
    """`phase_var_db` of a split, from the mean power of its detail by phase."""
    return phase_ratio_db(means.parts["detail"])


def detail_variation(means: Means) -> jax.Array:
    """`phase_var_cv` of a split, from the mean power of its detail by phase."""
    return phase_variation(means.parts["detail"])


def detail_grey(means: Means) -> float:
    """The root of the standard deviation of v_p over phases, in grey levels of 255.

    A pattern of an RMS of a on a residual without one adds a^2 times each phase's share
    of its square to v_p, so that this grows in proportion to a.
    """
    return units.grey_levels(np.std(np.asarray(means.parts["detail"])))
