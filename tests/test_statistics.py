"""Tests of the statistics of paired runs."""

import itertools

import numpy as np
import pytest
from scipy import stats

from caejax.files.csv_files import write_csv
from caejax.report.intervals import bca_interval
from caejax.report.read import read_sweep
from caejax.report.statistics import (
    EXACT_SEEDS,
    PERMUTATIONS,
    TOO_FEW,
    Contrast,
    contrast_table,
    format_p,
    holm,
    pair_runs,
    pool_contrasts,
    sign_flip_interval,
    sign_flip_p,
    smallest_p,
)


@pytest.fixture
def draw():
    """Normal differences that are mostly positive."""
    rng = np.random.default_rng(0)
    return lambda n: rng.normal(0.5, 1, n)


# In comments: the sums of all patterns of signs, up to a common one.
@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([7], 1),
        ([1, 2, 3], 1 / 4),  # 6, 4, 2, 0
        ([3, 1, -1], 3 / 4),  # 3, 3, 5, 1
        ([1, 1, -1], 1),  # 1, 1, 1, 3
        ([0, 2, 1], 1 / 2),  # 3, 3, 1, 1
        ([4, 3, 2, -1], 2 / 8),  # 8, 10, 6, 4, 4, 2, 0, -2
        ([0.1, 0.2, -0.3], 1),  # 0 but for rounding
        # 0.3 is reached by four sums that differ in rounding: 9, 7, 7, 5, 5, 5, 3, 3,
        # 3, 3, 1, 1, 1, -1, -1, -3 tenths.
        ([-0.3, 0.1, 0.1, 0.2, 0.2], 11 / 16),
        ([0, 0, 0, 0, 0, 0], 1),
        ([5] * 6, 2 / 2**6),
    ],
)
def test_sign_flips_by_hand(differences, p):
    assert sign_flip_p(differences) == p


@pytest.mark.parametrize("n", [2, 5, 10])
def test_sign_flips_are_those_of_scipy(n, draw):
    for _ in range(5):
        x = draw(n)
        expected = stats.permutation_test(
            (x,), np.mean, permutation_type="samples", n_resamples=np.inf
        )
        assert sign_flip_p(x) == pytest.approx(expected.pvalue, rel=1e-12)


@pytest.mark.parametrize("n", [8, EXACT_SEEDS + 5])
def test_the_test_knows_no_sign_unit_or_order(n, draw):
    x = draw(n)
    p = sign_flip_p(x)
    assert sign_flip_p(-x) == p
    for unit in (1e-300, 0.3, 1e300):
        assert sign_flip_p(unit * x) == p
    other_order = pytest.approx(p, abs=0 if n <= EXACT_SEEDS else 0.01)
    assert sign_flip_p(x[::-1]) == other_order


def test_many_seeds_are_sampled_with_the_given_pattern_among_them(draw):
    x = draw(EXACT_SEEDS + 1) - 0.3
    halves = [
        [sum(s) for s in itertools.product(*zip(h, -h, strict=True))]
        for h in (x[:10], x[10:])
    ]
    exact = np.mean(np.abs(np.add.outer(*halves)) >= abs(x.sum()) - 1e-9)
    p = sign_flip_p(x, seed=3)
    error = 4 * np.sqrt(exact * (1 - exact) / PERMUTATIONS)
    assert p == pytest.approx(exact, abs=error)
    assert p == sign_flip_p(x, seed=3)
    assert p != sign_flip_p(x, seed=4)
    assert p * (PERMUTATIONS + 1) == pytest.approx(round(p * (PERMUTATIONS + 1)))


def test_the_smallest_p_is_reached_when_all_seeds_agree():
    assert smallest_p(5) == 0.0625
    assert smallest_p(10) == 2 / 1024
    for n in (1, 2, 5, 10, EXACT_SEEDS, 40):
        assert sign_flip_p(np.arange(1, n + 1)) == smallest_p(n)
    assert smallest_p(0) == 1


def test_an_interval_of_sign_flips_by_hand():
    # Means of subsets of 1, 2, 4: 1, 1.5, 2, 7/3, 2.5, 3, 4. Below 1.5, four of the
    # eight patterns are as far out as the given one; from there on, six.
    assert sign_flip_interval([1, 2, 4], confidence=0.5) == (1.5, 3)
    assert sign_flip_interval([1, 2, 4]) == (-np.inf, np.inf)
    assert sign_flip_interval([0] * 8) == (0, 0)


@pytest.mark.parametrize("n", [8, EXACT_SEEDS + 5])
@pytest.mark.parametrize("level", [0.05, 0.05 / 3])
def test_an_interval_holds_what_sign_flips_do_not_refuse(n, level, draw):
    x = draw(n) + 0.3
    low, high = sign_flip_interval(x, confidence=1 - level)
    assert low < x.mean() < high
    for end, inwards in ((low, 1e-6), (high, -1e-6)):
        assert sign_flip_p(x - end - inwards) > level
        assert sign_flip_p(x - end + inwards) <= level


@pytest.mark.parametrize("n", [5, 10, 30])
def test_intervals_are_those_of_scipy(n, draw):
    x = draw(n)
    options = {"n_resamples": 9_999, "method": "BCa", "confidence_level": 0.9}
    # On the same resamples; ties that rounding breaks count a little otherwise.
    rng = np.random.default_rng(7)
    same = stats.bootstrap((np.sort(x),), np.mean, rng=rng, **options)
    interval = bca_interval(x, confidence=0.9, seed=7)
    tolerance = 0.03 * np.ptp(interval) if n == 5 else 0.002 * np.ptp(interval)
    np.testing.assert_allclose(interval, same.confidence_interval, atol=tolerance)
    others = stats.bootstrap((x,), np.mean, rng=np.random.default_rng(8), **options)
    tolerance = 0.05 * np.ptp(interval)
    np.testing.assert_allclose(interval, others.confidence_interval, atol=tolerance)


def test_intervals_go_with_unit_and_origin_and_know_no_order(draw):
    x = draw(4)
    low, high = bca_interval(x)
    assert low < x.mean() < high
    assert bca_interval(x[::-1]) == (low, high)
    for unit in (1e-200, 0.3, 1e200):
        np.testing.assert_allclose(bca_interval(unit * x), (unit * low, unit * high))
    np.testing.assert_allclose(bca_interval(x + 100), (low + 100, high + 100))
    assert bca_interval(x, seed=1) != (low, high)
    wide = bca_interval(x, confidence=0.99)
    assert wide[0] < low < high < wide[1]


def test_the_interval_of_two_by_hand():
    # Means of resamples are 1, 2 and 3 with 1/4, 1/2 and 1/4: no bias, no skew.
    assert bca_interval([3, 1]) == (1, 3)


@pytest.mark.parametrize("value", [0, 2, 0.1, -1e-30])
def test_equal_differences_have_no_spread(value):
    for differences in ([value] * 7, [value, value * (1 + 1e-15)]):
        assert bca_interval(differences) == pytest.approx((value, value), rel=1e-12)


def test_intervals_cover_about_as_often_as_documented():
    rng = np.random.default_rng(0)
    samples = rng.normal(1, 2, size=(300, 10))
    intervals = np.array([bca_interval(x, seed=i) for i, x in enumerate(samples)])
    covered = (intervals[:, 0] <= 1) & (intervals[:, 1] >= 1)
    assert covered.mean() == pytest.approx(0.9, abs=0.05)  # three standard errors


@pytest.mark.parametrize(
    ("p", "adjusted"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.02, 0.02, 0.02], [0.06, 0.06, 0.06]),
        ([0.5, 0.6, 0.001], [1, 1, 0.003]),
        ([0.2], [0.2]),
        ([], []),
    ],
)
def test_holm_by_hand(p, adjusted):
    np.testing.assert_allclose(holm(p), adjusted, rtol=1e-12)


def test_holm_rejects_step_by_step():
    rng = np.random.default_rng(0)
    for _ in range(20):
        p = rng.uniform(size=7) ** 3
        for alpha in (0.01, 0.05, 0.2, 0.7):
            rejected = np.zeros(7, bool)
            for i, index in enumerate(np.argsort(p)):
                if p[index] > alpha / (7 - i):
                    break
                rejected[index] = True
            np.testing.assert_array_equal(holm(p) <= alpha, rejected)


@pytest.mark.parametrize(
    ("p", "smallest", "text"),
    [
        (0.03125, 0.03125, "0.0313"),  # rounded down it could not be reached
        (0.0214844, 0.00195, "0.0215"),
        (3 * 0.1, 0.01, "0.3"),
        (1.0, 0.01, "1"),
        (1e-5, 1e-5, "0.00001"),
        (1e-9, 0.002, "0.002"),
        (0.0625, 0.0625, TOO_FEW),
        (None, 0.0625, TOO_FEW),
    ],
)
def test_p_is_never_printed_below_what_seeds_allow(p, smallest, text):
    assert format_p(p, smallest) == text


def test_a_table_by_hand():
    contrasts = [
        Contrast("up", np.arange(1, 9), missing=["seed 8: a is failed"]),
        Contrast("down", -np.ones(8)),
        Contrast("even", [1, -1, 2, -2, 3, -3, 4, -4]),
    ]
    up, down, even = contrast_table(contrasts)
    # 4.5 -+ t(0.975, 7) s / sqrt(8), of tables: t = 2.3646 and s = sqrt(6).
    half = pytest.approx(2.3646 * np.sqrt(6 / 8), abs=1e-3)
    assert up == {
        "name": "up",
        "n": 8,
        "missing": 1,
        "mean": 4.5,
        "low": up["low"],
        "high": up["high"],
        "p": 2 / 2**8,
        "p_holm": 6 / 2**8,
        "p_smallest": 6 / 2**8,
        "p_text": "0.0235",
        "verdict": "higher",
    }
    assert up["high"] - 4.5 == half
    assert 4.5 - up["low"] == half
    assert (down["mean"], down["low"], down["high"]) == (-1, -1, -1)
    assert (down["p_holm"], down["verdict"]) == (6 / 2**8, "lower")
    assert (even["p_holm"], even["p_text"], even["verdict"]) == (1, "1", "undecided")
    assert contrast_table([]) == []


def test_a_p_that_the_seeds_cannot_support_is_refused():
    # 2 / 2^6 is below 0.05, but not three times that.
    six = Contrast("six", np.ones(6))
    (alone,) = contrast_table([six])
    assert (alone["p_text"], alone["verdict"]) == ("0.0313", "higher")
    (strict,) = contrast_table([six], level=0.01)
    assert (strict["p"], strict["p_holm"], strict["p_text"]) == (None, None, TOO_FEW)
    for row in contrast_table([six, six, Contrast("five", np.arange(5))]):
        assert (row["p"], row["p_holm"], row["p_text"]) == (None, None, TOO_FEW)
    assert row["verdict"] == "n too small: p is 0.0938 at best"


def test_one_contrast_with_few_seeds_does_not_silence_the_others():
    ten, one, none = contrast_table(
        [Contrast("ten", np.ones(10)), Contrast("one", [2]), Contrast("none", [])]
    )
    assert (ten["p_holm"], ten["verdict"]) == (6 / 2**10, "higher")
    assert (one["n"], one["mean"], one["low"], one["p"]) == (1, 2, None, None)
    assert (none["n"], none["mean"], none["high"], none["p"]) == (0, None, None, None)
    assert none["verdict"] == "n too small: p is 1 at best"


FIELDS = ["model.latent_channels", "model.upsampling", "seed"]
FIRST, SECOND = ({"model.upsampling": k} for k in ("deconv_k3", "nearest_k3"))


def row(channels, decoder, seed, psnr, status="done"):
    values = dict(zip(FIELDS, (channels, decoder, seed), strict=True))
    figures = {} if psnr is None else {"test/psnr": psnr}
    run_id = f"{channels}-{decoder}-{seed}"
    return {"run_id": run_id, **values, "status": status, "error": "", **figures}


ROWS = [
    row(2, "deconv_k3", 0, 20.0),
    row(2, "deconv_k3", 1, 21.0),
    row(2, "deconv_k3", 2, None, "failed"),
    row(2, "deconv_k3", 3, 22.0),
    row(2, "nearest_k3", 3, None),
    row(2, "nearest_k3", 1, 21.5),
    row(2, "nearest_k3", 0, 20.25),
    row(2, "nearest_k3", 2, None, "pending"),
    row(2, "nearest_k3", 4, 23.0),
    row(2, "shuffle_k3", 5, 23.0),
    row(8, "deconv_k3", 0, 30.0),
    row(8, "nearest_k3", 0, float("nan")),
    row(8, "deconv_k3", 1, 31.0),
    row(8, "nearest_k3", 1, 30.0),
]


def check_pairs(contrasts):
    few, many = contrasts
    assert few.name == "nearest_k3 - deconv_k3 at model.latent_channels=2"
    np.testing.assert_array_equal(few.differences, [0.25, 0.5])
    assert few.seeds == [0, 1]
    assert few.missing == [
        "seed 2: deconv_k3 is failed; nearest_k3 is pending",
        "seed 3: nearest_k3 has no test/psnr",
        "seed 4: deconv_k3 has no run",
    ]
    assert many.name == "nearest_k3 - deconv_k3 at model.latent_channels=8"
    np.testing.assert_array_equal(many.differences, [-1])
    assert many.missing == ["seed 0: nearest_k3 has test/psnr nan"]


def test_runs_are_paired_by_seed_and_setting():
    check_pairs(pair_runs(ROWS, FIELDS, FIRST, SECOND, "test/psnr"))
    rows = contrast_table(pair_runs(ROWS, FIELDS, FIRST, SECOND, "test/psnr"))
    assert [(r["n"], r["missing"], r["p"]) for r in rows] == [
        (2, 3, None),
        (1, 1, None),
    ]


def test_runs_are_paired_as_well_from_the_file(tmp_path):
    (tmp_path / "config.json").write_text('{"sweep": {"a": {"field": "seed"}}}')
    pending = [{**r, "status": "pending"} if r["status"] == "done" else r for r in ROWS]
    write_csv(tmp_path / "results.csv", pending)
    rows = read_sweep(tmp_path).rows
    for read, written in zip(rows, ROWS, strict=True):
        read["status"] = written["status"]
    check_pairs(pair_runs(rows, FIELDS, FIRST, SECOND, "test/psnr"))


def test_an_axis_may_set_several_fields():
    fields = ["corruption.name", "model.widths", "seed"]
    rows = [
        dict(zip([*fields, "status", "x"], values, strict=True))
        for values in [
            ("none", "(4, 4)", 0, "done", 1),
            ("none", "(8, 8)", 0, "done", 2),
            ("masking", "(8, 8)", 0, "done", 5),
        ]
    ]
    first = {"corruption.name": "none", "model.widths": (4, 4)}
    second = {"corruption.name": "masking", "model.widths": (8, 8)}
    (contrast,) = pair_runs(rows, fields, first, second, "x")
    assert contrast.name == "masking, (8, 8) - none, (4, 4)"
    assert contrast.differences == [4]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: sign_flip_p([]), r"differences must be a vector of at least 1 value"),
        (lambda: sign_flip_p([[1, 2]]), r"got shape \(1, 2\)"),
        (lambda: sign_flip_p([1, np.nan]), "differences must be finite, got nan"),
        (lambda: bca_interval([1]), "at least 2 values"),
        (lambda: bca_interval([1, 2, -np.inf]), "must be finite, got -inf"),
        (lambda: bca_interval([1, 2], confidence=95), "confidence is 95"),
        (lambda: holm([0.1, 1.5]), r"p must lie in \[0, 1\], got 1\.5"),
        (lambda: holm([0.1, np.nan]), "p must be finite"),
        (lambda: contrast_table([Contrast("a", [np.nan])]), "a: differences must be"),
        (lambda: contrast_table([], level=1), "level is 1"),
        (
            lambda: pair_runs(ROWS, FIELDS, FIRST, {"seed": 1}, "test/psnr"),
            "first sets model.upsampling and second sets seed",
        ),
        (
            lambda: pair_runs(ROWS, FIELDS, {"seed": 0}, {"seed": 1}, "test/psnr"),
            "seed is no swept field",
        ),
        (
            lambda: pair_runs(ROWS, FIELDS, {"loss": 0}, {"loss": 1}, "test/psnr"),
            "loss is no swept field",
        ),
        (
            lambda: pair_runs(
                ROWS, FIELDS, FIRST, {"model.upsampling": "nearest"}, "test/psnr"
            ),
            "no run has model.upsampling=nearest$",
        ),
        (
            lambda: pair_runs(ROWS, FIELDS, FIRST, SECOND, "test/psn"),
            r"no run has 'test/psn' \(did you mean 'test/psnr'\?\)",
        ),
        (
            lambda: pair_runs(ROWS, FIELDS[1:], FIRST, SECOND, "test/psnr"),
            "2-deconv_k3-0 and 8-deconv_k3-0 are one point",
        ),
    ],
)
def test_mistakes_are_refused_in_one_line(call, words):
    with pytest.raises(ValueError, match=words) as error:
        call()
    assert "\n" not in str(error.value)


def test_pooled_contrast_counts_each_seed_once():
    low = Contrast("low", [1.0, 2.0, 3.0], [0, 1, 2])
    high = Contrast("high", [6.0, 3.0], [2, 0], ["seed 1: b has no run"])
    pooled = pool_contrasts([low, high], "both")
    assert pooled.name == "both"
    np.testing.assert_array_equal(pooled.differences, [2.0, 4.5])
    assert list(pooled.seeds) == [0, 2]
    assert list(pooled.missing) == ["seed 1: lacks 1 of 2 settings"]
    with pytest.raises(ValueError, match="no contrasts"):
        pool_contrasts([], "none")
