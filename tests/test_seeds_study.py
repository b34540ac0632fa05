"""Tests of the study in experiments/seeds, without any training."""

import importlib
import json
import math

import matplotlib.pyplot as plt
import numpy as np
import pytest

from caejax.config.load import config_names
from caejax.files.csv_files import write_csv
from caejax.models.size import parameter_count
from caejax.report.style import paper_style
from caejax.sweep.spec import expand
from caejax.training.task import model_from_config
from experiments.seeds import figures, study, tables, vincent
from experiments.seeds.systems import (
    SYSTEMS,
    Source,
    config_name,
    config_of,
    pytorch_ends,
    with_references,
)


@pytest.fixture(scope="module")
def systems():
    return {system.name: system for system in SYSTEMS}


@pytest.fixture
def pytorch(torch):
    return importlib.import_module("experiments.seeds.pytorch")


def write_run(folder, losses):
    """A finished run's folder: (train, val) loss by epoch."""
    folder.mkdir(parents=True)
    rows = [{"step": 0, "epoch": 0.0, "split": "val", "loss": 9.0}]
    for epoch, pair in enumerate(losses, start=1):
        for split, loss in zip(("train", "val"), pair, strict=True):
            row = {"step": 10 * epoch, "epoch": float(epoch), "split": split}
            rows.append(row | {"loss": loss})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    epochs = len(losses)
    summary = {"epochs": epochs, "steps": 10 * epochs, "params": 1234}
    summary |= {"test/mse": 0.01, "test/psnr": 20.0, "test/ssim": 0.9}
    summary |= {"train_seconds": 60.0}
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "environment.json").write_text('{"device": "cpu", "devices": 2}')
    (folder / "codes.json").write_text('{"dead_units": 1}')
    return folder


def falling(epochs, last):
    """Losses (train, val) that end with these."""
    return [(1.0, 1.0)] * (epochs - 1) + [last]


@pytest.mark.parametrize(
    ("rule", "values", "figure", "text"),
    [
        ("as good", [0.9, 1.0, 1.1], 0.95, "yes"),
        ("as good", [0.9, 1.0, 1.1], 0.89, "no: the figure is below the minimum"),
        ("as good", [0.9, 1.1, 1.2], 1.0, "yes"),  # 10 % above, not more
        ("as good", [0.9, 1.2, 1.3], 1.0, "no: 20 % above"),
        ("as good", [0.5, 0.5, 0.5], 1.0, "yes"),
        ("at or below", [0.05, 0.06, 0.08], 0.06, "yes"),
        ("at or below", [0.05, 0.066, 0.08], 0.06, "no: 10 % above"),
        ("agrees", [101.0], 100.0, "yes"),
        ("agrees", [97.0], 100.0, "no: -3.0 %"),
        ("agrees", [103.0], 100.0, "no: +3.0 %"),
    ],
)
def test_rules(rule, values, figure, text):
    assert tables.RULES[rule](np.array(values), figure) == text


def test_verdict_says_where_seeds_are_missing():
    source = Source("source", 1.0)
    assert tables.verdict(np.ones(5), source, 5) == "as good: yes"
    assert tables.verdict(np.ones(4), source, 5) == "as good: yes, so far"


def test_units_are_the_sources(systems, tmp_path):
    def figure(name, last):
        epochs = study.planned_epochs(systems[name])
        folder = write_run(tmp_path / name, falling(epochs, last))
        row, curve = study.run_rows(systems[name], 0, folder)
        assert [point["figure"] for point in curve][-1] == row["figure"]
        assert [point["epoch"] for point in curve] == list(range(1, epochs + 1))
        return row["figure"]

    assert figure("b_basic", (0.095, 0.2)) == 0.095  # training loss
    assert figure("e_linear", (0.0125, 0.2)) == 0.25  # training MSE x 20
    assert figure("f_keras_io", (0.07, 0.0625)) == 0.0625  # of the test images
    assert figure("d_tied_masking", (9.0, 5.5)) == 55_000  # of 10,000 test images


def test_shortened_runs_are_kept_apart(systems, tmp_path):
    folders = {("b_basic", seed): tmp_path / str(seed) for seed in range(5)}
    for seed, loss in enumerate((0.090, 0.096, 0.1)):
        write_run(folders["b_basic", seed], falling(20, (loss, 0.2)))
    write_run(folders["b_basic", 3], falling(7, (0.0123, 0.2)))
    rows, _ = study.finished(folders)
    text = tables.report(list(systems.values()), rows)
    whole, short = text.split("## Shortened runs")
    line = next(line for line in whole.splitlines() if "b_basic | source" in line)
    assert "| 0.095 | 0.096 [0.09, 0.1] | 1.011 | as good: yes, so far |" in line
    assert "3 of 5, 20 epochs" in line
    assert "0.0123" not in whole
    assert "| b_basic | 3 | 7 of 20 | 0.0123 |" in short
    assert "| e_linear | source | 0.2356 | not run yet |" in whole


def test_every_system_has_a_line_for_each_reported_figure(systems):
    text = tables.report(list(systems.values()), [])
    for name, system in systems.items():
        count = text.count(f"\n| {name} |")
        assert count == max(1, len(system.sources))
    shipped = {name for name in config_names() if name.startswith("seeds/")}
    assert shipped == {config_name(name) for name in systems}


def test_seeds_interleave_the_cheapest_first(systems, tmp_path):
    places = list(study.places(study.sweep_config(tmp_path), tmp_path))
    assert [name for name, seed in places if seed == 0] == list(systems)
    assert [seed for _, seed in places] == sorted(seed for _, seed in places)
    for name, system in systems.items():
        seeds = [seed for found, seed in places if found == name]
        assert seeds == list(range(system.seeds))


def test_runs_are_the_sources_whole_or_shortened(systems, tmp_path):
    whole, short = (
        {(study.system_of(r), r.config.seed): r for r in expand(config)}
        for config in (
            study.sweep_config(tmp_path),
            study.sweep_config(tmp_path, limit=60),
        )
    )
    expected = config_of(systems["e_linear"])
    expected.seed, expected.data.dir = 3, str(tmp_path)
    assert whole["e_linear", 3].config.to_dict() == expected.to_dict()
    assert short["e_linear", 3].id == whole["e_linear", 3].id  # 20 epochs
    ends = {name: short[name, 0].config.train.epochs for name in systems}
    assert (ends["f_keras_io"], ends["f_keras_io_noisy"]) == (50, 60)
    for runs in (whole, short):
        second = runs["f_keras_io_noisy", 2]
        assert second.after == runs["f_keras_io", 2].id


def test_a_command_does_the_runs_it_is_asked_for(tmp_path, monkeypatch):
    runs, out = tmp_path / "runs", tmp_path / "out"
    images = np.linspace(0, 1, 8 * 28 * 28).reshape(8, 28, 28, 1)
    arrays = {"target": images, "input": images[::-1], "output": images}
    done = []

    def fake(config, folder, *, only):
        assert folder == runs
        places = study.places(config, runs)
        for run in expand(config):
            if only(run):
                place = study.system_of(run), run.config.seed
                done.append(place)
                write_run(places[place], falling(run.config.train.epochs, (0.1, 0.1)))
                np.savez(places[place] / "samples.npz", **arrays)
                (places[place] / "codes.json").unlink()
        return []

    monkeypatch.setattr(study, "run_sweep", fake)
    monkeypatch.setattr(study, "dead_units", lambda folder: 1)
    flags = [f"--data={tmp_path}", f"--runs={runs}", f"--out={out}"]
    assert study.main([*flags, "--systems=b_basic,e_linear", "--seeds=2"]) == 0
    assert done == [(name, n) for n in (0, 1) for name in ("b_basic", "e_linear")]
    names = {path.name for path in out.iterdir()}
    assert names == {
        *("results.csv", "curves.csv", "results.md"),
        *("curves.png", "reconstructions.png", "reconstructions.npz"),
    }
    header, *lines = (out / "curves.csv").read_text().splitlines()
    assert header == "system,seed,epoch,train_loss,figure"
    assert len(lines) == 4 * 20
    assert lines[-1] == "e_linear,1,20,0.1,2"
    # Without systems nothing is trained.
    (out / "results.md").unlink()
    assert study.main([*flags, "--systems="]) == 0
    assert (out / "results.md").exists()
    assert len(done) == 4


def test_shortened_runs_have_folders_of_their_own(tmp_path, monkeypatch):
    found = []
    monkeypatch.setattr(study, "study", lambda args: found.append(args) or 0)
    study.main([f"--data={tmp_path}", "--epochs-limit=3"])
    study.main([f"--data={tmp_path}"])
    assert [str(args.runs) for args in found] == ["runs/seeds_3_epochs", "runs/seeds"]
    assert [args.out for args in found] == [study.HERE / "3_epochs", study.HERE]


def test_reference_gradients_are_those_of_the_summed_error():
    rng = np.random.default_rng(0)
    params = [x.astype(float) for x in vincent.create_params(rng)]
    clean = rng.random((3, 784))
    noisy = vincent.mask(rng, clean)

    def error(params):
        return np.sum((vincent.forward(params, noisy)[1] - clean) ** 2)

    gradients = vincent.gradients(params, noisy, clean)
    for i, gradient in enumerate(gradients):
        assert gradient.shape == params[i].shape
        step = 1e-5 * rng.normal(size=gradient.shape)
        ends = [[*params[:i], params[i] + s * step, *params[i + 1 :]] for s in (1, -1)]
        above, below = map(error, ends)
        np.testing.assert_allclose((above - below) / 2, np.sum(gradient * step), 1e-6)


def test_reference_masks_three_pixels_of_ten():
    masked = vincent.mask(np.random.default_rng(0), np.ones((100, 784)))
    assert set(np.unique(masked)) == {0, 1}
    # Five standard deviations of 78,400 draws.
    assert abs(np.mean(masked == 0) - 0.3) < 5 * np.sqrt(0.21 / 78_400)


def test_reference_curves_come_back(systems, tmp_path):
    curves = {0: [3.0, 2.0], 1: [30.0, 20.0]}
    vincent.write_curves(curves, tmp_path / "vincent.csv")
    assert vincent.read_curves(tmp_path / "vincent.csv") == curves
    tied = systems["d_tied_masking"]
    assert with_references(tied, tmp_path) == tied  # not whole
    whole = {seed: [5.0] * 99 + [last] for seed, last in enumerate((1.0, 2.0, 6.0))}
    vincent.write_curves(whole, tmp_path / "vincent.csv")
    (source,) = with_references(tied, tmp_path).sources
    assert (source.who, source.figure) == ("vincent.py, 3 seeds", 2.0)
    assert with_references(systems["b_basic"], tmp_path) == systems["b_basic"]


def test_pytorchs_figures_stand_beside_the_sources(systems, tmp_path):
    rows = [
        {"system": "e_linear", "seed": seed, "epoch": epoch, "figure": figure / epoch}
        for seed, figure in enumerate((0.4, 0.6, 0.9))
        for epoch in (1, 2)
    ]
    write_csv(tmp_path / "pytorch.csv", rows)
    found = with_references(systems["e_linear"], tmp_path)
    assert [source.who for source in found.sources] == ["source", "pytorch.py, 3 seeds"]
    assert found.sources[1].figure == 0.3
    ends = pytorch_ends(tmp_path)
    assert [(row["seed"], row["epoch"]) for row in ends] == [(0, 2), (1, 2), (2, 2)]


def test_figures_stand_by_dead_units():
    def rows(name, *pairs):
        return [{"system": name, "dead_units": n, "figure": x} for n, x in pairs]

    ours = rows("a", (6, 0.3), (4, 0.2), (6, 0.25)) + rows("b", (1, 0.5), (1, 0.6))
    text = tables.dead_table(ours, rows("a", (6, 0.26), (8, 0.4)))
    assert text.splitlines()[2:] == [
        "| a | 4 | 0.2 (1) |  |",
        "| a | 6 | 0.25 to 0.3 (2) | 0.26 (1) |",
        "| a | 8 |  | 0.4 (1) |",
    ]
    assert tables.dead_table(ours[3:], []) == ""


def test_pytorchs_systems_are_ours(systems, pytorch, torch):
    for name, reference in pytorch.REFERENCES.items():
        config = config_of(systems[name])
        encoder, decoder = reference.build()
        sizes = [p.numel() for p in (*encoder.parameters(), *decoder.parameters())]
        assert sum(sizes) == parameter_count(model_from_config(config)), name
        code = encoder(torch.zeros(2, 1, 28, 28))
        assert decoder(code).shape == (2, 1, 28, 28)
        ours = model_from_config(config).code_shape
        theirs = tuple(code.permute(0, *range(2, code.ndim), 1).shape[1:])
        assert math.prod(ours) == math.prod(theirs), name
        assert ours[-1] == theirs[-1], name
        assert (reference.batch, reference.epochs) == (
            config.train.batch_size,
            config.train.epochs,
        )
        assert reference.images == round(60_000 * (1 - config.data.val_fraction))
        noisy = config.corruption.name == "gaussian"
        assert reference.noise == noisy * config.corruption.level


@pytest.mark.parametrize("script", ["study", "pytorch"])
def test_an_unknown_system_is_one_line(script, torch, tmp_path, capsys):
    argv = [f"--data={tmp_path}", "--systems=e_linear,e_tranposed"]
    assert importlib.import_module(f"experiments.seeds.{script}").main(argv) == 1
    assert (
        "--systems has 'e_tranposed' (did you mean 'e_transposed'?); known: all, "
        in capsys.readouterr().err
    )


def test_pytorchs_dead_units_are_zero_on_all_images(pytorch, torch):
    image = torch.zeros(3, 2, 4, 4)
    image[1, 0, 2, 3] = 0.5  # of three images one, at one place
    assert pytorch.dead_units(torch.nn.Identity(), image) == 1
    assert pytorch.dead_units(torch.nn.Flatten(), image) == 31


def test_curves_say_noise_seeds_and_measure(systems):
    rows = [
        {"system": name, "seed": seed, "epoch": epoch, "figure": 0.2 / epoch}
        for name in ("b_dense_denoiser", "c_keras_conv")
        for seed in range(2)
        for epoch in (1, 2)
    ]
    with paper_style():
        drawn = figures.losses(list(systems.values()), rows, [])
        plt.close(drawn)
    titles = [axis.get_title() for axis in drawn.axes if axis.get_title()]
    noisy = "b_dense_denoiser\ngaussian 0.5, 2 seeds\ntraining cross-entropy"
    assert titles == [noisy, "c_keras_conv\nno noise, 2 seeds\ntraining cross-entropy"]
    assert [axis.get_xlabel() for axis in drawn.axes[:2]] == ["epoch"] * 2
    assert "MNIST" in drawn.get_suptitle()


def test_the_kept_pictures_are_drawn_below_their_inputs():
    with np.load(study.HERE / figures.PICTURES) as arrays:
        shown = dict(arrays)
    assert {x.dtype for x in shown.values()} == {np.dtype(np.uint8)}
    with paper_style():
        drawn = figures.reconstructions(shown)
        plt.close(drawn)
    labels = [x.get_text() for axis in drawn.axes for x in axis.get_yticklabels()]
    names = [name for name in shown if not name.endswith(": input")]
    assert [x for x in labels if x != "input"] == names
    # No column ends with an input, whose output would stand elsewhere.
    assert "input" not in (axis.get_yticklabels()[-1].get_text() for axis in drawn.axes)
