"""Tests of intervals, equivalence and ranks: by hand, and against scipy."""

import numpy as np
import pytest
from scipy import stats

from caejax.report.equivalence import MARGINS, equivalence
from caejax.report.intervals import (
    T_SEEDS,
    bca_interval,
    crossed_interval,
    mean_interval,
    t_interval,
)
from caejax.report.ranks import rank_correlation, rank_intervals, tau
from caejax.report.statistics import Contrast, contrast_table, holm


def test_t_intervals_by_hand_and_of_scipy():
    """t of 2 degrees of freedom is 4.3027, the standard error 1 / sqrt(3)."""
    low, high = t_interval([1, 2, 3])
    assert (low, high) == pytest.approx((2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5))
    x = np.random.default_rng(0).normal(size=9)
    expected = stats.ttest_1samp(x, 0).confidence_interval(0.9)
    assert t_interval(x, confidence=0.9) == pytest.approx((expected.low, expected.high))
    assert t_interval([0.5, 0.5]) == (0.5, 0.5)


def test_few_seeds_have_t_and_many_bca():
    x = np.random.default_rng(1).normal(size=T_SEEDS + 1)
    assert mean_interval(x[:T_SEEDS]) == t_interval(x[:T_SEEDS])
    assert mean_interval(x, seed=3) == bca_interval(x, seed=3)
    (row,) = contrast_table([Contrast("a", x[:6])])
    assert (row["low"], row["high"]) == t_interval(x[:6])


# Seeds and photographs.


def test_crossed_intervals_by_hand():
    """Mean squares of a table of 2 seeds and 3 photographs.

    Means of seeds are 2 and 4, of photographs 1, 3, 5: the squares are 3 * 2 = 6 and
    2 * 4 = 8, and what is left of each value is 0.5 or nothing.
    """
    x = np.array([[0.5, 2.0, 3.5], [1.5, 4.0, 6.5]])
    found = crossed_interval(x)
    assert found.mean == 3
    # Left: 0.5, 0, -0.5 and the same with other signs: a sum of squares of 1, of 2.
    total = 6 + 8 - 0.5
    assert found.error == pytest.approx(np.sqrt(total / 6))
    df = total**2 / (6**2 / 1 + 8**2 / 2 + 0.5**2 / 2)
    assert found.df == pytest.approx(df)
    reach = stats.t.ppf(0.975, df) * found.error
    assert (found.low, found.high) == pytest.approx((3 - reach, 3 + reach))
    assert found.of_seeds == pytest.approx((6 - 0.5) / 6)
    assert found.of_groups == pytest.approx((8 - 0.5) / 6)


def test_crossed_intervals_of_equal_photographs_are_those_over_seeds():
    seeds = np.array([0.1, 0.4, -0.2, 0.3])
    found = crossed_interval(seeds[:, None] + np.zeros((4, 50)))
    assert (found.low, found.high) == pytest.approx(t_interval(seeds))
    found = crossed_interval(np.zeros((4, 1)) + seeds[None])
    assert (found.low, found.high) == pytest.approx(t_interval(seeds))


def test_crossed_intervals_cover_the_truth():
    rng = np.random.default_rng(0)
    shape, hits, naive = (5, 20), 0, 0
    for _ in range(400):
        seeds, groups = 0.2 * rng.normal(size=5), 1.0 * rng.normal(size=20)
        x = seeds[:, None] + groups[None] + 0.5 * rng.normal(size=shape)
        found = crossed_interval(x)
        hits += found.low <= 0 <= found.high
        assert found.error >= x.mean(1).std(ddof=1) / 5**0.5 * (1 - 1e-9)
        low, high = t_interval(x.mean(1))
        naive += low <= 0 <= high
    assert hits > 0.93 * 400
    assert naive < 0.85 * 400  # as if there were no other photographs


# Equivalence.


def test_equivalence_is_two_tests_of_scipy():
    x = np.random.default_rng(2).normal(0.1, 0.2, 8)
    for margin in (0.05, 0.2, 0.5):
        sides = (
            stats.ttest_1samp(x, -margin, alternative="greater"),
            stats.ttest_1samp(x, margin, alternative="less"),
        )
        found = equivalence(x, margin)
        assert found.p == pytest.approx(max(side.pvalue for side in sides))
        inside = -margin < found.low and found.high < margin
        assert found.equivalent == inside == (found.p < 0.05)
        assert (found.low, found.high) == pytest.approx(t_interval(x, confidence=0.9))


def test_few_seeds_that_scatter_are_neither_different_nor_equal():
    wide = [-1.0, 1.1, -0.9, 1.0, 0.2]
    (row,) = contrast_table([Contrast("a", wide)], margin=0.3)
    assert row["verdict"] != "higher"
    assert not row["equal"]
    narrow = [0.01, -0.01, 0.02, 0.0, 0.01]
    assert equivalence(narrow, 0.3).equivalent
    assert equivalence([0.25] * 3, 0.3) == (0.0, 0.25, 0.25, True)
    assert not equivalence([0.3] * 3, 0.3).equivalent


def test_equivalence_of_a_family_is_corrected():
    rng = np.random.default_rng(0)
    data = [rng.normal(0.0, 0.1, 6) for _ in range(3)] + [[0.0]]
    contrasts = [Contrast(str(i), x) for i, x in enumerate(data)]
    rows = contrast_table(contrasts, margin=0.15)
    raw = [equivalence(x, 0.15).p for x in data[:3]] + [1.0]
    assert [row["p_equal"] for row in rows] == [*map(float, holm(raw)[:3]), None]
    assert not rows[3]["equal"]
    assert "p_equal" not in contrast_table(contrasts)[0]


@pytest.mark.parametrize("name", MARGINS)
def test_margins_are_positive(name):
    assert MARGINS[name] > 0


# Ranks.


def test_ranks_by_hand():
    """The first is always best; the others change places with the seed."""
    values = np.array([[9.0, 2.0, 1.0], [9.0, 1.0, 2.5]])
    found = rank_intervals(values)
    np.testing.assert_array_equal(found.ranks, [1, 3, 2])
    np.testing.assert_array_equal(found.low, [1, 2, 2])
    np.testing.assert_array_equal(found.high, [1, 3, 3])
    np.testing.assert_array_equal(found.first, [1, 0, 0])
    turned = rank_intervals(values, higher_is_better=False)
    np.testing.assert_array_equal(turned.ranks, [3, 1, 2])
    same = rank_intervals(np.ones((3, 4)))
    np.testing.assert_array_equal(same.ranks, [2.5] * 4)
    np.testing.assert_allclose(same.first, 0.25)


def test_kendalls_tau_is_that_of_scipy():
    rng = np.random.default_rng(0)
    for _ in range(5):
        x, y = rng.integers(6, size=(2, 9))
        assert tau(x, y) == pytest.approx(stats.kendalltau(x, y).statistic)
    assert tau(np.ones(4), np.arange(4)) == 0


def test_correlations_over_settings_are_less_sure_than_over_seeds():
    rng = np.random.default_rng(0)
    settings = np.linspace(0, 1, 6)
    x = settings + 0.02 * rng.normal(size=(5, 6))
    y = np.abs(settings - 0.3) + 0.02 * rng.normal(size=(5, 6))
    found = rank_correlation(x, y)
    assert found.value == pytest.approx(
        stats.kendalltau(x.mean(0), y.mean(0)).statistic
    )
    assert found.low < found.seeds_low <= found.value <= found.seeds_high < found.high
    perfect = rank_correlation(settings + np.zeros((3, 1)), settings + np.zeros((3, 1)))
    assert perfect == (1, pytest.approx(1), pytest.approx(1), 1, 1)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: t_interval([1]), "at least 2"),
        (lambda: crossed_interval([[1, 2]]), "got shape"),
        (lambda: equivalence([1, 2], 0), "margin is 0"),
        (lambda: rank_intervals([[1, 2]]), "2 and 2 at least"),
        (lambda: rank_correlation(np.ones((2, 3)), np.ones((2, 4))), "one shape"),
        (lambda: rank_intervals([[1, np.nan], [1, 2]]), "must be finite"),
    ],
)
def test_what_is_refused_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()
