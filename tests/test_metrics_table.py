"""Tests of the table of metrics: that one entry and a function are a whole metric."""

import contextlib
import csv
import json
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import pytest
from helpers.tiny import tiny_config

from caejax.commands import run as run_command
from caejax.commands.options import Options
from caejax.metrics import evaluator
from caejax.metrics.parts import PARTS
from caejax.metrics.table import (
    METRICS,
    NEEDS,
    PERIODS,
    Metric,
    brief_columns,
    column,
    find,
    finish_of,
    formatted,
    function_of,
    shown_columns,
    title,
    to_markdown,
    when_measured,
)

ROOT = Path(__file__).parents[1]


def worst_error(output, target):
    """The largest error of each image."""
    return jnp.abs(output - target).max((1, 2, 3))


def row_difference(means):
    """How much the two rows of a period differ in the residuals' mean."""
    return jnp.abs(means.parts["phase_means"].mean((1, 2))[0]).sum()


def brightness(responses):
    """The mean of what a decoder makes of constant codes."""
    return responses.flat.mean((1, 2, 3))


TOYS = (
    Metric(
        "worst_error",
        "worst error",
        "grey levels",
        3,
        "lower",
        "output",
        worst_error,
        "The largest error of an image.",
    ),
    Metric(
        "row_difference",
        "row difference",
        "",
        4,
        "lower",
        "residual",
        row_difference,
        "How much rows differ.",
        periods=(2,),
        parts=("phase_means",),
    ),
    Metric(
        "brightness",
        "brightness",
        "",
        2,
        "",
        "decoder",
        f"{__name__}:brightness",
        "How bright the decoder's output is.",
        short="bright",
        when=("test", "probe"),
        columns=("test/brightness",),
    ),
)


@contextlib.contextmanager
def more_metrics():
    """Three metrics more in the table."""
    with pytest.MonkeyPatch.context() as patch:
        for toy in TOYS:
            patch.setitem(METRICS, toy.name, toy)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A sweep of two runs, by the command."""
    config = tiny_config()
    config.train.epochs = 1
    config.sweep = {"noise": {"field": "corruption.level", "values": (0.1, 0.9)}}
    workdir = tmp_path_factory.mktemp("toys")
    with more_metrics():
        assert run_command.main(Options(config, workdir, cores=1, cache=False)) == 0
    return workdir


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_metric_in_the_table_is_in_every_file(folder):
    for run in (folder / "runs").iterdir():
        rows = read(run / "metrics.jsonl")
        for split in ("val", "test"):
            assert any("worst_error" in row for row in rows if row["split"] == split)
            assert any("row_difference_s2" in r for r in rows if r["split"] == split)
        assert all("worst_error" not in row for row in rows if row["split"] == "train")
        summary = json.loads((run / "summary.json").read_text())
        assert 0 < summary["test/worst_error"] <= 1
        assert summary["test/worst_error"] >= summary["test/mse"] ** 0.5
        assert {"test/row_difference_s2", "test/brightness"} <= set(summary)
    with (folder / "results.csv").open() as file:
        for row in csv.DictReader(file):
            assert float(row["test/worst_error"]) > 0
            assert float(row["test/row_difference_s2"]) > 0


def test_a_metric_is_measured_when_its_entry_says(folder):
    for run in (folder / "runs").iterdir():
        rows = read(run / "metrics.jsonl")
        probed = [row for row in rows if row["step"] == 2]
        assert [set(row) & {"brightness", "worst_error"} for row in probed] == [
            {"brightness"}
        ]
        ends = [r for r in rows if r["split"] == "val" and "psnr" in r]
        assert ends
        assert not any("brightness" in row for row in ends)
        assert "init/brightness" not in json.loads((run / "summary.json").read_text())


def test_a_metric_is_in_tables_and_on_the_page(folder):
    markdown = (folder / "tables" / "results.md").read_text()
    page = (folder / "report.html").read_text()
    for text in ("worst error (grey levels)", "row difference s2", "bright"):
        assert text in markdown.splitlines()[0]
        assert text in page
    (line,) = [x for x in markdown.splitlines() if "0.9" in x.split("|")[1]]
    (path,) = [
        run
        for run in (folder / "runs").iterdir()
        if '"level": 0.9' in (run / "config.json").read_text()
    ]
    value = json.loads((path / "summary.json").read_text())["test/worst_error"]
    assert f" {value:.3f} " in line


def test_an_estimator_is_measured_by_it_as_long_as_it_is_in_the_table():
    images = jnp.linspace(0, 1, 3 * 16 * 16).reshape(3, 16, 16, 1)
    with more_metrics():
        values = evaluator.compare(images, images, images * 0.5).values
    assert values["worst_error"] == pytest.approx(
        sum(float(image.max()) for image in images) / 6
    )
    assert "brightness" not in values  # it needs a decoder
    assert "worst_error" not in evaluator.compare(images, images, images).values


@pytest.mark.parametrize("name", METRICS)
def test_entries_are_whole(name):
    metric = METRICS[name]
    assert metric.name == name
    assert metric.needs in NEEDS
    assert metric.better in ("higher", "lower", "")
    assert callable(function_of(metric))
    assert callable(finish_of(metric))
    assert metric.text.endswith(".")
    assert set(metric.parts) <= set(PARTS)
    assert bool(metric.parts) == (metric.needs == "residual")
    assert when_measured(metric)
    for shown in (*(metric.columns or ()), *metric.brief):
        assert find(shown).metric == metric


def test_columns_are_read_and_called():
    assert column(METRICS["psnr"]) == "psnr"
    ripple = METRICS["dc_ripple_db"]
    assert column(ripple, 8, "init") == "init/dc_ripple_db_s8"
    assert find("init/dc_ripple_db_s8") == (ripple, 8, "init")
    assert find("psnr") == (METRICS["psnr"], None, "")
    for name in ("loss", "test/loss", "psnr_s2", "params", "a_sb"):
        assert find(name) is None
        assert title(name) == name
    assert title("test/psnr") == "PSNR (dB)"
    assert title("test/ssim") == "SSIM"
    assert title("dc_ripple_db") == "DC ripple (dBFS)"
    assert title("dc_ripple_db_s8") == "DC ripple, period 8 (dBFS)"
    assert title("init/dc_ripple_db_s2", short=True) == "ripple s2, init (dBFS)"
    assert formatted("test/ssim", 0.12345) == "0.123"
    assert formatted("test/psnr", -0.001) == "0.00"
    assert set(brief_columns()) <= set(shown_columns())


def test_documentation_has_the_table():
    assert (
        "{include} ../_generated/metrics.md"
        in (ROOT / "docs/reference/measures.md").read_text()
    )
    for name in METRICS:
        assert f"`{name}`" in to_markdown()
    assert PERIODS == (2, 4, 8)


def test_the_table_does_not_import_jax():
    code = "import sys, caejax.metrics.table; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
