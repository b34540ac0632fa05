"""The study's claims as data, and what the CSV files say of each.

A claim is about a mean over seeds of a sum of weighted measures, against a bound that
was written down before any run. Each can fail: "refuted" is where the interval lies
wholly on the other side of the bound.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from caejax.report.equivalence import MARGINS, equivalence
from caejax.report.intervals import Crossed, crossed_interval, mean_interval
from caejax.report.ranks import Correlation, Ranks, rank_correlation, rank_intervals
from caejax.report.statistics import Contrast, contrast_table, holm
from experiments.shared.rows import Row, done, select
from experiments.tying import plan
from experiments.tying.plan import REFERENCE
from experiments.tying.rates import RATE
from experiments.tying.records import DECODER, Kept, by_seed, is_finite

PSNR, SSIM = "test/psnr", "test/ssim"
RIPPLE = "test/dc_ripple_grey_s8"  # of constant codes, grey levels
PATTERN = "test/lattice_grey_s8"  # of residuals, grey levels
DIVERGED = 3.0  # dB below the median of its decoder
SHORT = 0.05  # dB, what the last tenth of training may add at most
LEVEL = 0.05
BEATEN, LEAD = ("nlm", "tv", "bm3d"), 0.5  # dB, by which the U-Net is to be ahead

Term = tuple[float, str, str]  # weight, the arm without its data, decoder


class Claim(NamedTuple):
    """A claim.

    Attributes:
      name: its number.
      text: the claim in words.
      measure: a column of the arms' CSV files.
      terms: what is added up, seed by seed.
      side: "within" bound of 0, "above" or "below" the bound.
      bound: the bound, in the measure's unit.
      log: whether the measure is taken to 20 log10 first, so that differences are
        ratios in dB.
    """

    name: str
    text: str
    measure: str
    terms: tuple[Term, ...]
    side: str
    bound: float
    log: bool = False


def _minus(first, second, arm="plain", of=""):
    return ((1.0, arm, first), (-1.0, of or arm, second))


TIED = {"shuffle_tied": "shuffle_k3", "deconv_k4_tied": "deconv_k4"}


def _claims():
    found = []
    psnr, ssim = MARGINS["psnr"], MARGINS["ssim"]
    for form in plan.FORMS:
        for tied, free in TIED.items():
            words = f"projecting {free} is free in {form}"
            terms = _minus(tied, free, form)
            found.append(("A", f"{words} (PSNR)", PSNR, terms, "within", psnr))
            found.append(("A", f"{words} (SSIM)", SSIM, terms, "within", ssim))
    for form in ("plain", "unet_refine"):
        words = f"a blur behind the shuffle costs more than projecting it, in {form}"
        terms = _minus("shuffle_hold", "shuffle_tied", form)
        found.append(("B", words, PSNR, terms, "below", -psnr))
    for first, second in (("bilinear_k3", REFERENCE), ("deconv_k3_fir", REFERENCE)):
        words = f"a zero of order 3 ({first}) costs more than one of order 1 ({second})"
        found.append(("C", words, PSNR, _minus(first, second), "below", -psnr))
    words = "ICNR is no cure: it ends within 6 dB of its layer's ripple"
    terms = _minus("shuffle_icnr", "shuffle_k3")
    found.append(("D", words, RIPPLE, terms, "within", 6.0, True))
    words = "an even kernel does not halve the ripple of constant codes"
    found.append(
        ("E", words, RIPPLE, _minus("deconv_k4", "deconv_k3"), "above", -6.0, True)
    )
    for kind in ("shuffle_k3", "deconv_k4"):
        words = f"four times the training does not halve {kind}'s ripple"
        terms = _minus(kind, kind, "long", "plain")
        found.append(("F", words, RIPPLE, terms, "above", -6.0, True))
    for tied, free in TIED.items():
        words = f"tying {free} at the last stage alone halves the ripple"
        terms = _minus(f"{free}+{tied}", free, "last", "plain")
        found.append(("G", words, RIPPLE, terms, "below", -6.0, True))
        words = f"untying the last stage alone of {tied} costs no PSNR"
        terms = _minus(f"{tied}+{free}", tied, "last", "plain")
        found.append(("G", words, PSNR, terms, "within", psnr))
        both = (*_minus(tied, free, "unet"), *_minus(free, tied, "plain"))
        words = f"skips change what tying {free} costs by no more than the margin"
        found.append(("H", words, PSNR, both, "within", psnr))
        both = (*_minus(tied, free, "refine"), *_minus(free, tied, "plain"))
        words = f"refinement changes what tying {free} costs by no more than the margin"
        found.append(("H", words, PSNR, both, "within", psnr))
    for form in plan.FORMS:
        words = f"untied kernels draw more than a grey level on constant codes, {form}"
        terms = ((0.5, form, "shuffle_k3"), (0.5, form, "deconv_k4"))
        found.append(("I", words, RIPPLE, terms, "above", MARGINS["dc_ripple_grey"]))
        words = f"in residuals all share, they draw less than a grey level, {form}"
        found.append(("I", words, PATTERN, terms, "below", MARGINS["lattice_grey"]))
    for equal in ("multiplications", "time"):
        for kind in ("shuffle_tied", "deconv_k4_tied"):
            words = f"at equal {equal} {kind} is better than {REFERENCE}"
            terms = ((1.0, equal, kind), (-1.0, "plain", REFERENCE))
            found.append(("J", words, PSNR, terms, "above", psnr))
            found.append(("J", f"{words} (SSIM)", SSIM, terms, "above", ssim))
    numbers: dict[str, int] = {}
    claims = []
    for letter, *rest in found:
        numbers[letter] = numbers.get(letter, 0) + 1
        claims.append(Claim(f"{letter}{numbers[letter]}", *rest))
    return tuple(claims)


CLAIMS: tuple[Claim, ...] = _claims()


class Finding(NamedTuple):
    """What the runs say of a claim, on one of the data sets.

    Attributes:
      claim: the claim.
      n: the number of seeds.
      mean, low, high: the mean and its 95 % interval over seeds.
      p: by Holm's correction over all claims of the data set.
      verdict: "holds", "refuted", "open", or "not run".
    """

    claim: Claim
    n: int
    mean: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    verdict: str = "not run"


def values_of(claim: Claim, arms: Mapping[str, Kept], data: str) -> np.ndarray:
    """A claim's value for each seed that has all its terms, in their order."""
    terms = []
    for weight, arm, decoder in claim.terms:
        kept = arms.get(f"{arm}_{data}")
        found = by_seed(kept.rows, claim.measure) if kept else {}
        one = {seed: x for (name, seed), x in found.items() if name == decoder}
        if claim.log:  # a grey level's thousandth is nothing
            one = {seed: 20 * math.log10(max(x, 1e-3)) for seed, x in one.items()}
        terms.append({seed: weight * x for seed, x in one.items()})
    seeds = sorted(set.intersection(*map(set, terms)))
    return np.array([sum(term[seed] for term in terms) for seed in seeds])


def findings(arms: Mapping[str, Kept], data: str) -> list[Finding]:
    """All claims on one data set, tested as one family.

    A claim "within" a bound is tested by two one-sided t-tests, one "above" or "below"
    a bound by sign flips about it; Holm's correction goes over all of them that were
    run. "holds" and "refuted" both need an adjusted p of at most 0.05; what is refuted
    of "within" has its 95 % interval wholly outside.
    """
    found = [(claim, values_of(claim, arms, data)) for claim in CLAIMS]
    run = [(claim, x) for claim, x in found if len(x) >= 3]
    if not run:
        return [Finding(claim, len(x)) for claim, x in found]
    tests = contrast_table(
        [Contrast(c.name, x - (0 if c.side == "within" else c.bound)) for c, x in run]
    )
    raw = [
        equivalence(x, c.bound).p if c.side == "within" else test["p"] or 1.0
        for (c, x), test in zip(run, tests, strict=True)
    ]
    adjusted = dict(zip([c.name for c, _ in run], holm(raw), strict=True))
    return [
        _finding(claim, x, adjusted[claim.name])
        if claim.name in adjusted
        else Finding(claim, len(x))
        for claim, x in found
    ]


def _finding(claim, x, p):
    mean, (low, high) = float(x.mean()), mean_interval(x)
    sure, b = p <= LEVEL, claim.bound
    if claim.side == "within":
        holds, refuted = sure, low > b or high < -b
    elif claim.side == "above":
        holds, refuted = sure and mean > b, sure and mean < b
    else:
        holds, refuted = sure and mean < b, sure and mean > b
    verdict = "holds" if holds else "refuted" if refuted else "open"
    return Finding(claim, len(x), mean, low, high, float(p), verdict)


class Lead(NamedTuple):
    """How far the U-Net is ahead of another estimator at a level of noise.

    Attributes:
      estimator: the estimator.
      level: the level of noise.
      n: the number of the U-Net's seeds.
      mean, low, high: its mean PSNR minus the estimator's, with the 95 % interval over
        seeds; the estimator has seen the noise of the first alone.
      verdict: as in `Finding`, of being ahead by at least 0.5 dB.
    """

    estimator: str
    level: float
    n: int
    mean: float
    low: float
    high: float
    verdict: str


def leads(arms: Mapping[str, Kept], data: str) -> list[Lead]:
    """Claim K: the U-Net beats each estimator by 0.5 dB of PSNR, level by level."""
    both = [arms[n] for n in (f"references_{data}", f"levels_{data}") if n in arms]
    rows = [row for kept in both for row in done(kept.rows)]
    found = []
    for row in (row for kept in both for row in kept.references):
        level = float(row["corruption.level"])
        here = [r for r in rows if float(r["corruption.level"]) == level]
        values = [float(r[PSNR]) for r in here if is_finite(r.get(PSNR))]
        x = np.array(values) - float(row[PSNR])
        if row["reference"] in BEATEN and len(x) > 1:
            low, high = mean_interval(x)
            verdict = "holds" if low > LEAD else "refuted" if high < LEAD else "open"
            numbers = level, len(x), float(x.mean()), low, high
            found.append(Lead(row["reference"], *numbers, verdict))
    return found


def contrasts(
    rows: Sequence[Row], measure: str, reference_rows: Sequence[Row] = ()
) -> list[Row]:
    """Each decoder minus the reference, paired by seed: rows of `contrast_table`.

    Args:
      rows: an arm's rows.
      measure: the column.
      reference_rows: the rows that hold the reference, where the arm has none.
    """
    of = by_seed(reference_rows or rows, measure)
    found = by_seed(rows, measure)
    names = [n for n in dict.fromkeys(n for n, _ in found) if n != REFERENCE]
    table = []
    for name in names:
        seeds = [s for n, s in found if n == name and (REFERENCE, s) in of]
        x = [found[name, s] - of[REFERENCE, s] for s in seeds]
        table.append(Contrast(name, np.array(x), seeds))
    margin = MARGINS.get(measure.removeprefix("test/").removesuffix("_s8"))
    return contrast_table(table, margin=margin) if table else []


def crossed(rows: Sequence[Row], decoder: str, measure: str) -> Crossed | None:
    """A decoder minus the reference, for other seeds and other photographs.

    Args:
      rows: the arm's values by photograph.
      decoder: the decoder.
      measure: one of `records.OF_PHOTOGRAPHS`.

    Returns:
      None where there are fewer than two seeds or photographs that both have.
    """

    def by(name):
        return {
            row["seed"]: [float(x) for k, x in row.items() if k[1:].isdigit()]
            for row in select(rows, measure=measure)
            if row[DECODER] == name
        }

    one, other = by(decoder), by(REFERENCE)
    seeds = sorted(set(one) & set(other))
    if len(seeds) < 2:
        return None
    table = np.array([np.subtract(one[s], other[s]) for s in seeds])
    table = table[:, np.isfinite(table).all(0)]
    return crossed_interval(table) if table.shape[1] > 1 else None


def _table(rows, measure):
    """Decoders, and (seeds, decoders) values of those seeds that all have."""
    found = by_seed(rows, measure)
    names = list(dict.fromkeys(name for name, _ in found))
    seeds = sorted({s for _, s in found})
    whole = [s for s in seeds if all((n, s) in found for n in names)]
    return names, np.array([[found[n, s] for n in names] for s in whole])


def ranks(rows: Sequence[Row], measure: str) -> tuple[list[str], Ranks] | None:
    """The decoders' ranks by a measure; None for less than two seeds or decoders."""
    names, x = _table(rows, measure)
    if len(names) < 2 or len(x) < 2:
        return None
    return names, rank_intervals(x)


def tau(rows: Sequence[Row], measure: str) -> Correlation | None:
    """Rank correlation of ripple and a measure; sizes below 0.01 grey level are one."""
    names, x = _table(rows, measure)
    _, ripple = _table(rows, RIPPLE)
    if len(names) < 3 or len(x) < 2 or x.shape != ripple.shape:
        return None
    return rank_correlation(np.maximum(ripple, 0.01), x)


def diverged(rows: Sequence[Row]) -> list[Row]:
    """Runs that failed, are not finite, or end 3 dB below their decoder's median.

    Of an arm that tunes rates, where each has one run, also those that end so far below
    one of a lower rate; one of too low a rate has not diverged.
    """
    settings: dict[tuple, list[Row]] = {}
    for row in rows:
        key = tuple(str(row.get(k)) for k in (DECODER, *_AXES))
        settings.setdefault(key, []).append(row)
    bad = []
    for some in settings.values():
        least = -math.inf
        for rate in sorted(set(map(_rate, some))):
            runs = [r for r in some if _rate(r) == rate]
            values = [float(r[PSNR]) for r in runs if is_finite(r.get(PSNR))]
            if values:
                least = max(least, float(np.median(values)) - DIVERGED)
            bad += [
                r for r in runs if not is_finite(r.get(PSNR)) or float(r[PSNR]) < least
            ]
    return bad


_AXES = ("model.latent_channels", "corruption.level")


def _rate(row):
    return float(row.get(RATE) or 0)
