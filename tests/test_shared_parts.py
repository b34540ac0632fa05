"""Tests of what the studies in experiments share."""

import math

import numpy as np
import pytest

from caejax.errors import CaejaxError
from caejax.files.csv_files import read_csv, write_csv
from caejax.models.kinds import UPSAMPLING
from experiments.shared import cells, commands, machine, rows, styles, turns
from experiments.tying import plan


def test_no_sign_is_left_on_zero():
    assert cells.digits(-0.004, ".2f") == "0.00"
    assert cells.digits(-0.006, ".2f") == "-0.01"
    assert cells.digits(-0.0, ".4g") == "0"


def test_brackets_hold_what_there_is():
    assert cells.bracketed(1.234, 1.0, 2.0) == "1.23 [1.00, 2.00]"
    assert cells.bracketed(0.5, -1.0, 2.0, "+.1f") == "+0.5 [-1.0, +2.0]"
    assert cells.bracketed(1.0, math.nan, math.nan) == "1.00"
    assert cells.bracketed(1.0, None, None) == "1.00"
    assert cells.bracketed(None) == ""
    assert cells.bracketed(1, 2, 3, lambda x: "abc"[x - 1]) == "a [b, c]"


def test_middles_of_values():
    values = np.array([1.0, 2.0, 6.0])
    assert cells.mean_and_range(values) == "3.00 [1.00, 6.00]"
    assert cells.median_and_range(values) == "2.0 [1.0, 6.0]"
    mean, low, high = cells.mean_interval(values)
    # Of three values t(0.975, 2) = 4.3027, and s^2 = (4 + 1 + 9) / 2 = 7.
    half = pytest.approx(4.3027 * np.sqrt(7 / 3), rel=1e-4)
    assert (mean, mean - low, high - mean) == (3.0, half, half)
    assert cells.mean_and_interval(values) == f"3.00 [{low:.2f}, {high:.2f}]"
    assert cells.mean_and_interval(values[:1]) == "1.00"


def test_kept_rows_are_those_that_are_read_back(tmp_path):
    row = {"kind": "a", "seeds": 3, "x": 1 / 3, "y": np.float64(-1e-9)}
    kept = rows.rounded(row, ".4f", x=".2g")
    assert kept == {"kind": "a", "seeds": 3, "x": "0.33", "y": "0.0000"}
    write_csv(tmp_path / "x.csv", [kept])
    (found,) = read_csv(tmp_path / "x.csv")
    assert rows.rounded(found, ".4f", x=".2g") == kept


def test_rows_are_found_by_their_values():
    some = [{"kind": k, "n": n} for n in (1, 2) for k in "ba"]
    assert rows.distinct(some, "kind") == ["b", "a"]
    assert rows.select(some, kind="a", n=2) == [some[3]]
    groups = rows.by_columns(some, ("n",))
    assert groups == {(1,): some[:2], (2,): some[2:]}


def test_failed_runs_are_one_line(tmp_path):
    found = [{"status": "done"}, {"status": "failed"}]
    rows.check_none_failed(found[:1], "arm", tmp_path)
    with pytest.raises(CaejaxError, match="1 runs of arm failed"):
        rows.check_none_failed(found, "arm", tmp_path)


def test_every_kind_has_a_look_of_its_own():
    looks = {tuple(styles.kind_style(kind).values()) for kind in UPSAMPLING}
    assert len(looks) == len(UPSAMPLING)


@pytest.mark.parametrize(
    "kinds",
    [
        set(plan.FACTOR_KINDS) - {plan.REFERENCE},
        {"deconv_k3", "deconv_k4", "nearest_k3", "shuffle_icnr"},
        {"deconv_k4", "nearest_k3", "shuffle_k3", "shuffle_icnr", "shuffle_hold"},
    ],
    ids=["the grid of tying", "the first grid", "the start of training"],
)
def test_kinds_of_one_figure_have_unlike_colours(kinds):
    colors = {styles.kind_style(kind)["color"] for kind in kinds}
    assert len(colors) == len(kinds)


def test_every_other_round_is_in_reverse():
    assert "".join(turns.in_turns("abc", 3)) == "abccbaabc"


def test_who_had_the_fewest_turns_is_next():
    assert turns.whose_turn({"a": [1.0], "b": [], "c": []}, 1) == "b"
    assert turns.whose_turn({"a": [1.0], "b": [2.0]}, 1) is None


def test_packages_that_are_missing_are_said():
    found = machine.versions(("numpy", "no-such-package"))
    assert found == {"numpy": np.__version__, "no-such-package": "not installed"}
    assert machine.in_words({"cores": 2, "jax": "1"}) == "cores 2, jax 1"


def test_modules_are_found_wherever_they_are_started(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    found = commands.environment(WORD="x")
    assert (found["PYTHONPATH"].split(":"), found["WORD"]) == (
        [str(commands.ROOT), "elsewhere"],
        "x",
    )
