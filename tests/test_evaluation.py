"""Tests of what is measured after training, on one small sweep."""

import csv
import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from helpers.tiny import tiny_config

from caejax import config as config_lib
from caejax.errors import CaejaxError
from caejax.evaluation import references
from caejax.evaluation.levels import measure_levels, parse_levels
from caejax.evaluation.pca import fit_components, project
from caejax.evaluation.references import measure_references, parse_references
from caejax.evaluation.runs import FinishedRun, Table, each, finished_runs
from caejax.files.csv_files import read_csv
from caejax.inference.trained import corrupt, load
from caejax.report.read import SweepFiles, read_run, read_sweep
from caejax.report.references import noise_matrix, with_references
from caejax.report.report import report
from caejax.report.tables import sweep_table
from caejax.sweep.run import run_sweep
from caejax.training.images import load_images

LEVELS = (0.1, 0.5)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """A model at two levels of noise."""
    config = tiny_config()
    config.train.epochs = 1
    config.sweep = {
        "noise": {"field": "corruption.level", "values": LEVELS},
    }
    workdir = tmp_path_factory.mktemp("measure")
    run_sweep(config, workdir)
    return workdir


@pytest.fixture(scope="module")
def measured(sweep):
    """Rows of references.csv, where scikit-image is given 5 images."""
    names = ("input", "pca", "median", "posterior")
    return measure_references(sweep, names, images=5)


def summary(sweep, run_id):
    return json.loads((sweep / "runs" / run_id / "summary.json").read_text())


def test_references_see_the_noisy_images_that_models_saw(sweep, measured):
    for row in (r for r in measured if r["reference"] == "input"):
        runs = [
            summary(sweep, run["run_id"])
            for run in read_csv(sweep / "results.csv")
            if run["corruption.level"] == row["corruption.level"]
        ]
        assert len(runs) == 1
        for run in runs:
            for name in ("psnr", "ssim"):
                same = pytest.approx(run[f"test/{name}_noisy"], rel=1e-5)
                assert row[f"test/{name}"] == same
                assert row[f"test/{name}_noisy"] == same
    run = next((sweep / "runs").iterdir())
    trained = load(run)
    images = load_images(trained.config)["test"]
    noisy = corrupt(trained, "test")(images, np.arange(12))
    np.testing.assert_array_equal(
        references._noisy(trained.config, None, "test", 12).noisy, noisy
    )


def test_each_setting_and_size_is_measured_once(sweep, measured):
    found = [
        (row["reference"], row["corruption.level"], row.get("latent_size"))
        for row in measured
    ]
    wanted = [
        (name, level, size)
        for level in LEVELS
        for name, size in (
            ("input", None),
            ("pca", 4 * 4 * 2),
            ("median", None),
            ("posterior", None),
        )
    ]
    assert found == wanted
    counts = {row["reference"]: (row["images"], row["test_images"]) for row in measured}
    assert counts["median"] == (5, 12)
    assert counts["input"] == counts["posterior"] == (12, 12)


def finished(**fields):
    """A run, as far as its setting is concerned."""
    config = tiny_config()
    for field, value in fields.items():
        config_lib.override(config, field, value)
    return FinishedRun(config_lib.run_id(config), Path("nowhere"), fields, config)


def test_runs_share_a_setting_unless_their_inputs_differ():
    same = {"loss": "mse", "model.upsampling": "deconv_k3", "optimizer.name": "sgd"}
    channels = "model.latent_channels"
    runs = [finished(), *(finished(**{name: value}) for name, value in same.items())]
    runs += [
        finished(**{channels: 4}),
        finished(**{channels: 8, "model.widths": (4,) * 3}),
    ]
    (setting,) = references._settings(runs)
    # Eight channels of 2 x 2 are as many numbers as two of 4 x 4.
    assert setting.latents == {32: {}, 64: {channels: 4}}
    rows = list(references._planned(setting, ("pca", "tv"), 5, 12))
    assert [row.get("latent_size") for row in rows] == [32, 64, None]
    assert [row.get(channels) for row in rows] == [None, 4, None]
    assert [row["images"] for row in rows] == [12, 12, 5]
    others = {"seed": 1, "data.limit": 50, "corruption.level": 0.1}
    others = [finished(**{name: value}) for name, value in others.items()]
    settings = references._settings([*runs, *others])
    assert len({setting.id for setting in settings}) == 4
    assert settings[2].columns["data.limit"] == 50


def test_rows_name_what_references_depend_on():
    row = {"reference": "tv", "images": 5, "test_images": 12, "corruption.level": 0.1}
    fields = ["corruption.level", "model.latent_channels", "model.upsampling", "seed"]
    run = dict(zip(fields, (0.1, 2, "deconv_k3", 0), strict=True))
    model = {"upsampling": "deconv_k4", "encoder": "conv"}
    files = SweepFiles({"model": model}, fields, [run], {}, [row])
    names, rows = with_references(files)
    assert names == ["estimator", *fields[:3]]
    assert rows[0] == run | {"estimator": "autoencoder"}
    # It does not stand in the column of decoders.
    assert [rows[1][name] for name in names] == ["tv (5 images)", 0.1, "", ""]
    model["encoder"] = "dense"
    assert with_references(files)[1][0]["estimator"] == "dense autoencoder"
    run["model.encoder"] = "tied_dense"
    assert with_references(files)[1][0]["estimator"] == "tied autoencoder"
    assert with_references(files._replace(references=[]))[0] == fields[:3]


def test_figures_are_those_of_the_estimates(sweep, measured):
    config = load(next((sweep / "runs").iterdir())).config
    config.corruption.level = 0.5
    clean, test = (
        load_images(config)["train"],
        references._noisy(config, None, "test", 12),
    )
    train, noisy = (
        np.asarray(x, np.float64).reshape(len(x), -1) for x in (clean, test.noisy)
    )
    distance = ((noisy[:, None] - train[None]) ** 2).sum(-1)
    weights = np.exp(-(distance - distance.min(1, keepdims=True)) / (2 * 0.5**2))
    posterior = weights / weights.sum(1, keepdims=True) @ train
    components = fit_components(clean, 32)
    pca = np.clip(project(test.noisy, components), 0, 1).reshape(12, -1)
    for name, output in (("posterior", posterior), ("pca", pca)):
        row = next(
            r
            for r in measured
            if (r["reference"], r["corruption.level"]) == (name, 0.5)
        )
        mse = ((output - test.clean.reshape(12, -1)) ** 2).mean(1)
        assert row["test/psnr"] == pytest.approx(-10 * np.log10(mse).mean(), rel=1e-3)
        assert row["test/mse"] == pytest.approx(mse.mean(), rel=1e-2)


def test_rows_are_kept_unless_they_are_of_other_images(
    sweep, measured, monkeypatch, capsys
):
    path = sweep / "references.csv"
    before = path.read_text()

    def fail(*_):
        raise AssertionError("measured again")

    with monkeypatch.context() as patch:
        patch.setattr(references, "_estimate", fail)
        assert len(measure_references(sweep, ("input", "pca", "posterior"))) == 8
        assert measure_references(sweep, ("median",), images=5) == measured
        with pytest.raises(AssertionError, match="measured again"):
            measure_references(sweep, ("median",), images=7)
    assert path.read_text() == before
    # A row that a kill has kept from being written comes again, to the same figures.
    lines = before.splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))
    capsys.readouterr()
    again = measure_references(sweep, ("posterior",))
    assert path.read_text() == before
    # Of data, corruption and seed only the level is not the same of all runs.
    (line,) = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"posterior  test psnr \d+\.\d\d dB  level=0\.\d+", line)
    assert again == read_csv(path)


def test_only_gaussian_noise_has_a_posterior(sweep, monkeypatch, capsys):
    config = load(next((sweep / "runs").iterdir())).config
    for name, level in (("masking", 0.5), ("gaussian", 0.0)):
        config.corruption.name, config.corruption.level = name, level
        setting = references.Setting("a", {}, config, None, {})
        assert not list(references._planned(setting, ("posterior",), 5, 12))
        assert "left out" in capsys.readouterr().out


def test_levels_at_the_runs_own_are_its_summary(sweep, capsys):
    rows = measure_levels(sweep, [*LEVELS, 0.0])
    assert len(rows) == 2 * 3
    own = [row for row in rows if row["train_level"] == row["test_level"]]
    assert len(own) == 2
    for row in own:
        figures = summary(sweep, row["run_id"])
        for name in ("psnr", "loss", "psnr_noisy", "lattice_peak_db_s2"):
            same = pytest.approx(figures[f"test/{name}"], rel=1e-5)
            assert row[f"test/{name}"] == same
    for row in rows:
        if row["test_level"] == 0:
            assert row["test/psnr_noisy"] == pytest.approx(100)
    before = (sweep / "levels.csv").read_text()
    capsys.readouterr()
    assert measure_levels(sweep, LEVELS) == rows
    assert capsys.readouterr().out == ""
    assert (sweep / "levels.csv").read_text() == before


def saved_by_a_spreadsheet(path):
    """With a byte order mark, semicolons, quotes and decimal commas."""
    with path.open(newline="") as file:
        lines = list(csv.reader(file))
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file, delimiter=";", quoting=csv.QUOTE_ALL)
        writer.writerow(lines[0])
        writer.writerows([x.replace(".", ",") for x in line] for line in lines[1:])


def test_what_a_spreadsheet_has_saved_is_not_measured_again(sweep, measured, capsys):
    rows = measure_levels(sweep, LEVELS)
    written = {
        sweep / name: (sweep / name).read_bytes()
        for name in ("levels.csv", "references.csv")
    }
    for name in ("levels.csv", "references.csv"):
        saved_by_a_spreadsheet(sweep / name)
    capsys.readouterr()
    assert measure_levels(sweep, LEVELS) == rows
    assert measure_references(sweep, ["input", "pca"], images=5) == measured
    assert "psnr" not in capsys.readouterr().out
    found = read_sweep(sweep)
    assert (len(found.levels), len(found.references)) == (len(rows), len(measured))
    for path, data in written.items():
        path.write_bytes(data)


def test_a_run_by_itself_is_measured_too(sweep):
    run = next((sweep / "runs").iterdir())
    rows = measure_levels(run, [0.3, 0.6])
    assert [row["run_id"] for row in rows] == [run.name] * 2
    figure = noise_matrix(rows, "glyphs, gaussian 0.5")
    assert figure.get_suptitle() == "glyphs, gaussian 0.5"
    for line, name in zip(
        figure.axes[0].get_lines()[::2], ("psnr", "psnr_noisy"), strict=False
    ):
        np.testing.assert_array_equal(line.get_xdata(), [0.3, 0.6])
        expected = [row[f"test/{name}"] for row in rows]
        np.testing.assert_allclose(line.get_ydata(), expected)
    plt.close(figure)
    rows = measure_references(run, ["input", "pca"])
    assert [row["reference"] for row in rows] == ["input", "pca"]
    report(run)
    page = (run / "report.html").read_text()
    psnr = [read_run(run).summary["test/psnr"], *(r["test/psnr"] for r in rows)]
    names = ("this model", "input", "pca (32 numbers)")
    for name, value in zip(names, psnr, strict=True):
        line = page[page.index(f"<td>{name}</td>") :].split("</tr>")[0]
        assert f"<td>{value:.2f}</td>" in line


def test_what_is_left_of_other_runs_is_dropped(sweep, tmp_path):
    run = tmp_path / "run"
    ignore = shutil.ignore_patterns("*.csv")
    shutil.copytree(next((sweep / "runs").iterdir()), run, ignore=ignore)
    before = measure_levels(run, [0.3])
    before += measure_references(run, ["input"])
    config = load(run).config
    config.train.epochs, config.seed = 2, 5
    (run / "config.json").write_text(config_lib.to_json(config))
    with pytest.raises(CaejaxError, match="no finished run"):
        finished_runs(run)
    figures = summary(sweep, before[0]["run_id"])
    (run / "summary.json").write_text(json.dumps(figures | {"epochs": 2}))
    files = read_run(run)
    assert (files.references, files.levels) == ([], [])
    (level,) = measure_levels(run, [0.3])
    (reference,) = measure_references(run, ["input"])
    assert level["run_id"] == config_lib.run_id(config) != before[0]["run_id"]
    assert reference["setting"] != before[1]["setting"]
    assert read_csv(run / "levels.csv") == [level]
    files = read_run(run)
    assert (files.references, files.levels) == ([reference], [level])


def test_commands_keep_each_others_rows(tmp_path):
    path, each = tmp_path / "levels.csv", 5
    tables = [Table(path, lambda row: row["a"], bool) for _ in range(4)]

    def add(number):
        for i in range(each):
            tables[number].add({"a": number * each + i})

    with ThreadPoolExecutor(len(tables)) as pool:
        list(pool.map(add, range(len(tables))))
    assert sorted(row["a"] for row in read_csv(path)) == list(range(4 * each))


def test_some_images_are_spread_over_the_split():
    """Neighbours may be patches of one photograph, so the first ones are not enough."""
    config = tiny_config()
    every, some = (references._noisy(config, None, "test", n) for n in (12, 3))
    for x, y in zip(every, some, strict=True):
        np.testing.assert_array_equal(y, x[[0, 5, 11]])


def test_tuning_on_test_images_is_said(monkeypatch):
    config = tiny_config()
    monkeypatch.setattr(references, "tune", lambda *_: ({"size": 3}, None))
    monkeypatch.setattr(references, "denoise", lambda _, noisy, best: noisy)
    setting = references.Setting("a", {}, config, None, {})
    for fraction, words in ((0.2, "8 validation images"), (0.0, "12 test images")):
        config.data.val_fraction = fraction
        noisy = references._noisy(config, None, "test", 12).noisy
        _, tuned = references._estimate(setting, {"reference": "median"}, noisy)
        assert tuned == {"parameters": "size 3", "tuned_on": words}


def test_the_report_lists_references_and_draws_the_matrix(sweep, measured):
    measure_levels(sweep, LEVELS)
    report(sweep)
    text = (sweep / "tables" / "results.md").read_text()
    assert text.startswith("| estimator | corruption.level | seeds |")
    header, lines = sweep_table(read_sweep(sweep))
    by_name = {line[0]: line for line in lines if line[1] == "0.5"}
    assert set(by_name) == {
        "autoencoder",
        "input",
        "pca (32 numbers)",
        "median (5 images)",
        "posterior",
    }
    (row,) = (
        r
        for r in measured
        if (r["reference"], r["corruption.level"]) == ("posterior", 0.5)
    )
    cell = by_name["posterior"][header.index("PSNR (dB)")]
    assert cell == f"{row['test/psnr']:.2f}"
    assert (sweep / "figures" / "noise_matrix.pdf").exists()
    page = (sweep / "report.html").read_text()
    assert "posterior</td>" in page
    assert "<dt>settings</dt><dd>2</dd>" in page


def test_the_matrix_holds_means_and_gaps():
    rows = [
        {"corruption.name": "gaussian", "train_level": a, "test_level": b}
        | {"test/psnr": psnr}
        for a, b, psnr in ((0.1, 0.1, 20), (0.1, 0.1, 22), (0.1, 0.5, 9), (0.5, 0.5, 7))
    ]
    figure = noise_matrix(rows, "glyphs, seeds 0 and 1")
    assert figure.get_suptitle() == "glyphs, seeds 0 and 1"
    shown = figure.axes[0].get_images()[0].get_array()
    np.testing.assert_array_equal(np.ma.filled(shown, -1), [[21, 9], [-1, 7]])
    plt.close(figure)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda _: parse_references(["pcaa"]),
            r"'pcaa' \(did you mean 'pca'\?\); known",
        ),
        (lambda _: parse_references(["all", "pca"]), "'all'.*known: all, input"),
        (lambda _: parse_levels(["0", "low"]), "'low', which is no level"),
        (lambda _: parse_levels(["-1"]), "'-1', which is no level"),
        (lambda _: parse_levels(["nan"]), "'nan', which is no level"),
        (lambda path: measure_levels(path, [0.1]), "no finished run"),
        (lambda path: measure_references(path, ["input"]), "no finished run"),
    ],
)
def test_mistakes_are_refused_in_one_line(call, words, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CaejaxError, match=words) as error:
        call(tmp_path)
    assert "\n" not in str(error.value)


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr(references, "missing_packages", lambda name: ["scikit-image"])
    assert parse_references(["input", "pca", "posterior"])
    for words in (["tv"], ["all"]):
        with pytest.raises(CaejaxError, match=r"needs scikit-image: pip install .cae"):
            parse_references(words)


def test_levels_must_suit_the_corruption(sweep, tmp_path):
    run = next((sweep / "runs").iterdir())
    config = json.loads((run / "config.json").read_text())
    (tmp_path / "summary.json").write_text('{"epochs": 1}')
    for name, words in (("masking", "between 0 and 1"), ("none", "has no level")):
        config["corruption"]["name"] = name
        (tmp_path / "config.json").write_text(json.dumps(config))
        with pytest.raises(CaejaxError, match=words):
            measure_levels(tmp_path, [1.5])


def test_the_csv_can_be_read_by_anything(sweep, measured):
    with (sweep / "references.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["reference"] for row in rows] == [r["reference"] for r in measured]


def test_what_is_too_large_for_the_memory_leaves_the_others(capsys):
    done = []

    def measure(name):
        if name == "huge":
            raise MemoryError
        done.append(name)

    each(("huge", "a"), lambda name: f"run {name}", measure)
    assert done == ["a"]
    assert (
        "note: run huge is left out: memory is exhausted (" in capsys.readouterr().err
    )
    with pytest.raises(MemoryError):  # of all there is
        each(("huge",), str, measure)
