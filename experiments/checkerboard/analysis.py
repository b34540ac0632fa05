"""The predictions H1 to H5, each a test with numbers and a verdict, from plain rows.

Verdicts are computed: "confirmed" where all that the prediction says holds, "refuted"
where nothing of it does, "partly" in between, "undecided" where intervals are too wide.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from caejax.metrics.table import PERIODS
from caejax.models.diagnosis import clean_at_initialisation, clean_by_construction
from caejax.models.kinds import find_kind
from caejax.report import intervals
from caejax.report.statistics import (
    Contrast,
    contrast_table,
    pair_runs,
    pool_contrasts,
)
from experiments.checkerboard.arms import DECODER, REFERENCE
from experiments.shared.cells import (
    bracketed,
    mean_and_interval,
    mean_interval,
    median_and_range,
)
from experiments.shared.rows import Row, distinct, done

CLEAN = -100  # dBFS, below which ripple is rounding
OVERLAP = 0.5  # dB, what even kernels do not reach by bias alone
SEPARATION = 60  # dB
CLOSE = 1  # dB
LOST_BY = 100  # steps
WEAK = 0.5  # rank correlation, at most
FEWEST = 5  # seeds that intervals are taken of
DRAWS = 2000  # of bootstraps


class Finding(NamedTuple):
    """A prediction and what the runs say.

    Attributes:
      name: the prediction's name, "H1".
      claim: the prediction in words.
      verdict: "confirmed", "partly", "undecided" or "refuted"; "not run" without rows,
        "too few seeds" for intervals.
      text: the numbers that decided it.
      header: the header of a table of these numbers.
      lines: the table's lines.
    """

    name: str
    claim: str
    verdict: str
    text: str
    header: Sequence[str] = ()
    lines: Sequence[Sequence[str]] = ()


def verdict(holds: Sequence[bool]) -> str:
    """The verdict on a prediction, from whether each of its parts holds."""
    if not holds:
        return "not run"
    return "confirmed" if all(holds) else "partly" if any(holds) else "refuted"


def kinds_of(rows: Sequence[Row], field: str = DECODER) -> list[str]:
    """The decoders, or values of another field, in their order."""
    return distinct(rows, field)


def figures(
    rows: Sequence[Row], kind: str, measure: str, field: str = DECODER
) -> np.ndarray:
    """The values of a measure for a decoder, or another field's value; one a run."""
    return np.array(
        [float(r[measure]) for r in done(rows) if r[field] == kind and measure in r]
    )


def by_seed(rows: Sequence[Row], measure: str) -> tuple[list[str], np.ndarray]:
    """Decoders and (seeds, decoders) values of those seeds that all of them have."""
    kinds = kinds_of(done(rows))
    found = {
        (row["seed"], row[DECODER]): float(row[measure])
        for row in done(rows)
        if measure in row
    }
    seeds = sorted({seed for seed, _ in found})
    whole = [s for s in seeds if all((s, kind) in found for kind in kinds)]
    table = [[found[seed, kind] for kind in kinds] for seed in whole]
    return kinds, np.array(table).reshape(len(whole), len(kinds))


def initial_ripple(rows: Sequence[Row], stages: int = 3) -> Finding:
    """H1: the decoders' ripple before training.

    A decoder that is not clean at initialisation follows the theory if the interval
    of its mean over seeds, relative to the constant, holds 10 log10(4^L - 1). All
    these intervals hold at once, by Bonferroni, with 95 %.

    Args:
      rows: the rows of one arm and depth.
      stages: L, the number of stages.
    """
    claim = "`dc_ripple` at initialisation is 10 log10(4^L - 1), or below -100 dB"
    theory = 10 * math.log10(4**stages - 1)
    period, lines, follow, clean = 2**stages, [], [], []
    kinds = kinds_of(done(rows))
    untied = sum(not clean_at_initialisation(kind) for kind in kinds)
    for kind in kinds:
        relative = figures(rows, kind, f"init/dc_ripple_relative_db_s{period}")
        full = figures(rows, kind, f"init/dc_ripple_db_s{period}")
        if clean_at_initialisation(kind):
            clean.append(bool(full.max() < CLEAN))
            line = ["clean", f"below {CLEAN}", clean[-1]]
        else:
            if len(relative) < FEWEST:
                return Finding("H1", claim, "too few seeds", f"{len(relative)} seeds.")
            share = 1 - 0.05 / untied
            low, high = intervals.mean_interval(relative, confidence=share)
            follow.append(low <= theory <= high)
            line = ["untied", f"{theory:.2f}", follow[-1]]
        says = "yes" if line.pop() else "no"
        lines.append(
            [kind, *line, mean_and_interval(relative), f"{full.max():.1f}", says]
        )
    text = (
        f"{sum(follow)} of {len(follow)} untied decoders have {theory:.2f} dB in their "
        f"interval; {sum(clean)} of {len(clean)} others are below {CLEAN} dBFS at "
        "every seed."
    )
    header = ("decoder", "start", "predicted (dB)", "relative to mean (dB)")
    header += ("highest, dBFS", "holds")
    return Finding("H1", claim, verdict(follow + clean), text, header, lines)


def overlap(rows: Sequence[Row]) -> Finding:
    """H2: overlap is above bias for plain transposed kernels of odd size alone."""
    lines, holds = [], []
    for kind in kinds_of(done(rows)):
        layer, value = find_kind(kind), figures(rows, kind, "init/overlap_db_s2").max()
        k = layer.kernel_size
        odd = layer.transposed and layer.fixed == (1.0,) and k % 2 == 1
        theory = 20 * math.log10((k + 1) / (k - 1)) if odd else 0.0
        holds.append(bool((value > OVERLAP) == odd))
        says = "yes" if holds[-1] else "no"
        lines.append([kind, f"{theory:.2f}", f"{value:.2f}", says])
    text = (
        f"{sum(holds)} of {len(holds)} decoders as predicted; non-zero is above "
        f"{OVERLAP} dB."
    )
    claim = "`overlap_db` is non-zero only for odd kernel sizes"
    header = ("decoder", "theory (dB)", "`overlap_db`, period 2", "holds")
    return Finding("H2", claim, verdict(holds), text, header, lines)


def icnr(curves: Sequence[Row]) -> Finding:
    """H3: ICNR is clean at the start and no longer so at step 100, at every seed.

    Args:
      curves: the ripple, a row for each run and step.
    """
    claim = f"ICNR loses its cleanliness by step {LOST_BY}"
    paths = _paths(curves, "shuffle_icnr")
    starts = np.array([path[0] for path in paths.values() if LOST_BY in path])
    ends = np.array([path[LOST_BY] for path in paths.values() if LOST_BY in path])
    if not len(starts):
        return Finding("H3", claim, "not run", f"No run has step {LOST_BY}.")
    clean, lost = starts < CLEAN, ends > CLEAN
    result = "partly" if lost.any() else "refuted"
    if clean.all() and lost.all():
        result = "confirmed"
    text = (
        f"At step 0 {clean.sum()} of {len(starts)} seeds are below {CLEAN} dBFS, at "
        f"step {LOST_BY} {lost.sum()} of {len(ends)} are above."
    )
    lines = []
    for kind in ("shuffle_icnr", "shuffle_k3", "shuffle_hold"):
        paths = _paths(curves, kind)
        steps = _shared_steps(paths)
        for step in steps:
            values = np.array([path[step] for path in paths.values()])
            lines.append([kind, str(step), median_and_range(values)])
    header = ("decoder", "step", "period 8, dBFS: median [range]")
    return Finding("H3", claim, result, text, header, lines)


def _paths(curves, kind):
    """Ripple at period 8 by step, for each seed."""
    paths: dict[int, dict[int, float]] = {}
    for row in curves:
        if row[DECODER] == kind:
            value = float(row["dc_ripple_db_s8"])
            paths.setdefault(row["seed"], {})[row["step"]] = value
    return paths


def _shared_steps(paths):
    return sorted(set.intersection(*map(set, paths.values()))) if paths else []


def separation(rows: Sequence[Row]) -> Finding:
    """H4: trained ripple tells decoders apart, the residuals' fine detail does not.

    At every seed the least of the unconstrained decoders' ripples (period 8) must be
    60 dB above the largest of the constrained; and the intervals of the groups'
    mean paired difference in `phase_var_db` must lie within 1 dB, at all periods.
    """
    claim = (
        f"trained `dc_ripple` separates by more than {SEPARATION} dB, while paired "
        f"`phase_var_db` differs by less than {CLOSE} dB"
    )
    kinds, ripple = by_seed(rows, "test/dc_ripple_db_s8")
    tied = np.array([clean_by_construction(kind) for kind in kinds], bool)
    if not len(ripple) or tied.all() or not tied.any():
        return Finding("H4", claim, "not run", "No seed has both groups of decoders.")
    gaps = ripple[:, ~tied].min(1) - ripple[:, tied].max(1)
    lines = [
        ["smallest ripple gap", mean_and_interval(gaps, ".1f"), f"{gaps.min():.1f}", ""]
    ]
    close = []
    for s in PERIODS:
        _, values = by_seed(rows, f"test/phase_var_db_s{s}")
        if not len(values):
            continue
        group = values[:, ~tied].mean(1) - values[:, tied].mean(1)
        mean, low, high = mean_interval(group)
        low, high = (mean if math.isnan(x) else x for x in (low, high))
        close.append(low > -CLOSE and high < CLOSE)
        against = (values - values[:, [kinds.index(REFERENCE)]]).mean(0)
        worst = int(np.argmax(np.abs(against)))
        name = f"{kinds[worst]} {against[worst]:+.2f}"
        lines.append(
            [f"`phase_var_db`, period {s}", mean_and_interval(group), "", name]
        )
    parts = [bool(gaps.min() > SEPARATION), bool(close) and all(close)]
    text = (
        f"The smallest gap of any seed is {gaps.min():.1f} dB; {sum(close)} of "
        f"{len(close)} periods differ by less than {CLOSE} dB."
    )
    header = ("unconstrained - constrained (dB)", "mean [95 %]", "lowest seed")
    header += (f"furthest from {REFERENCE}",)
    return Finding("H4", claim, verdict(parts), text, header, lines)


def ranks(rows: Sequence[Row]) -> Finding:
    """H5: no rank correlation of the decoders' PSNR with their ripple.

    Kendall's tau-b over the decoders' means, ripple below -100 dBFS counted as equal;
    its interval is a percentile bootstrap over seeds. Refuted where that leaves out 0,
    confirmed where it holds 0 and nothing beyond 0.5.
    """
    claim = "PSNR does not rank with ripple"
    kinds, psnr = by_seed(rows, "test/psnr")
    _, ripple = by_seed(rows, "test/dc_ripple_db_s8")
    if len(psnr) < 2 or len(kinds) < 3:
        return Finding("H5", claim, "not run", "Too few seeds or decoders.")
    ripple = np.maximum(ripple, CLEAN)
    tied = np.array([clean_by_construction(kind) for kind in kinds])
    groups = {"all": np.full(len(kinds), True), "unconstrained": ~tied}
    draws = np.random.default_rng(0).integers(len(psnr), size=(DRAWS, len(psnr)))
    found = {}
    for name, chosen in groups.items():
        a, b = psnr[:, chosen], ripple[:, chosen]
        for statistic in (tau, rho) if chosen.sum() > 2 else ():
            value = statistic(a.mean(0), b.mean(0))
            sample = statistic(a[draws].mean(1), b[draws].mean(1))
            ends = np.percentile(sample, [2.5, 97.5])
            found[name, statistic.__name__] = int(chosen.sum()), value, *ends
    lines = [
        [name, str(n), title, bracketed(*interval)]
        for (name, title), (n, *interval) in found.items()
    ]
    _, _, low, high = found["all", "tau"]
    result = "confirmed" if max(-low, high) <= WEAK else "undecided"
    if not low <= 0 <= high:
        result = "refuted"
    text = f"Kendall's tau over {len(kinds)} decoders is {lines[0][-1]}."
    header = ("decoders", "n", "statistic", "value [95 %]")
    return Finding("H5", claim, result, text, header, lines)


def tau(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Kendall's tau-b of the last axes, (..., n) to (...); 0 where one is constant."""
    a, b = (np.sign(v[..., :, None] - v[..., None, :]) for v in (x, y))
    return _cosine(a.reshape(*a.shape[:-2], -1), b.reshape(*b.shape[:-2], -1))


def rho(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of the last axes; 0 where one is constant."""
    a, b = (stats.rankdata(v, axis=-1) for v in (x, y))
    return _cosine(a - a.mean(-1, keepdims=True), b - b.mean(-1, keepdims=True))


def _cosine(a, b):
    size = np.sqrt((a**2).sum(-1) * (b**2).sum(-1))
    return (a * b).sum(-1) / np.where(size > 0, size, 1)


def against_reference(
    rows: Sequence[Row],
    fields: Sequence[str],
    measure: str,
    field: str = DECODER,
    reference: str = REFERENCE,
) -> list[Row]:
    """Every decoder minus the reference, paired by seed: rows of `contrast_table`.

    Over several settings each seed counts once, by its mean. Something else than
    decoders may be compared, by its field and reference.
    """
    contrasts = []
    for kind in kinds_of(rows, field):
        if kind == reference:
            continue
        found = pair_runs(rows, fields, {field: reference}, {field: kind}, measure)
        contrasts.append(pool_contrasts(found, kind))
    return contrast_table(contrasts)


def spread_over_seeds(rows: Sequence[Row], measure: str) -> list[Contrast]:
    """Differences to the reference as they are, for figures."""
    fields, first = [DECODER, "seed"], {DECODER: REFERENCE}
    return [
        pair_runs(rows, fields, first, {DECODER: kind}, measure)[0]
        for kind in kinds_of(rows)
        if kind != REFERENCE
    ]
