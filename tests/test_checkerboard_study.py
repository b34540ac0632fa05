"""Tests of the study in experiments/checkerboard, without any training."""

import json
import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import stats

from caejax.files.csv_files import read_csv, write_csv
from caejax.models.diagnosis import clean_at_initialisation, clean_by_construction
from caejax.models.size import parameter_shapes
from caejax.report.style import paper_style
from caejax.sweep.spec import expand
from caejax.training.task import model_from_config
from experiments.checkerboard import (
    analysis,
    arms,
    figures,
    pictures,
    records,
    repeat,
    residuals,
    study,
    tables,
)
from experiments.shared import pictures as shared
from experiments.shared import styles

DECODER = "model.upsampling"
SEEDS = range(6)


@pytest.mark.parametrize(
    ("name", "cut", "full"),
    [
        ("primary_mnist", 13 * 10, 13 * 10),
        ("primary_bsds", 13 * 10, 13 * 10),
        ("matched_mnist", 8 * 10, 8 * 10),
        ("matched_bsds", 8 * 5, 8 * 10),
        ("depth_mnist", 4 * 3 * 5, 13 * 3 * 5),
        ("grid_mnist", 4 * 3 * 3 * 5, 13 * 5 * 4 * 5),
        ("downsampling_bsds", 4 * 5, 4 * 4 * 5),
    ],
)
def test_arms_are_whole_grids(name, cut, full):
    for whole, count in ((False, cut), (True, full)):
        sweep = arms.arm(name, full=whole).sweep
        # Every seed is done at every other point.
        assert math.prod(len(axis["values"]) for axis in sweep.values()) == count
        assert sweep.seed["values"] == tuple(range(len(sweep.seed["values"])))


@pytest.mark.parametrize(("data", "channels"), [("mnist", 1), ("bsds", 3)])
def test_matched_decoders_have_the_references_parameters(data, channels):
    def decoder(run):
        shapes = parameter_shapes(model_from_config(run.config)).items()
        return sum(math.prod(s) for name, s in shapes if name.startswith("decoder"))

    def runs(name):
        config = arms.arm(name)
        config.sweep.seed["values"] = (0,)
        return {run.values[DECODER]: run for run in expand(config)}

    fixed, matched = runs(f"primary_{data}"), runs(f"matched_{data}")
    goal = decoder(fixed["nearest_k3"])
    widths = arms.WIDTHS[::-1]
    count = {k: arms.decoder_parameters(k, widths, channels) for k in fixed}
    assert count["nearest_k3"] == goal
    # All are in one of the two arms, and no run is done in both.
    assert set(matched) == {kind for kind in fixed if count[kind] != goal}
    assert len(matched) == 8
    for kind, run in matched.items():
        widths = run.values["model.decoder_widths"]
        size = arms.decoder_parameters(kind, widths, channels)
        assert size == pytest.approx(goal, rel=0.06), kind
    for kind in ("deconv_k4", "shuffle_hold", "bilinear_additive"):
        widths = matched[kind].values["model.decoder_widths"]
        size = arms.decoder_parameters(kind, widths, channels)
        assert decoder(matched[kind]) == size
        assert matched[kind].config.model.widths == fixed[kind].config.model.widths


def run_row(kind, seed, **values):
    """A run as the predictions have it, in names without the split."""
    dirty = not clean_by_construction(kind)
    untied = not clean_at_initialisation(kind)
    rng = np.random.default_rng([seed, len(kind)])
    wanted = {
        "init/dc_ripple_relative_db_s8": 17.99 + rng.normal() if untied else -150.0,
        "init/dc_ripple_db_s8": -3.0 if untied else -150.0,
        "init/overlap_db_s2": {"deconv_k3": 6.0, "deconv_k5": 3.5}.get(kind, 0.1),
        "test/dc_ripple_db_s8": (-30.0 if dirty else -150.0) + rng.normal(),
        **{f"test/phase_var_db_s{s}": 2 + 0.1 * rng.normal() for s in (2, 4, 8)},
        "test/psnr": 20 + rng.normal(),
        "params": 100,
    }
    row = {DECODER: kind, "seed": seed, "status": "done"}
    return row | wanted | values


def all_rows(change=lambda kind, seed: {}):
    return [run_row(k, s, **change(k, s)) for k in arms.KINDS for s in SEEDS]


def dirty_ripple(db):
    def change(kind, seed):
        return {"test/dc_ripple_db_s8": -150.0 if clean_by_construction(kind) else db}

    return change


def phase(db):
    def change(kind, seed):
        rough = 0 if clean_by_construction(kind) else db
        return {f"test/phase_var_db_s{s}": 2.0 + rough for s in (2, 4, 8)}

    return change


def both(*changes):
    return lambda kind, seed: {k: v for c in changes for k, v in c(kind, seed).items()}


def test_initial_ripple_follows_theory_or_is_clean():
    assert analysis.initial_ripple(all_rows()).verdict == "confirmed"

    def off(kind, seed):
        return {"init/dc_ripple_relative_db_s8": 3.0 + 0.1 * seed}

    found = analysis.initial_ripple(all_rows(off))
    assert found.verdict == "partly"
    assert found.text.startswith("0 of 6 untied decoders have 17.99 dB")
    loud = both(off, lambda kind, seed: {"init/dc_ripple_db_s8": -20.0})
    assert analysis.initial_ripple(all_rows(loud)).verdict == "refuted"


def test_two_seeds_have_no_intervals():
    few = [row for row in all_rows() if row["seed"] < 2]
    assert analysis.initial_ripple(few).verdict == "too few seeds"


def test_initial_ripple_of_other_depths():
    for stages, theory in ((1, 4.77), (2, 11.76)):
        s = 2**stages
        rows = all_rows(
            lambda kind, seed, s=s, theory=theory: {
                f"init/dc_ripple_relative_db_s{s}": theory + (-1) ** seed,
                f"init/dc_ripple_db_s{s}": -150.0,
            },
        )
        assert analysis.initial_ripple(rows, stages).verdict == "confirmed"
        assert analysis.initial_ripple(rows, stages).text.startswith("6 of 6")


def test_overlap_is_that_of_odd_kernels():
    assert analysis.overlap(all_rows()).verdict == "confirmed"
    even = all_rows(lambda k, s: {"init/overlap_db_s2": 4.0})
    assert analysis.overlap(even).verdict == "partly"
    odd = [row for row in even if row[DECODER] not in ("deconv_k3", "deconv_k5")]
    assert analysis.overlap(odd).verdict == "refuted"


@pytest.mark.parametrize(
    ("start", "end", "verdict"),
    [
        ((-200, -200), (-30, -40), "confirmed"),
        ((-200, -200), (-30, -140), "partly"),
        ((-200, -200), (-130, -140), "refuted"),
        ((-20, -200), (-30, -40), "partly"),
    ],
)
def test_icnr_loses_its_cleanliness(start, end, verdict):
    curves = [
        {DECODER: "shuffle_icnr", "seed": seed, "step": step, "dc_ripple_db_s8": db}
        for step, values in ((0, start), (100, end), (200, (-10, -10)))
        for seed, db in enumerate(values)
    ]
    assert analysis.icnr(curves).verdict == verdict
    assert analysis.icnr(curves[:2]).verdict == "not run"


@pytest.mark.parametrize(
    ("ripple", "rough", "verdict"),
    [
        (-30.0, 0.9, "confirmed"),
        (-95.0, 0.9, "partly"),
        (-30.0, 1.1, "partly"),
        (-95.0, -1.1, "refuted"),
    ],
)
def test_separation(ripple, rough, verdict):
    rows = all_rows(both(dirty_ripple(ripple), phase(rough)))
    found = analysis.separation(rows)
    assert found.verdict == verdict
    assert found.lines[0][2] == f"{ripple + 150:.1f}"
    assert found.lines[1][1].startswith(f"{rough:.2f} ")


def test_separation_takes_the_worst_seed():
    def one(kind, seed):
        close = seed == 3 and kind == "deconv_k2"
        return {"test/dc_ripple_db_s8": -91.0} if close else {}

    rows = all_rows(both(dirty_ripple(-30.0), phase(0.5), one))
    assert analysis.separation(rows).verdict == "partly"


def test_psnr_ranks_with_ripple_or_not():
    rank = {kind: i for i, kind in enumerate(arms.KINDS)}

    def ordered(kind, seed):
        ripple = -90.0 + 5 * rank[kind]
        return {"test/dc_ripple_db_s8": ripple, "test/psnr": 30 - rank[kind]}

    found = analysis.ranks(all_rows(ordered))
    assert found.verdict == "refuted"
    assert "-1.00 [-1.00, -1.00]" in found.text

    # Below -100 dBFS ripple is rounding, in whatever order.
    def tied(kind, seed):
        return {"test/dc_ripple_db_s8": -150.0 - rank[kind], "test/psnr": rank[kind]}

    assert analysis.ranks(all_rows(tied)).verdict == "confirmed"
    assert analysis.ranks(all_rows()).verdict == "undecided"

    # Two seeds that say the opposite of each other decide nothing.
    def turned(kind, seed):
        sign = -1 if seed % 2 else 1
        ripple = -90.0 + 5 * rank[kind]
        return {"test/dc_ripple_db_s8": ripple, "test/psnr": 30 + sign * rank[kind]}

    assert analysis.ranks(all_rows(turned)).verdict == "undecided"


def test_rank_correlations_are_scipys():
    rng = np.random.default_rng(0)
    x, y = rng.integers(5, size=(2, 4, 9)).astype(float)
    for ours, theirs in (
        (analysis.tau, stats.kendalltau),
        (analysis.rho, stats.spearmanr),
    ):
        expected = [theirs(a, b).statistic for a, b in zip(x, y, strict=True)]
        np.testing.assert_allclose(ours(x, y), expected, atol=1e-12)
        assert ours(x, np.ones((4, 9))).tolist() == [0, 0, 0, 0]


def test_settings_of_a_seed_count_once():
    rows = [
        run_row(kind, seed, **{"corruption.level": level, "test/psnr": psnr})
        for seed in SEEDS
        for level in (0.1, 0.5)
        for kind, psnr in (("nearest_k3", 20.0), ("deconv_k3", 20 + level))
    ]
    fields = [DECODER, "corruption.level", "seed"]
    (row,) = analysis.against_reference(rows, fields, "test/psnr")
    assert row["n"] == len(SEEDS)
    assert row["mean"] == pytest.approx(0.3)
    assert row["p"] == 2 / 2 ** len(SEEDS)


ABOUT = {
    "runs": 78,
    "steps": 7,
    "median_train_seconds": 1.5,
    "machine": {"device": "cpu", "cpu_cores": 2, "packages": {"jax": "0"}},
    "config_of_first_run": {"data": {"limit": 9}, "train": {"batch_size": 3}},
}


def test_tables_are_made_from_the_csv_files_alone(tmp_path, capsys):
    kinds = ("deconv_k3", "nearest_k3", "shuffle_k3", "shuffle_icnr")
    rows = [row for row in all_rows() if row[DECODER] in kinds]
    write_csv(tmp_path / "primary_mnist.csv", rows)
    curves = [
        {k: row[k] for k in (DECODER, "seed")}
        | {"step": step}
        | {f"dc_ripple_db_s{s}": row["init/dc_ripple_db_s8"] for s in (2, 4, 8)}
        for row in rows
        for step in (0, 100)
    ]
    write_csv(tmp_path / "primary_mnist_steps.csv", curves)
    (tmp_path / "primary_mnist.json").write_text(json.dumps(ABOUT))
    runs = f"--runs={tmp_path / 'none'}"
    assert study.main(["--arms=", f"--out={tmp_path}", runs]) == 0
    text = (tmp_path / "results.md").read_text()
    assert "| H1 | " in text
    assert "## H3 on MNIST, fixed width: refuted" in text
    for name in ("ripple_steps_mnist", "psnr_ripple_mnist", "psnr_differences"):
        for suffix in ("png", "pdf"):
            assert (tmp_path / f"{name}.{suffix}").stat().st_size < 300_000
    assert study.main(["--arms=nonsense"]) == 1
    assert "known: all, primary_mnist" in capsys.readouterr().err


def test_settings_have_a_line_each():
    rows = [
        run_row(kind, seed, **{"model.latent_channels": size, "test/psnr": psnr + seed})
        for size, better in ((2, 0.5), (8, 2.0))
        for kind, psnr in (("nearest_k3", 20.0), ("deconv_k3", 20.0 + better))
        for seed in range(3)
    ]
    text = "\n".join(tables.setting_tables("A", rows))
    assert "| 8 | 21.00 [20.00, 22.00] | 23.00 [22.00, 24.00] |" in text
    apart = text.split("minus nearest_k3, by setting")[1]
    assert "| 2 | 0.50 [0.50, 0.50] |\n| 8 | 2.00 [2.00, 2.00] |" in apart
    assert "| deconv_k3 | 3 | 1.250 [" in apart


def test_downsampling_has_tables_and_a_figure(tmp_path):
    config = arms.arm("downsampling_bsds")
    assert {run.config.model.upsampling for run in expand(config)} == {"nearest_k3"}
    gain = {"max_pool": 0.0, "blur_pool": 0.5, "stride_k3": 6.0, "stride_k4": 1.0}
    rows = [
        {"seed": seed, "status": "done", "test/psnr": 20.0 + seed, **run.values}
        | {
            f"{split}/grad_phase_db_s{s}": s
            + seed / 10
            + gain[run.values[arms.ENCODER]]
            for split in ("init", "test")
            for s in (2, 4, 8)
        }
        for run in expand(config)
        for seed in (run.config.seed,)
    ]
    write_csv(tmp_path / "downsampling_bsds.csv", rows)
    write_csv(tmp_path / "downsampling_bsds_steps.csv", [])
    (tmp_path / "downsampling_bsds.json").write_text(json.dumps(ABOUT))
    argv = ["--arms=", f"--out={tmp_path}", f"--runs={tmp_path / 'none'}"]
    assert study.main(argv) == 0
    text = (tmp_path / "results.md").read_text()
    (line,) = [x for x in text.splitlines() if x.startswith("| stride_k3 | 8.20 [")]
    assert line.count("|") == 9
    trained = text.split("### BSDS500, the encoder's downsampling: trained, s2 (dB), m")
    assert "| stride_k3 | 5 | 6.000" in trained[1].split("###")[0]
    assert {p.name for p in tmp_path.glob("gradients.*")} == {
        "gradients.png",
        "gradients.pdf",
    }


def test_figures_say_their_setting_and_have_no_formulas_at_their_axes():
    rows = [
        run_row(kind, seed, step=step)
        | {f"dc_ripple_db_s{s}": -20.0 for s in (2, 4, 8)}
        for kind in ("nearest_k3", "deconv_k3")
        for seed in range(2)
        for step in (0, 100, 1000)
    ]
    noise = {"name": "gaussian", "level": 0.25}
    about = {"config_of_first_run": {"corruption": noise}}
    arm = records.Arm(rows, rows, about, {}, [])
    said = figures._setting("primary_mnist", arm)
    assert said == "MNIST, fixed width, gaussian noise 0.25, 2 seeds"
    with paper_style():
        drawn = figures.curves(rows)
        drawn.canvas.draw()
    axis = drawn.axes[3]  # above it lie panels that share its ticks
    ticks = [x.get_text() for x in axis.get_xticklabels(which="both")]
    assert "100" in ticks
    assert not any("$" in text for text in ticks)


def test_residuals_are_kept_by_decoder(tmp_path):
    config = arms.arm("primary_mnist")
    config.sweep.seed["values"] = (1, 0)
    runs, rng = expand(config), np.random.default_rng(0)
    kept = {}
    for i, run in enumerate(runs):
        spectrum, means = rng.random((24, 24)), rng.normal(size=(8, 8, 3))
        kept[run.values[DECODER], run.config.seed] = spectrum, means
        arrays = {"residual_spectrum": spectrum, "residual_phase_means": means}
        np.savez(tmp_path / f"{i}.npz", **arrays)
    samples = ((run, tmp_path / f"{i}.npz") for i, run in enumerate(runs))
    residuals.write(tmp_path / "residuals.csv", samples)
    found = residuals.read(tmp_path / "residuals.csv")
    assert list(found) == list(arms.KINDS)
    for kind, arrays in found.items():
        (first, means), (second, _) = kept[kind, 0], kept[kind, 1]
        mean = (first + second) / 2
        np.testing.assert_allclose(arrays["residual_spectrum"], mean, rtol=1e-3)
        expected = means.mean(-1, keepdims=True)
        np.testing.assert_allclose(arrays["residual_phase_means"], expected, rtol=1e-3)
    drawn = figures.residuals(found)
    assert list(drawn) == ["residual_spectra", "residual_phase_means"]
    assert figures.residuals({}) == {}


def test_other_estimators_stand_in_a_table_of_their_own(tmp_path):
    row = {"reference": "pca", "corruption.level": 0.25, "images": 9, "setting": "x"}
    row |= {"latent_size": 128, "test/ssim": 0.5}
    rows = [
        row | {"seed": seed, "test/psnr": psnr}
        for seed, psnr in enumerate((20.0, 21.0, 23.0))
    ]
    records.write_references(rows, tmp_path, "primary_mnist")
    path = tmp_path / "primary_mnist_references.csv"
    assert "setting" not in path.read_text()
    text = tables.reference_table("MNIST", read_csv(path))[-1]
    cells = "| pca | 128 | 0.25 | 9 | 21.333 [20.000, 23.000] | 0.500 [0.500, 0.500] |"
    assert text.splitlines()[-1] == cells


def test_repeats_are_runs_of_the_arm():
    config = arms.arm("matched_mnist")
    config.sweep.seed["values"] = (0, 1)
    chosen = repeat.chosen(config, 0.25)
    assert len(chosen) == 4
    again = expand(repeat.only(config, chosen))
    assert [run.id for run in again] == [run.id for run in chosen]
    assert {run.id for run in again} <= {run.id for run in expand(config)}


def test_comparison_of_a_repeated_run():
    compare = repeat.compare
    row = {DECODER: "a", "seed": 0, "status": "done", "test/psnr": "20", "x": "0.1"}
    same, worst = compare(row, dict(row), [DECODER])
    assert (same, worst) == (["2", "2", "", "0"], 0)
    other, worst = compare(row, row | {"test/psnr": "21", "x": "0.11"}, [DECODER])
    assert other == ["2", "0", "test/psnr", "0.05"]
    assert worst == pytest.approx(0.05)
    assert compare({}, row, [DECODER])[1] == math.inf


def test_an_arm_needs_its_data(tmp_path, capsys):
    argv = ["--arms=primary_mnist,grid_mnist,primary_bsds", f"--mnist={tmp_path}"]
    assert study.main([*argv, f"--runs={tmp_path}"]) == 1
    message = "primary_bsds needs data: give --bsds=DIR, or leave it out"
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_differences_have_each_decoder_s_colour_and_seeds():
    rows = [
        run_row(kind, seed)
        for kind in ("nearest_k3", "deconv_k3", "bicubic_k3")
        for seed in range(3)
    ]
    with paper_style():
        drawn = figures.forest({"primary_mnist": rows})
        plt.close(drawn)
    (axis,) = drawn.axes
    assert axis.get_title() == "MNIST,\nfixed width,\n3 seeds"
    means = [line for line in axis.lines if line.get_marker() in ("s", "^")]
    found = [(line.get_color(), line.get_markerfacecolor()) for line in means]
    own = {
        kind: styles.kind_style(kind)["color"] for kind in ("deconv_k3", "bicubic_k3")
    }
    assert found == [
        (own["deconv_k3"], own["deconv_k3"]),
        (own["bicubic_k3"], "white"),
    ]


def test_pictures_of_galleries_are_kept_in_eight_bits(tmp_path):
    images = np.random.default_rng(0).random((6, 8, 8, 1))
    flat = np.full((1, 4, 4, 1), 0.7)
    flat[0, ::2] += 0.2
    arrays = {"target": images, "input": 2 * images - 1, "output": images, "flat": flat}
    shared.write(pictures.chosen({"deconv_k3": arrays}), tmp_path / "x.npz")
    found = shared.read(tmp_path / "x.npz")
    assert list(found["kinds"]) == ["deconv_k3"]
    assert found["output"].shape == (1, 4, 8, 8, 1)
    np.testing.assert_allclose(found["target"] / 255, images[:4], atol=1 / 510)
    assert found["input"].min() == 0  # what lies outside of an image is cut
    ripple = found["ripple"][0] / 255 * 2 * pictures.STRETCH - pictures.STRETCH
    np.testing.assert_allclose(ripple[:4, :4], flat[0, ..., 0] - 0.8, atol=1e-3)
    assert shared.read(tmp_path / "none.npz") is None


@pytest.mark.parametrize("data", ["mnist", "bsds"])
def test_kept_galleries_have_all_decoders(data):
    found = shared.read(study.HERE / f"gallery_{data}.npz")
    assert tuple(found["kinds"]) == arms.KINDS
    assert len(found["output"]) == len(found["ripple"]) == len(arms.KINDS)
    clean = list(found["kinds"]).index("shuffle_hold")
    assert np.ptp(found["ripple"][clean]) <= 1


def test_panels_of_ripple_meet_where_rounding_begins():
    found = {"nearest_k3": -150.0, "deconv_k3": -20.0}
    rows = [
        run_row(kind, seed, step=step) | {f"dc_ripple_db_s{s}": db for s in (2, 4, 8)}
        for kind, db in found.items()
        for seed in range(2)
        for step in (0, 100)
    ]
    with paper_style():
        drawn = figures.curves(rows)
        plt.close(drawn)
    upper, lower = drawn.axes[0], drawn.axes[3]
    assert -100 <= upper.get_ylim()[0] < -20 < upper.get_ylim()[1]
    assert lower.get_ylim()[0] < -200
    assert "below: rounding" in [text.get_text() for text in lower.texts]


def test_the_gallery_says_its_setting_and_its_scale(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(figures, "save", lambda figure, *_, **__: drawn.append(figure))
    images = np.zeros((4, 8, 8, 1))
    arrays = dict.fromkeys(("target", "input", "output", "flat"), images)
    noise = {"name": "gaussian", "level": 0.25}
    about = {"config_of_first_run": {"corruption": noise}}
    rows = [run_row("deconv_k3", seed) for seed in range(2)]
    arm = records.Arm(rows, [], about, {}, [])
    shown = pictures.chosen({"deconv_k3": arrays})
    figures.gallery(shown, "primary_mnist", arm, tmp_path / "x")
    (figure,) = drawn
    said = figure.get_suptitle().replace("\n", " ")
    assert said.endswith("gaussian noise 0.25, 2 seeds, of which seed 0 is shown")
    assert "-51 to white +51 grey levels" in figure.axes[1].get_xlabel()
    plt.close(figure)
