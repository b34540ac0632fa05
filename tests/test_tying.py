"""The study of tied phases: its arms, its claims, its tables, from drawn numbers."""

import json
import math

import matplotlib.pyplot as plt
import numpy as np
import pytest

from caejax.errors import CaejaxError
from caejax.files.csv_files import read_csv, write_csv
from caejax.models.size import parameter_shapes
from caejax.report.style import paper_style
from caejax.sweep.spec import expand
from caejax.training.task import model_from_config
from experiments.tying import (
    claims,
    figures,
    plan,
    rates,
    records,
    study,
    tables,
    times,
)
from experiments.tying.records import DECODER

RATES = {(d, f, k): 1e-3 for d in plan.DATA for f in plan.FORMS for k in plan.KINDS}
WIDTHS = {(d, k): (9, 8, 7) for d in plan.DATA for k in plan.KINDS}


@pytest.mark.parametrize("name", ["rates_unet_mnist", "last_mnist"])
def test_arms_are_whole_grids(name):
    arm = plan.ARMS[name]
    runs = expand(plan.config(arm, "x", RATES, WIDTHS))
    assert len(runs) == arm.runs
    found = {plan.decoder_of(run.values["model.upsampling"]) for run in runs}
    assert found == set(arm.decoders)
    for run in runs[:1]:
        assert run.config.optimizer.schedule == "cosine"
        assert run.config.train.ema_decay > 0
        assert run.config.optimizer.warmup_steps == arm.steps // 20
        steps = run.config.train.steps_per_epoch * run.config.train.epochs
        assert steps == arm.steps


def test_every_rate_is_tuned_before_it_is_used():
    tuned = set()
    for arm in plan.ARMS.values():
        if arm.rates:
            assert arm.name == plan.tuning_arm(arm.data, arm.form)
            tuned |= {(arm.data, arm.form, kind) for kind in arm.decoders}
        else:
            wanted = {plan.stages(decoder)[0] for decoder in arm.decoders}
            assert {(arm.data, arm.form, kind) for kind in wanted} <= tuned


def test_no_seed_that_tunes_decides():
    for arm in plan.ARMS.values():
        assert arm.rates == (plan.TUNING_SEED in arm.seeds)
        assert arm.rates or set(arm.seeds) <= set(plan.SEEDS)


@pytest.mark.parametrize("form", ["plain", "unet_refine"])
def test_costs_are_those_of_the_models(form):
    for decoder in ("carafe", "shuffle_k3+shuffle_tied"):
        config = plan.base("bsds", form)
        widths = plan.matched_widths(decoder, "bsds", form, "parameters")
        config.model.upsampling = plan.stages(decoder)
        config.model.decoder_widths = widths
        shapes = parameter_shapes(model_from_config(config)).items()
        size = sum(math.prod(s) for name, s in shapes if name.startswith("decoder"))
        kinds = plan.stages(decoder)
        assert size == plan.decoder_parameters(kinds, widths, "bsds", form)
        goal = plan.decoder_parameters(
            plan.stages(plan.REFERENCE), plan.WIDTHS[::-1], "bsds", form
        )
        assert size == pytest.approx(goal, rel=0.06)


def test_multiplications_by_hand():
    # One channel everywhere; stages see 4 x 4, 7 x 7 and 14 x 14 pixels, 16 products
    # each but 8 channels of code in the first; then the last convolution.
    kinds = plan.stages("deconv_k4")
    found = plan.decoder_multiplications(kinds, (1, 1, 1), "mnist", "plain")
    assert found == 16 * (16 * 8 + 49 + 196) + 9 * 784
    refined = plan.decoder_multiplications(kinds, (1, 1, 1), "mnist", "refine")
    assert refined - found == 9 * 4 * (16 + 49 + 196)


def test_the_best_rate_is_held_and_a_diverged_one_is_not(tmp_path):
    def row(decoder, rate, psnr, **more):
        row = {DECODER: decoder, rates.RATE: rate, "seed": 100, "status": "done"}
        return row | {"val/psnr": psnr} | more

    rows = [row("nearest_k3", r, p) for r, p in ((1e-3, 20), (2e-3, 21), (4e-3, 20.5))]
    rows += [row("deconv_k4", 1e-3, 20), row("deconv_k4", 2e-3, math.nan)]
    rows += [row("deconv_k3", 1e-3, math.nan, status="failed")]
    chosen = rates.choose(rows, "bsds", "plain")
    assert [(r[DECODER], r["learning_rate"], r["edge"]) for r in chosen] == [
        ("nearest_k3", 2e-3, ""),
        ("deconv_k4", 1e-3, "lowest"),
    ]
    rates.keep(chosen, tmp_path)
    rates.keep([chosen[0] | {"learning_rate": 4e-3}], tmp_path)
    held = rates.read(tmp_path)
    assert held["bsds", "plain", "nearest_k3"] == 4e-3
    assert held["bsds", "plain", "deconv_k4"] == 1e-3
    with pytest.raises(CaejaxError, match="run the arm rates_mnist first"):
        plan.config(plan.ARMS["plain_mnist"], "x", held, {})


def test_equal_time_is_where_the_line_meets():
    def row(kind, scale, seconds):
        return {"data": "bsds", "decoder": kind, "scale": scale, "seconds": seconds}

    rows = [row(plan.REFERENCE, 1.0, "0.04")]
    # Time goes with the scale squared: 0.01 at a half, 0.04 at 1, 0.16 at 2.
    rows += [row("deconv_k4", s, str(0.04 * s * s)) for s in (0.5, 2.0)]
    rows += [row("shuffle_k3", s, str(0.16 * s * s)) for s in (0.25, 1.0)]
    found = times.equal_widths(rows, "bsds")
    assert found == {"deconv_k4": (32, 32, 16), "shuffle_k3": (16, 16, 8)}


def kept(rows):
    return records.Kept(rows, {}, [], [], {}, [], [])


def rows_of(values, measure="test/psnr"):
    """Rows of decoders with a mean each, seeds a hundredth apart."""
    return [
        {DECODER: name, "seed": seed, "status": "done", measure: mean + 0.5 * seed}
        for name, mean in values.items()
        for seed in range(12)
    ]


@pytest.mark.parametrize(
    ("change", "verdict"),
    [(0.0, "holds"), (0.013, "holds"), (0.02, "refuted"), (-0.3, "refuted")],
)
def test_what_is_within_a_margin(change, verdict):
    rows = rows_of({"shuffle_k3": 20.0, "shuffle_tied": 20.0 + change})
    for row in rows:  # differences that scatter by 0.0005 dB
        row["test/psnr"] += 0.0005 * (-1) ** row["seed"] * (row[DECODER] < "shuffle_l")
    found = claims.findings({"plain_bsds": kept(rows)}, "bsds")
    (claim,) = [f for f in found if f.verdict != "not run"]
    assert claim.claim.text == "projecting shuffle_k3 is free in plain (PSNR)"
    assert (claim.n, claim.verdict) == (12, verdict)
    assert claim.mean == pytest.approx(change)


def test_noise_leaves_a_claim_open():
    rng = np.random.default_rng(0)
    rows = rows_of({"shuffle_k3": 20.0, "shuffle_tied": 20.0})
    for row in rows:
        row["test/psnr"] += rng.normal()
    found = claims.findings({"plain_bsds": kept(rows)}, "bsds")
    assert {f.verdict for f in found} == {"open", "not run"}


@pytest.mark.parametrize(("ratio", "verdict"), [(0.9, "holds"), (0.4, "refuted")])
def test_ripples_are_compared_as_ratios(ratio, verdict):
    rows = [
        {DECODER: name, "seed": seed, "status": "done", claims.RIPPLE: x * 2.0**seed}
        for name, x in (("deconv_k3", 1.0), ("deconv_k4", ratio))
        for seed in range(12)
    ]
    found = claims.findings({"plain_bsds": kept(rows)}, "bsds")
    (claim,) = [f for f in found if f.verdict != "not run"]
    assert claim.mean == pytest.approx(20 * math.log10(ratio))
    assert claim.claim.name == "E1"
    assert claim.verdict == verdict


def test_diverged_runs_are_counted():
    rows = rows_of({"nearest_k3": 20.0, "deconv_k4": 20.0})
    rows[3]["test/psnr"] = 10.0
    rows[5] |= {"test/psnr": math.nan}
    rows[7] = {DECODER: "nearest_k3", "seed": 7, "status": "failed"}
    assert len(claims.diverged(rows)) == 3


def test_a_rate_too_high_is_counted_and_one_too_low_is_not():
    values = {5e-4: 16.0, 2e-3: 20.0, 8e-3: 21.0, 16e-3: 18.5, 32e-3: 13.6}
    rows = [
        {DECODER: "carafe", "seed": 100, "status": "done"}
        | {rates.RATE: rate, "test/psnr": psnr}
        for rate, psnr in values.items()
    ]
    assert claims.diverged(rows[::-1]) == rows[-1:]
    # Of the arms that have been run; eight make one grey of every photograph.
    counts = {
        name: len(claims.diverged(records.read(study.HERE, name).rows))
        for name in ("rates_bsds", "rates_mnist")
    }
    assert counts == {"rates_bsds": 10, "rates_mnist": 2}


def test_what_is_not_finite_is_left_out_and_counted():
    rows = list(drawn_rows(plan.ARMS["plain_bsds"], np.random.default_rng(0)))
    bad = next(r for r in rows if r[DECODER] == "shuffle_k3" and r["seed"] == 5)
    bad["test/psnr"] = math.nan
    arms = {"plain_bsds": kept(rows)}
    found = {f.claim.name: f for f in claims.findings(arms, "bsds")}
    assert (found["A1"].n, found["A2"].n) == (11, 12)  # PSNR, SSIM
    text = "\n".join(tables.arm_tables("plain_bsds", arms["plain_bsds"], arms))
    assert "nan" not in text
    assert claims.diverged(rows) == [bad]


def test_ripple_has_an_interval_for_other_photographs():
    """Photographs that differ make it wider than seeds alone."""
    rng = np.random.default_rng(0)
    of_photographs = rng.gamma(2, size=40)
    rows = [
        {DECODER: name, "seed": seed, "measure": measure}
        | {f"g{i}": size * x + 0.1 * seed for i, x in enumerate(of_photographs)}
        for name, size in (("nearest_k3", 0.0), ("deconv_k4", 2.0))
        for seed in range(12)
        for measure in ("psnr", "dc_ripple_grey_s8")
    ]
    arm = kept([])._replace(photographs=rows)
    found = claims.crossed(rows, "deconv_k4", "dc_ripple_grey_s8")
    assert found.mean == pytest.approx(2 * of_photographs.mean())
    error = 2 * of_photographs.std(ddof=1) / math.sqrt(40)
    assert found.error == pytest.approx(error)
    _, text = tables.crossed_table(arm)
    assert "| decoder | PSNR (dB) | SSIM | ripple s8 (grey levels) |" in text
    low, high = f"{found.low:.3f}", f"{found.high:.3f}"
    assert f"{found.mean:.3f} [{low}, {high}], 100%" in text
    assert "dc_ripple_grey_s8" in records.OF_PHOTOGRAPHS
    # Of a single photograph there is no interval.
    names = (DECODER, "seed", "measure", "g0")
    one = [{name: row[name] for name in names} for row in rows]
    assert claims.crossed(one, "deconv_k4", "psnr") is None


def test_photographs_of_validation_are_not_those_of_cbsd68(tmp_path):
    for part, name in (("train", "1"), ("val", "3096"), ("val", "5"), ("test", "2")):
        (tmp_path / part).mkdir(exist_ok=True)
        (tmp_path / part / f"{name}.jpg").touch()
    study.photographs(tmp_path, tmp_path / "links")
    study.photographs(tmp_path, tmp_path / "links")  # again
    assert [p.name for p in (tmp_path / "links/val").iterdir()] == ["5.jpg"]
    with pytest.raises(CaejaxError, match=r"no \.jpg"):
        study.photographs(tmp_path / "val", tmp_path / "more")


def drawn_rows(arm, rng):
    for decoder in arm.decoders:
        tied = plan.TIES.get(decoder, ("none", 0))[1] > 0
        for seed in arm.seeds:
            row = {DECODER: decoder, "seed": seed, "status": "done"}
            row |= {"model.decoder_widths": "(8, 8, 8)", "params": 9999, "steps": 7}
            row |= {"val/psnr": 21.0, "val/gain": 0.01}
            row |= {name: round(rng.gamma(2), 4) for name in records.MEASURES}
            row["test/psnr"] = 20 + rng.normal() / 10
            row[claims.RIPPLE] = 1e-6 if tied else rng.gamma(3)
            yield row


ABOUT = {
    "machine": {"device": "cpu", "cpu_cores": 2},
    "config_of_first_run": {
        "train": {"steps_per_epoch": 7, "epochs": 10, "batch_size": 3}
    },
}


def test_tables_and_figures_are_made_from_the_csv_files_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "FORMATS", ("png",))
    rng = np.random.default_rng(0)
    for name in ("plain_bsds", "unet_bsds", "time_bsds"):
        write_csv(tmp_path / f"{name}.csv", list(drawn_rows(plan.ARMS[name], rng)))
        (tmp_path / f"{name}.json").write_text(json.dumps(ABOUT))
    whose = [(k, s) for k in plan.KINDS[:7] for s in range(2)]
    values = {f"g{i}": x for i, x in enumerate(rng.normal(size=9))}
    write_csv(
        tmp_path / "plain_bsds_photographs.csv",
        [
            {DECODER: k, "seed": s, "measure": m} | values
            for k, s in whose
            for m in ("psnr", "ssim")
        ],
    )
    ripple = {"dc_ripple_grey_s2": 1.0, "dc_ripple_grey_s8": 2.0}
    write_csv(
        tmp_path / "plain_bsds_steps.csv",
        [{DECODER: k, "seed": s, "step": t} | ripple for k, s in whose for t in (0, 9)],
    )
    line = {f"x{i}": float(i) for i in range(4)}
    write_csv(
        tmp_path / "plain_bsds_flats.csv",
        [{DECODER: k, "seed": 0, "grey": 1.5} | line for k, s in whose for _ in "ab"],
    )
    spectrum = {"model.upsampling": "x", "array": "residual_spectrum", "0": 1, "1": 2}
    write_csv(
        tmp_path / "plain_bsds_spectra.csv",
        [spectrum | {"model.upsampling": k} for k, _ in whose],
    )
    assert study.main(["--arms=", f"--out={tmp_path}"]) == 0
    text = (tmp_path / "results.md").read_text()
    assert "| plain_bsds | 156 | 156 |" in text
    assert "at most 0.010 | 100% |" in text
    found = read_csv(tmp_path / "claims.csv")
    assert {row["data"] for row in found} == set(plan.DATA)
    answers = (tmp_path / "answers.md").read_text()
    assert (
        "| nothing else is known | nearest_k3 | nearest_k3 (plain) - deconv" in answers
    )
    kept = {"time_bsds": records.read(tmp_path, "time_bsds")}
    lines = [x.strip("| ").split(" | ") for x in answers.splitlines()[2:]]
    assert not [x for x in lines if x[0].startswith("content is") and x[3] != "mnist"]
    # A model that is trained already was not trained in this study.
    trained = [x for x in lines if x[0] == "a model is trained already"]
    assert trained[1][2:5] == [
        "deconv_k4, trained on tied - trained on untied (fixing)",
        "mnist",
        "-0.020 [-0.186, +0.145]",
    ]
    assert trained[1][8:] == ["at most -140 dB", "3.54 [0.39, 6.70]"]
    free = next(x for x in lines if x[0] == "parameters are free")
    kinds = plan.stages("shuffle_tied"), plan.stages("nearest_k3")
    assert free[6:8] == [
        f"x {f(kinds[0], *same) / f(kinds[1], *same):.2f}"
        for same in [((8, 8, 8), "bsds", "plain")]
        for f in (plan.decoder_parameters, plan.decoder_multiplications)
    ]
    said = figures._setting("differences_time_bsds", kept)
    assert said.startswith("BSDS500, colour patches, code of 32 channels, gaussian")
    assert "0.25, 12 seeds, " in said
    drawn = {path.stem for path in tmp_path.glob("*.png")}
    assert drawn == {
        f"{name}_bsds"
        for name in (
            *("ties", "differences_plain", "differences_time", "sizes"),
            *("quality_ripple", "ripple_steps", "spectra", "flats"),
        )
    }


def test_what_would_lie_on_each_other_stands_side_by_side():
    rng = np.random.default_rng(0)
    rows = list(drawn_rows(plan.ARMS["plain_bsds"], rng))
    clean = sum(order > 0 for _, order in plan.TIES.values())
    codes, levels = plan.ARMS["grid_bsds"].axes.values()
    points = [(c, level) for c in codes for level in levels]
    of_grid = [
        row | dict(zip(plan.ARMS["grid_bsds"].axes, point, strict=True))
        for row in drawn_rows(plan.ARMS["grid_bsds"], rng)
        for point in points
    ]
    with paper_style():
        scatter, grid = figures.scatter(rows), figures.grid(of_grid)
        places = {bars.lines[0].get_xdata()[0] for bars in scatter.axes[0].containers}
        assert sum(x < figures.FLOOR for x in places) == clean
        axis = grid.axes[0]
        firsts = {bars.lines[0].get_xdata()[0] for bars in axis.containers}
        assert len(firsts) == len(plan.FACTOR_KINDS) - 1
        assert np.exp(np.mean(np.log([*firsts]))) == pytest.approx(codes[0])
        plt.close("all")


def test_another_machine_goes_on_with_the_csv_files(tmp_path, monkeypatch):
    """Decoders that are done there are not done again, and their rows stay."""
    arm = plan.ARMS["rates_refine_bsds"]
    config = plan.config(arm, "photographs", {}, {})
    first, second = arm.decoders[:2]
    names = ("status", "params", "steps", *records.MEASURES)
    begun: set[str] = set()

    def collect(runs, folder):
        for run in runs:
            there = run.values["model.upsampling"] in begun
            if there:
                (folder / run.id).mkdir(parents=True)
                (folder / run.id / "metrics.jsonl").touch()
            yield dict.fromkeys(names, 1.0) | {"status": "done" if there else "missing"}

    monkeypatch.setattr(records, "collect", lambda *args: list(collect(*args)))
    monkeypatch.setattr(records, "_about", lambda config, runs, rows, folder: {})
    out = tmp_path / "out"
    file, lines = out / f"{arm.name}.csv", []
    for machine, decoder in enumerate((second, first)):
        begun = {decoder}
        records.write(config, tmp_path / str(machine), out, arm.name)
        assert set(lines) <= set(file.read_text().splitlines())
        lines = [x for x in file.read_text().splitlines() if ",done," in x]
    assert records.finished(out, arm.name) == {first, second}
    rows = read_csv(file)
    assert [row[DECODER] for row in rows] == [
        x for x in arm.decoders for _ in plan.RATES
    ]
    assert len(lines) == 2 * len(plan.RATES)
    # Half done, or a trial of fewer rates, is not finished.
    write_csv(out / f"{arm.name}.csv", rows[1:])
    assert records.finished(out, arm.name) == {second}


def test_the_unet_is_held_against_other_estimators():
    def run(level, seed, psnr):
        row = {DECODER: plan.REFERENCE, "seed": seed, "status": "done"}
        return row | {"corruption.level": level, "test/psnr": psnr}

    runs = [run(0.1, s, 27 + 0.01 * s) for s in range(3)]
    runs += [run(0.5, s, 20 + 0.01 * s) for s in range(3)]
    others = [
        {"reference": name, "corruption.level": level, "test/psnr": psnr}
        for name, level, psnr in (
            *(("bm3d", 0.1, 26.4), ("bm3d", 0.5, 19.6), ("tv", 0.5, 19.51)),
            ("pca", 0.5, 10.0),
        )
    ]
    arms = {
        "references_bsds": kept(runs[::3])._replace(references=others),
        "levels_bsds": kept([r for r in runs if r["seed"]]),
    }
    found = claims.leads(arms, "bsds")
    assert [(x.estimator, x.n, x.verdict) for x in found] == [
        ("bm3d", 3, "holds"),
        ("bm3d", 3, "refuted"),
        ("tv", 3, "open"),
    ]
    assert found[0].mean == pytest.approx(0.61)
