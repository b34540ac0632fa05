"""Tests of what a sweep tunes before it begins."""

import numpy as np
import pytest
from helpers import sweep_jobs
from helpers.sweep_jobs import DECODERS, SEEDS, sweep_config

from caejax.commands.options import Options, needed_config
from caejax.config import from_json, to_json
from caejax.data import PARTS
from caejax.errors import CaejaxError
from caejax.files.atomic import write_json
from caejax.files.csv_files import read_csv
from caejax.sweep.run import run_sweep
from caejax.sweep.spec import expand
from caejax.sweep.tune import _by_points, parse, tuned, tuning_config, with_chosen
from caejax.training.folder import begun_in

RATE = "optimizer.learning_rate"
BEST = {"deconv_k3": 1e-2, "nearest_k3": 1e-3}


def config_of(**tune):
    config = sweep_config(decoder=DECODERS, seed=SEEDS)
    config.tune = {RATE: (1e-4, 1e-3, 1e-2), "by": "decoder", "seeds": (7, 8), **tune}
    return config


def do(config, workdir):
    """A run whose loss says which rate is best, and whose test images lie."""
    sweep_jobs.log(config, workdir.parent, "began")
    rate = config.optimizer.learning_rate
    if rate == 1e-4 and config.seed == 8:
        raise CaejaxError("no good")
    right = rate == BEST[config.model.upsampling]
    loss = (0.25 if right else 0.5) + config.seed / 100
    (workdir / "samples.npz").touch()
    write_json(
        workdir / "summary.json", {"best_val_loss": loss, "test/psnr": 100 * rate}
    )


def values(config):
    return [run.values for run in expand(config)]


def test_the_best_rate_of_each_decoder_is_that_of_the_sweep(tmp_path, capsys):
    (tmp_path / "sweep").mkdir()
    found = tuned(config_of(), tmp_path / "sweep", do)
    for point in values(found):
        assert point[RATE] == BEST[point["model.upsampling"]]
    assert [(x["model.upsampling"], x["seed"]) for x in values(found)] == [
        (x["model.upsampling"], x["seed"]) for x in values(config_of())
    ]
    table = read_csv(tmp_path / "sweep" / "tune.csv")
    assert len(table) == 6
    assert not any("test" in name for row in table for name in row)
    chosen = [row for row in table if row["chosen"] == 1]
    assert {row["model.upsampling"]: row[RATE] for row in chosen} == BEST
    assert [row["mean_best_val_loss"] for row in chosen] == pytest.approx([0.325] * 2)
    out = capsys.readouterr().out
    assert f"tuned: model.upsampling=deconv_k3  {RATE}=0.01" in out
    # It goes on where it was, and ends the same.
    began = sweep_jobs.logged(tmp_path, "began").total()
    again = tuned(config_of(), tmp_path / "sweep", do)
    assert to_json(again) == to_json(found)
    failed = 2  # which are tried again
    assert sweep_jobs.logged(tmp_path, "began").total() == began + failed


def test_no_axis_takes_the_name_of_another():
    levels = {"field": "corruption.level", "values": (0.1, 0.2)}
    config = sweep_config(tune=DECODERS, tune_seed=levels, tune_tune_seed=SEEDS)
    config.tune = {RATE: (1e-3, 1e-2), "by": ("tune", "tune_seed"), "seeds": (7, 8)}
    tune = parse(config)
    assert len(expand(tuning_config(config, tune))) == 2 * 2 * 2 * 2
    groups = list(_by_points(config, tune))
    found = with_chosen(config, tune, groups, [tune.points[0]] * len(groups))
    assert len(expand(found)) == len(expand(config)) == 2 * 2 * 2


def test_without_axes_there_is_one_value_for_all(tmp_path):
    config = config_of(by=())
    config.model.upsampling = "deconv_k3"
    found = tuned(config, tmp_path / "sweep", do)
    assert found.optimizer.learning_rate == 1e-2
    assert values(found) == values(config)


@pytest.mark.parametrize("name", ["tune", "sweep_exclude"])
def test_what_is_of_a_sweep_needs_one(name):
    config = config_of()
    config.sweep_exclude = ({"seed": 0},)
    assert needed_config(Options(config=config)) is config
    config.sweep = {}
    config["sweep_exclude" if name == "tune" else "tune"] = ()
    with pytest.raises(CaejaxError, match=f"config.{name} is of a sweep"):
        needed_config(Options(config=config))


def test_a_tune_is_kept_in_json_and_no_part_of_a_run():
    config = config_of()
    assert from_json(to_json(config)).tune == config.tune
    plain = config_of()
    plain.tune = ()
    assert [run.id for run in expand(config)] == [run.id for run in expand(plain)]


@pytest.mark.parametrize(
    ("tune", "line"),
    [
        ({"seeds": (1, 7)}, "both have the seed 1"),
        ({"seeds": ()}, r"tune\.seeds is \(\); it must be"),
        ({"by": "decoders"}, r"no axis .*did you mean 'decoder'"),
        ({RATE: 1e-3}, "two or more values"),
        ({"model.upsampling": ("bilinear", "deconv_k3")}, "which is swept"),
        ({"optimizer.rate": (1, 2)}, "no field 'optimizer.rate'"),
    ],
)
def test_what_cannot_be_tuned_is_one_line(tmp_path, tune, line):
    with pytest.raises(CaejaxError, match=line):
        tuned(config_of(**tune), tmp_path, do)
    assert not list(tmp_path.iterdir())


def test_test_images_do_not_choose(tmp_path):
    config = config_of()
    config.data.val_fraction = 0.0
    with pytest.raises(CaejaxError, match=r"val_fraction is 0.*test images validate"):
        tuned(config, tmp_path, do)


def test_what_is_begun_goes_on_from_any_working_directory(tmp_path, monkeypatch):
    config = config_of()
    config.data.val_fraction, config.data.source = 0.0, "npz"
    config.data.dir = "photos.npz"
    parts = {f"x_{part}": np.full((9, 16, 16), i) for i, part in enumerate(PARTS)}
    np.savez(tmp_path / "photos.npz", **{k: v / 2 for k, v in parts.items()})
    workdir = tmp_path / "sweep"
    monkeypatch.chdir(tmp_path)
    found = tuned(config, workdir, do)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert to_json(tuned(config, workdir, do)) == to_json(found)
    assert len(run_sweep(found, workdir, do)) == 4
    assert begun_in(workdir) == tmp_path


def test_of_every_value_a_run_failed(tmp_path):
    config = config_of()
    with pytest.raises(CaejaxError, match=r"a run failed .*tune/results\.csv"):
        tuned(config, tmp_path / "sweep", sweep_jobs.fail)
