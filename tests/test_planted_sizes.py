"""Tests of the study of sizes, ramps and shifts: planted is measured."""

from pathlib import Path

import numpy as np
import pytest

from caejax.report.equivalence import MARGINS
from experiments.metric_validation import patterns
from experiments.shared.rows import select


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """One size and one period are planted."""
    monkeypatch.setattr(patterns, "GREYS", (1.0,))
    monkeypatch.setattr(patterns, "PERIODS", (2,))


def test_what_is_planted_in_decoders_is_measured():
    codes = np.array([0.3, 0.7], np.float32)[:, None, None, None]
    rows = list(patterns.decoder_rows(codes))
    for row in rows:
        if not row["what"].startswith("control"):
            assert row["measured"] == pytest.approx(row["expected"], rel=2e-3)
        elif "gamma" in row["what"] and row["measure"] == "ramp_ripple_db":
            assert row["measured"] < -20  # curvature, far from a step's -6
        else:
            assert row["measured"] < -90


def test_what_stands_still_is_a_shift_error(normal):
    for row in patterns.shift_rows(0.5 + 0.1 * normal(2, 16, 16, 1)):
        tolerance = {"rel": 2e-2, "abs": 1e-3}
        assert row["measured"] == pytest.approx(row["expected"], **tolerance)


def test_margins_are_what_one_grey_level_moves():
    common = {"artifact": "tone", "planted": patterns.ONE_GREY}
    rows = [
        {**common, "measure": name, "period": period, "change": change}
        for name in patterns.MARGIN_OF
        for period, change in ((2, 0.5), (2, 0.7), (4, -0.2), (8, 0.3))
    ]
    rows.append({**rows[0], "planted": 4.0, "change": 1e-2})
    rows.append({**rows[0], "artifact": "low_pass", "change": 1e-3})
    found = patterns.margins(rows)
    assert found == pytest.approx(dict.fromkeys(patterns.MARGIN_OF, 0.2))
    mean = select(patterns.changes(rows), period=2, measure="psnr", planted=1.0)
    mean = select(mean, artifact="tone")
    assert mean[0]["change"] == pytest.approx(0.6)


def test_the_margins_in_use_are_those_of_the_study():
    text = Path(patterns.__file__).with_name("patterns.md").read_text()
    lines = text.split("## Margins")[1].splitlines()
    table = dict(line.strip("| ").split(" | ") for line in lines if line[:2] == "| ")
    for name in patterns.MARGIN_OF:
        assert MARGINS[name] == float(table[name])
