import csv

import pytest
from tiny import tiny_config

from caejax.errors import CaejaxError
from caejax.sweep import results
from caejax.sweep.run import run_sweep
from caejax.sweep.spec import expand
from caejax.train.folder import claim


def sweep_config(**axes):
    config = tiny_config()
    config.train.epochs = 1
    config.sweep = axes
    return config


SEEDS = {"field": "seed", "values": (0, 1)}
DECODERS = {"field": "model.upsampling", "values": ("deconv_k3", "nearest_k3")}


def read_results(folder):
    with (folder / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_axes_combine_by_product():
    runs = expand(sweep_config(seed=SEEDS, decoder=DECODERS))
    points = [(r.values["model.upsampling"], r.values["seed"]) for r in runs]
    assert points == [
        ("deconv_k3", 0),
        ("deconv_k3", 1),
        ("nearest_k3", 0),
        ("nearest_k3", 1),
    ]
    assert [r.config.model.upsampling for r in runs] == [p[0] for p in points]
    assert [r.config.seed for r in runs] == [p[1] for p in points]
    assert len({r.id for r in runs}) == 4
    assert not runs[0].config.sweep


def test_an_axis_may_set_several_fields_at_once():
    axis = {
        "field": ("corruption.name", "corruption.level"),
        "values": (("none", 0.0), ("masking", 0.3)),
    }
    runs = expand(sweep_config(noise=axis))
    assert [(r.config.corruption.name, r.config.corruption.level) for r in runs] == [
        ("none", 0.0),
        ("masking", 0.3),
    ]


def test_a_run_has_the_same_id_alone_as_in_the_grid():
    (alone,) = expand(tiny_config())
    grid = expand(sweep_config(epochs={"field": "train.epochs", "values": (1, 2)}))
    assert alone.id == grid[1].id


@pytest.mark.parametrize(
    ("axis", "words"),
    [
        ({"field": "train.epoch", "values": (1,)}, r"'train\.epoch'.*'train\.epochs'"),
        ({"field": "seed", "values": ()}, r"sweep\.axis\.values is \(\)"),
        ({"field": "seed", "values": (0, 0)}, "two points with the same config"),
        ({"field": "seed", "values": ("a",)}, r"config\.seed is 'a'.*int"),
        ({"field": "seed"}, "must hold 'field' and 'values'"),
        ({"field": "loss", "values": ("l2",)}, "known: bce"),
        ({"field": ("seed", "loss"), "values": ((1,),)}, "2 fields"),
    ],
)
def test_bad_axes_are_refused_in_one_line(axis, words):
    with pytest.raises(CaejaxError, match=words) as error:
        expand(sweep_config(axis=axis))
    assert "\n" not in str(error.value)


def test_a_sweep_is_done_once_and_a_failed_run_does_not_stop_it(tmp_path):
    rates = {"field": "optimizer.learning_rate", "values": (1e-3, 1e30)}
    config = sweep_config(rate=rates, seed=SEEDS)
    rows = run_sweep(config, tmp_path)
    assert [row["status"] for row in rows] == ["done", "done", "failed", "failed"]
    table = read_results(tmp_path)
    assert [row["status"] for row in table] == [row["status"] for row in rows]
    assert "not finite" in table[2]["error"] or "nan" in table[2]["error"]
    assert table[0]["optimizer.learning_rate"] == "0.001"
    assert float(table[0]["test/psnr"]) == pytest.approx(rows[0]["test/psnr"])
    assert table[2]["test/psnr"] == ""

    trained = []

    def fail(config, workdir):
        trained.append(workdir.name)
        raise CaejaxError("again")

    rows = run_sweep(config, tmp_path, fail)
    assert trained == [row["run_id"] for row in rows[2:]]
    assert [row["error"] for row in rows[2:]] == ["again", "again"]


def test_an_unforeseen_error_is_kept_with_its_traceback(tmp_path):
    def fail(config, workdir):
        raise ZeroDivisionError("by\nzero")

    config = sweep_config(seed={"field": "seed", "values": (3,)})
    (row,) = run_sweep(config, tmp_path, fail)
    assert row["error"] == "ZeroDivisionError: by zero"
    trace = tmp_path / "runs" / row["run_id"] / "traceback.txt"
    assert "ZeroDivisionError" in trace.read_text()


def test_axes_may_grow_but_other_runs_are_never_lost(tmp_path):
    def save(config, workdir):
        (workdir / "checkpoints" / "last" / "0").mkdir(parents=True)

    run_sweep(sweep_config(seed={"field": "seed", "values": (0,)}), tmp_path, save)
    assert len(run_sweep(sweep_config(seed=SEEDS), tmp_path, lambda *_: None)) == 2
    before = (tmp_path / "results.csv").read_text()
    other = sweep_config(seed=SEEDS)
    other.model.latent_channels = 3
    for config in (other, sweep_config(seed={"field": "seed", "values": (1,)})):
        with pytest.raises(CaejaxError, match="holds other runs"):
            run_sweep(config, tmp_path)
    assert (tmp_path / "results.csv").read_text() == before


def test_a_sweep_that_could_not_start_does_not_keep_its_folder(tmp_path):
    config = sweep_config(seed=SEEDS)
    config.data.source, config.data.dir = "npz", str(tmp_path / "none.npz")
    with pytest.raises(CaejaxError, match=r"none\.npz"):
        run_sweep(config, tmp_path)
    assert not list(tmp_path.iterdir())
    # Where the axes choose the data, the other runs may be fine.
    config.sweep = {"data": {"field": "data.source", "values": ("npz", "glyphs")}}
    rows = run_sweep(config, tmp_path)
    assert [row["status"] for row in rows] == ["failed", "done"]
    assert "none.npz" in rows[0]["error"]
    # Nothing was trained in the first folder but in the second.
    with pytest.raises(CaejaxError, match="holds a sweep"):
        claim(tmp_path, tiny_config())


def test_results_have_the_columns_of_all_rows(tmp_path):
    rows = [{"run_id": "a", "seed": 0, "error": 'say, "no"'}, {"run_id": "b", "x": 1.5}]
    results.write_csv(tmp_path / "results.csv", rows)
    assert read_results(tmp_path) == [
        {"run_id": "a", "seed": "0", "error": 'say, "no"', "x": ""},
        {"run_id": "b", "seed": "", "error": "", "x": "1.5"},
    ]
