"""Whether two settings are as good as equal, which no test of a difference can show."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from caejax.report.checks import check_share, finite, same_but_for_rounding

# Differences up to these are taken as none: what a constant pattern of one grey level
# of 255 (RMS), the smallest step of a stored image, changes on residuals of
# photographs, at the period where that is least; of sizes one grey level, of visibility
# one threshold. `experiments/metric_validation/patterns.md` has the first four, planted
# and measured.
MARGINS: dict[str, float] = {
    "psnr": 0.014,
    "ssim": 0.00288,
    "phase_var_db": 0.0322,
    "lattice_peak_db": 0.536,
    "dc_ripple_grey": 1.0,
    "lattice_grey": 1.0,
    "shift_error_grey": 1.0,
    "ripple_visibility": 1.0,
    "lattice_visibility": 1.0,
}


class Equivalence(NamedTuple):
    """What two one-sided tests say.

    Attributes:
      p: the larger of their two p.
      low, high: the interval of 1 - 2 alpha, which lies within the margin just where p
        is below alpha.
      equivalent: whether it does.
    """

    p: float
    low: float
    high: float
    equivalent: bool


def equivalence(
    differences: ArrayLike, margin: float, *, level: float = 0.05
) -> Equivalence:
    """Two one-sided t-tests: whether the mean lies within (-margin, margin).

    Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 1987. The mean is
    equivalent to 0 if both "it is at most -margin" and "it is at least margin" are
    rejected at the level; just then the interval of 90 % (for 0.05) lies inside. That a
    difference is not significant says nothing of the kind.

    Args:
      differences: the paired differences, (n,), n at least 2.
      margin: the largest difference that counts as none, above 0.
      level: alpha, each test's level.

    Raises:
      ValueError: too few differences, another shape, some that are not finite, no
        positive margin, or a level outside (0, 1).
    """
    check_share(level, "level")
    if not 0 < margin < np.inf:
        raise ValueError(f"margin is {margin!r}; it must be a positive number")
    x = finite(differences, "differences", 2)
    mean, df = x.mean(), len(x) - 1
    if same_but_for_rounding(x):
        inside = bool(abs(mean) < margin)
        return Equivalence(float(not inside), float(mean), float(mean), inside)
    error = x.std(ddof=1) / np.sqrt(len(x))
    above = stats.t.sf((mean + margin) / error, df)
    below = stats.t.cdf((mean - margin) / error, df)
    reach = stats.t.ppf(1 - level, df) * error
    low, high = mean - reach, mean + reach
    p = float(max(above, below))
    return Equivalence(p, float(low), float(high), p < level)
