"""Tests of the study in experiments/initialisation."""

import functools
import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest

from caejax.files.csv_files import read_csv
from caejax.models.kinds import UPSAMPLING
from caejax.report.style import paper_style
from experiments.initialisation import figures, measure, study, tables, theory

UNTIED = [f"deconv_k{k}" for k in range(2, 7)] + ["shuffle_k3"]


@pytest.fixture
def chain():
    """Moments of a kind on constant or white codes."""

    def run(kind, *, white=False, rectify=False, initializer="he_normal", stages=3):
        start = theory.white() if white else theory.constant()
        outputs, behind = theory.chain(
            start, UPSAMPLING[kind], stages, initializer, rectify=rectify
        )
        return behind if rectify else outputs

    return run


# Theory.


def test_ripple_of_untied_stages_in_numbers():
    values = [theory.untied_ripple_db(n) for n in (1, 2, 3)]
    assert values == pytest.approx([4.77, 11.76, 17.99], abs=0.005)


@pytest.mark.parametrize("kind", UPSAMPLING)
def test_moments_follow_the_formula_or_are_clean(chain, kind):
    """For kernels of odd size too, whose phases differ in power."""
    found = [theory.ripple_db(moments) for moments in chain(kind)]
    expected = [theory.untied_ripple_db(n) for n in (1, 2, 3)]
    expected = expected if kind in UNTIED else [-np.inf] * 3
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("kind", UPSAMPLING)
def test_overlap_of_one_stage_belongs_to_odd_kernels(chain, kind):
    odd = {"deconv_k3": 3, "deconv_k5": 5}.get(kind)
    expected = theory.odd_overlap_db(odd) if odd else 0
    assert theory.overlap_db(chain(kind, stages=1)[0]) == pytest.approx(expected)


def test_overlap_in_numbers(chain):
    assert theory.odd_overlap_db(3) == pytest.approx(6.02, abs=0.005)
    assert theory.odd_overlap_db(5) == pytest.approx(3.52, abs=0.005)
    assert theory.odd_overlap_db(4) == 0
    # Per axis, powers of 2:1, 3:2:3:1 and 4:3:5:2:5:3:4:1 in some order.
    found = [theory.overlap_db(moments) for moments in chain("deconv_k3")]
    assert found == pytest.approx([20 * np.log10(n) for n in (2, 3, 5)])


def test_relu_of_gaussians():
    """Equal ones keep half their power, independent ones correlate by 1 / 2 pi."""
    moments = theory.relu(theory.white(2))
    np.testing.assert_allclose(theory.power(moments), np.full((2, 2), 0.5))
    assert moments[0, 0, 1, 1] == pytest.approx(1 / (2 * np.pi))
    constant = theory.relu(np.ones((2, 2, 2, 2)))
    np.testing.assert_allclose(constant, np.full((2, 2, 2, 2), 0.5))


def test_ripple_behind_one_relu(chain):
    """Four equal independent phases: 4 / (1 + 3 / pi) - 1."""
    moments = chain("deconv_k2", stages=1, rectify=True)[0]
    expected = 10 * np.log10(4 / (1 + 3 / np.pi) - 1)
    assert theory.ripple_db(moments) == pytest.approx(expected)


def test_rms_of_stages(chain):
    def rms(*args, **kwargs):
        return [theory.rms(moments) for moments in chain(*args, **kwargs)]

    assert rms("deconv_k3") == pytest.approx([2**0.5, 2, 2**1.5])
    assert rms("deconv_k3", rectify=True) == pytest.approx([1, 1, 1])
    default = functools.partial(rms, initializer="flax_default")
    assert default("deconv_k3") == pytest.approx([1 / 2, 1 / 4, 1 / 8])
    assert default("bilinear_additive") == pytest.approx([2, 4, 8])
    assert default("bilinear_k3") == pytest.approx([1, 1, 1])
    # Sums of four channels add up their means, too, from the second stage on.
    growth = (1 + 3 / np.pi) ** 0.5
    found = rms("bilinear_additive", rectify=True)
    assert found == pytest.approx([1, growth, growth**2])
    # White noise between two pixels: (1/4)^2 + (3/4)^2 an axis.
    assert default("bilinear_k3", white=True)[0] == pytest.approx(0.625)
    assert default("nearest_k3", white=True) == pytest.approx([1, 1, 1])
    assert default("carafe", white=True)[0] == pytest.approx(1 / 5)  # of 25 pixels
    # Projection takes nothing from constants, nor from white noise.
    for kind in ("deconv_k4_tied", "shuffle_tied"):
        assert rms(kind)[0] == pytest.approx(2**0.5)
        assert rms(kind, white=True)[0] == pytest.approx(2**0.5)


# Measurement.


def test_ripple_meets_theory():
    rows = list(study.ripple_rows(["deconv_k3"], seeds=48, width=8))
    assert [row["stages"] for row in rows] == [1, 2, 3] * 3
    assert {row["variant"] for row in rows} == {"linear", "relu", "decoder"}
    for row in rows:
        # Some 800 numbers, of which those of a seed depend on each other.
        assert row["pooled_db"] == pytest.approx(row["theory_db"], abs=2)
        assert row["pooled_low"] < row["pooled_db"] < row["pooled_high"]


def test_pooled_ripple_is_a_ratio_of_expectations():
    """Powers 1 and 3 of means 1 and 1 / 2."""
    values = 10 * np.log10([[1, 1], [3, 6]])
    assert measure.pooled_db(values) == pytest.approx(10 * np.log10(4 / 1.5))


def test_overlap_meets_theory():
    (row,) = study.overlap_rows(["deconv_k3"], seeds=128, most=1)
    assert row["theory_db"] == pytest.approx(6.02, abs=0.005)
    assert row["measured_db"] == pytest.approx(6.02, abs=0.7)
    assert row["expected_low"] < 6.02 + row["bias_db"] < row["expected_high"]


def test_readings_scatter_around_the_theory_and_above(normal):
    powers = normal(400, 2, 2) ** 2
    truth = np.array([[4, 2], [2, 1]])
    readings = measure.readings_db(powers, truth, 200)
    assert readings.mean() == pytest.approx(6.02, abs=0.3)
    equal = measure.readings_db(powers, np.ones((2, 2)), 200)
    assert equal.min() > 0
    few = measure.readings_db(powers[:50], np.ones((2, 2)), 200)
    assert few.mean() > equal.mean() > 0


def test_training_makes_icnr_ripple(monkeypatch):
    monkeypatch.setattr(measure, "WIDTHS", (4,))
    rows = study.training_rows(["shuffle_icnr"], seeds=1, size=60, steps=(0, 10))
    before, after = itertools.islice(rows, 2)
    assert before["dc_ripple_db_s8"] < -100 < -80 < after["dc_ripple_db_s8"]
    assert np.isfinite(after["train_loss"])


def test_rms_meets_theory_and_comes_again(monkeypatch):
    monkeypatch.setattr(measure, "SETTINGS", {"flax_default": ("flax_default", False)})
    run = functools.partial(study.variance_rows, ["deconv_k2"], seeds=24, width=8)
    rows = list(run())
    for row in rows:
        assert row["rms"] == pytest.approx(row["theory_rms"], rel=0.2)
    assert rows == list(run())


# Files.


def test_columns_in_full_scale_are_those_of_their_rows():
    """In whichever order the file has them, and in results.md."""
    rows = read_csv(figures.HERE / "ripple.csv")
    table = tables.full_scale_table(rows)
    head, _, first, *_ = (line.strip("| ").split(" | ") for line in table.split("\n"))
    cells = dict(zip(head, first, strict=True))
    for row in rows[:9]:
        name = f"{row['variant']}, L = {row['stages']}"
        assert row["kind"] == cells["kind"]
        assert cells[name] == tables.interval(row, "dbfs")
    assert table in (figures.HERE / "results.md").read_text()


def test_arrival_is_the_first_step_or_never():
    reached = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 1]], bool)
    assert tables.arrivals(reached, np.array([0, 5, 10])) == "10 [5, 10]"
    reached[1:] = False
    assert tables.arrivals(reached, np.array([0, 5, 10])) == "never [5, never]"


def test_figures_are_drawn_of_the_kept_rows_and_say_their_setting():
    rows = {
        name: read_csv(figures.HERE / f"{name}.csv")
        for name in ("ripple", "overlap", "training", "variance")
    }
    with paper_style():
        ripple = figures.ripples(rows["ripple"])
        drawn = {
            "128 seeds (64 of clean kinds)": ripple,
            "1,024 seeds": figures.overlaps(rows["overlap"]),
            "gaussian noise 0.3; three stages of 8, 16": figures.curves(
                rows["training"]
            ),
            "in units of the codes'": figures.powers(rows["variance"]),
        }
        for said, figure in drawn.items():
            assert said in figure.get_suptitle().replace("\n", " ")
        marks = [text.get_text() for axis in ripple.axes for text in axis.texts]
        assert marks == ["below: rounding"] * 3
        plt.close("all")
