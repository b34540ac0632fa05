"""Statistics of paired runs: differences over seeds, their tests and intervals.

Runs of one seed share initialisation, data order and noise, so two settings are
compared by their differences seed by seed. For reports, too: JAX is not imported.

A sign-flip test over n seeds has 2^n patterns of signs, and so no two-sided p below
2 / 2^n. Where even that, after Holm's correction over all contrasts of a table, is
above the level, the data could not have decided the question whatever they were:
the p is then not given but `TOO_FEW`.
"""

import decimal
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from caejax.errors import did_you_mean
from caejax.report.checks import ROUNDING, check_share, finite
from caejax.report.equivalence import equivalence
from caejax.report.intervals import mean_interval

Row = dict[str, Any]

TOO_FEW = "n too small"

EXACT_SEEDS = 20  # at most a million sums
PERMUTATIONS = 99_999  # random patterns of signs beyond that


class Contrast(NamedTuple):
    """Two settings compared over seeds.

    Attributes:
      name: the contrast's name, for people.
      differences: the second minus the first setting, a value a seed, (n,).
      seeds: the seeds of the differences.
      missing: a line for every seed that gave no pair, with the reason.
    """

    name: str
    differences: ArrayLike
    seeds: Sequence[int] = ()
    missing: Sequence[str] = ()


def sign_flip_p(differences: ArrayLike, *, seed: int = 0) -> float:
    """Two-sided p of paired differences being symmetric about zero.

    The share of sign patterns, the given one among them, under which the mean is at
    least as far from zero (Fisher, The Design of Experiments, 1935, section 21).
    Up to EXACT_SEEDS all 2^n patterns are taken; beyond, PERMUTATIONS random ones
    and the given one: (b + 1) / (m + 1) (Phipson & Smyth, SAGMB 2010), which is
    valid though m is finite. Differences that are all zero give 1.

    Args:
      differences: the paired differences, (n,), n at least 1.
      seed: the seed of the random patterns.

    Raises:
      ValueError: no differences, another shape, or some that are not finite.
    """
    x = finite(differences, "differences", 1)
    extreme = abs(x.sum()) - ROUNDING * np.abs(x).sum()
    flipped, _ = _flipped(x, seed)
    return float(np.mean(np.abs(x.sum() - 2 * flipped) >= extreme))


def _flipped(x, seed):
    """Sum and number of the differences that each pattern of signs flips."""
    sums = counts = np.zeros(1)  # the given pattern
    if len(x) > EXACT_SEEDS:
        rng = np.random.default_rng(seed)
        sums, counts = np.zeros((2, PERMUTATIONS + 1))
        for value in x:  # one by one: of hundreds of seeds all patterns fill gigabytes
            flips = rng.random(PERMUTATIONS) >= 0.5
            sums[1:] += value * flips
            counts[1:] += flips
        return sums, counts
    for value in x:
        sums = np.append(sums, sums + value)
        counts = np.append(counts, counts + 1)
    return sums, counts


def sign_flip_interval(
    differences: ArrayLike, *, confidence: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """The centres about which `sign_flip_p` does not find differences asymmetric.

    All c for which the p of differences - c is above 1 - confidence; so it holds 0
    if and only if theirs is. Its ends are means of subsets of the differences
    (Hartigan, Using Subsample Values as Typical Values, JASA 1969): at c below the
    mean, a pattern of signs is at least as far out as the given one if those that it
    flips, or those that it leaves, have a mean of at most c.

    Args:
      differences: the paired differences, (n,), n at least 1.
      confidence: the interval's confidence, between 0 and 1.
      seed: the seed of the random patterns.

    Returns:
      The interval's lower and upper end; infinite where n is too small for any c to
      be refused.

    Raises:
      ValueError: as `sign_flip_p`, or a confidence outside (0, 1).
    """
    check_share(confidence, "confidence")
    x = finite(differences, "differences", 1)
    sums, counts = _flipped(x, seed)
    refused = int(round((1 - confidence) * len(sums), 6))  # patterns as far out
    ends = []
    for sign in (1, -1):
        means = [
            np.divide(sign * some, n, out=np.full(len(n), -np.inf), where=n > 0)
            for some, n in ((sums, counts), (x.sum() - sums, len(x) - counts))
        ]
        ends.append(sign * float(np.partition(np.minimum(*means), refused)[refused]))
    return ends[0], ends[1]


def smallest_p(n: int) -> float:
    """The smallest p that `sign_flip_p` can give for n seeds; 1 for none.

    2 / 2^n, beyond EXACT_SEEDS at least 1 / (PERMUTATIONS + 1).
    """
    if n < 1:
        return 1.0
    floor = 2.0 ** (1 - n)
    return floor if n <= EXACT_SEEDS else max(floor, 1 / (PERMUTATIONS + 1))


def holm(p: ArrayLike) -> np.ndarray:
    """Adjusts the p of a family (Holm, Scandinavian Journal of Statistics 1979).

    The i-th smallest of m, times m - i + 1, but never below a smaller one's, nor
    above 1. Those at most alpha are rejected with a family-wise error of alpha.

    Args:
      p: the p of the family, (m,) in [0, 1].

    Returns:
      The adjusted p, (m,), in the order given.

    Raises:
      ValueError: another shape, or values outside [0, 1].
    """
    p = finite(p, "p", 0)
    if ((p < 0) | (p > 1)).any():
        raise ValueError(f"p must lie in [0, 1], got {p[(p < 0) | (p > 1)][0]}")
    order = np.argsort(p)
    steps = p[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def format_p(p: float | None, smallest: float, *, level: float = 0.05) -> str:
    """A p in three digits, rounded up; `TOO_FEW` where no p could reach the level.

    Args:
      p: the p to format; not looked at where it is refused.
      smallest: the smallest p that the seeds allow, adjusted as p is: `smallest_p`,
        for a family `holm` of those. Nothing below is printed.
      level: the level that a p is held against.
    """
    if smallest > level:
        return TOO_FEW
    up = decimal.Context(prec=3, rounding=decimal.ROUND_CEILING)
    # Twelve digits first: 0.30000000000000004 is 0.3.
    return f"{up.create_decimal(f'{max(p, smallest):.12g}'):f}"


def contrast_table(
    contrasts: Sequence[Contrast],
    *,
    level: float = 0.05,
    confidence: float = 0.95,
    margin: float | None = None,
    seed: int = 0,
) -> list[Row]:
    """Tests contrasts as one family.

    Refused contrasts stay in the family.

    Args:
      contrasts: all contrasts that are tested together.
      level: the family-wise error.
      confidence: the confidence of each interval; intervals are not corrected.
      margin: the largest difference that counts as none, in the measure's unit; see
        `caejax.report.equivalence`. Without one nothing is tested for equivalence.
      seed: the seed of resamples and random signs.

    Returns:
      A row a contrast, plain data: name; n, pairs; missing, how many seeds gave
      none; mean, None without pairs; low and high of the interval (Student's t up
      to 12 pairs, BCa beyond), None below two; p and p_holm, None where refused;
      p_smallest, the smallest p_holm that these seeds allow; p_text, see `format_p`;
      verdict: "higher" or "lower" where p_holm is at most the level, else "undecided",
      or why it is refused. With a
      margin also p_equal, of equivalence and by Holm's correction (None below two
      pairs), and equal, whether it is below the level: this is apart from the verdict,
      for a difference may be sure and within the margin.

    Raises:
      ValueError: differences that are not finite or no vector; a level or a
        confidence outside (0, 1).
    """
    check_share(level, "level")
    data = [finite(c.differences, f"{c.name}: differences", 0) for c in contrasts]
    raw = [sign_flip_p(x, seed=seed) if len(x) else 1.0 for x in data]
    floors = holm([smallest_p(len(x)) for x in data])
    rows = []
    for contrast, x, *numbers in zip(
        contrasts, data, raw, holm(raw), floors, strict=True
    ):
        row = {"name": contrast.name, "n": len(x), "missing": len(contrast.missing)}
        row |= _location(x, confidence, seed)
        rows.append(row | _test(row["mean"], *map(float, numbers), level))
    if margin is not None:
        _test_equivalence(rows, data, margin, level)
    return rows


def _test_equivalence(rows, data, margin, level):
    found = [equivalence(x, margin).p if len(x) > 1 else 1.0 for x in data]
    for row, x, p in zip(rows, data, holm(found), strict=True):
        row["p_equal"] = float(p) if len(x) > 1 else None
        row["equal"] = bool(p < level)


def _location(x, confidence, seed):
    low = high = None
    if len(x) > 1:
        low, high = mean_interval(x, confidence=confidence, seed=seed)
    return {"mean": float(x.mean()) if len(x) else None, "low": low, "high": high}


def _test(mean, p, p_holm, smallest, level):
    if smallest > level:
        p = p_holm = None
        verdict = f"{TOO_FEW}: p is {smallest:.3g} at best"
    elif p_holm > level:
        verdict = "undecided"
    else:
        verdict = "higher" if mean > 0 else "lower"
    text = format_p(p_holm, smallest, level=level)
    test = {"p": p, "p_holm": p_holm, "p_smallest": smallest}
    return test | {"p_text": text, "verdict": verdict}


def pair_runs(
    rows: Sequence[Row],
    fields: Sequence[str],
    first: Mapping[str, Any],
    second: Mapping[str, Any],
    measure: str,
) -> list[Contrast]:
    """Differences of a measure between two values of an axis, seed by seed.

    Runs are paired where their seed and all other swept values are equal. Seeds are
    what a test counts, so every setting of the other fields is a contrast of its
    own: differences of one seed at several settings are not independent.

    Args:
      rows: the rows of a sweep's results.csv, as `caejax.sweep.results.collect` or
        `caejax.report.read.read_sweep` give them.
      fields: all swept fields.
      first, second: the two values by field, {"model.upsampling": "deconv_k3"};
        several fields where the axis sets them together.
      measure: a column of the rows, "test/psnr".

    Returns:
      A contrast for each setting of the other fields, second minus first. A seed
      with a run on one side only, or with a run that is not done or has no finite
      value, is listed under missing.

    Raises:
      ValueError: first and second that set other fields than each other, or fields
        not swept, or the seed; values or a measure that no run has; two runs of one
        point.
    """
    _check_values(fields, first, second)
    others = [field for field in fields if field not in first and field != "seed"]
    sides = [_by_point(rows, others, values) for values in (first, second)]
    _check_measure([row for side in sides for row in side.values()], measure)
    seeds: dict[tuple, dict] = {}
    for setting, seed in [*sides[0], *sides[1]]:
        seeds.setdefault(setting, {})[seed] = None
    names = [", ".join(map(str, values.values())) for values in (first, second)]
    return [
        _contrast(names, others, setting, seeds[setting], sides, measure)
        for setting in seeds
    ]


def pool_contrasts(contrasts: Sequence[Contrast], name: str) -> Contrast:
    """One contrast over several settings: each seed's mean over all of them.

    A seed counts once, however many settings it was run at, since its differences
    there are not independent. Seeds that lack a setting are left out, lest means of
    different settings be compared.

    Args:
      contrasts: contrasts of the same two values, a setting each, as `pair_runs`
        gives them.
      name: the pooled contrast's name.

    Returns:
      The pooled contrast; its missing has a line for every seed that lacks a setting.

    Raises:
      ValueError: no contrasts.
    """
    if not contrasts:
        raise ValueError("there are no contrasts to pool")
    found = [dict(zip(c.seeds, c.differences, strict=True)) for c in contrasts]
    seeds = list(dict.fromkeys(seed for values in found for seed in values))
    lacking = {seed: sum(seed not in values for values in found) for seed in seeds}
    whole = [seed for seed in seeds if not lacking[seed]]
    means = np.array([np.mean([values[seed] for values in found]) for seed in whole])
    missing = [
        f"seed {seed}: lacks {count} of {len(found)} settings"
        for seed, count in lacking.items()
        if count
    ]
    return Contrast(name, means, whole, missing)


def _contrast(names, others, setting, seeds, sides, measure):
    paired, missing = {}, []
    for seed in seeds:
        pair = [side.get((setting, seed)) for side in sides]
        reasons = [_why_not(row, measure) for row in pair]
        if any(reasons):
            named = zip(names, reasons, strict=True)
            text = "; ".join(f"{name} {reason}" for name, reason in named if reason)
            missing.append(f"seed {seed}: {text}")
        else:
            paired[seed] = float(pair[1][measure]) - float(pair[0][measure])
    where = ", ".join(f"{f}={v}" for f, v in zip(others, setting, strict=True))
    name = f"{names[1]} - {names[0]}" + (f" at {where}" if where else "")
    return Contrast(name, np.array(list(paired.values())), list(paired), missing)


def _why_not(row, measure):
    """Why a run gives no value, or nothing."""
    if row is None:
        return "has no run"
    if row["status"] != "done":
        return f"is {row['status']}"
    if row.get(measure) in (None, ""):
        return f"has no {measure}"
    if not np.isfinite(float(row[measure])):
        return f"has {measure} {row[measure]}"
    return ""


def _by_point(rows, others, values):
    """The runs with these values, by (setting of the other fields, seed)."""
    found: dict[tuple, Row] = {}
    for row in rows:
        if all(_same(row.get(field), value) for field, value in values.items()):
            point = tuple(str(row.get(field)) for field in others), row["seed"]
            if point in found:
                raise ValueError(
                    f"runs {found[point].get('run_id')} and {row.get('run_id')} are "
                    f"one point of {', '.join(others) or 'the seed'}; fields must "
                    "name all that is swept"
                )
            found[point] = row
    if not found:
        text = ", ".join(f"{field}={value}" for field, value in values.items())
        raise ValueError(f"no run has {text}")
    return found


def _same(a, b):
    # Tuples and truth values are text in results.csv.
    return a == b or str(a) == str(b)


def _check_values(fields, first, second):
    if not first or set(first) != set(second):
        raise ValueError(
            f"first sets {', '.join(first)} and second sets {', '.join(second)}; "
            "both must set the same fields"
        )
    for field in first:
        if field == "seed" or field not in fields:
            raise ValueError(f"{field} is no swept field that seeds can be paired over")


def _check_measure(rows, measure):
    done = [row for row in rows if row["status"] == "done"]
    if done and not any(measure in row for row in done):
        known = {name for row in done for name in row}
        raise ValueError(f"no run has {measure!r}{did_you_mean(measure, known)}")
