"""Sweeps over whole configs, and runs that start from other runs of the sweep."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from helpers import sweep_jobs
from helpers.tiny import save_checkpoints, tiny_config

from caejax import config as config_lib
from caejax.config import default
from caejax.config.load import load_config
from caejax.errors import CaejaxError
from caejax.report.read import _write_results_again as write_results_again
from caejax.sweep.run import run_sweep
from caejax.sweep.spec import expand
from caejax.training import folder, recorded
from caejax.training.restore import restore
from caejax.training.run import create_run

SEEDS = {"field": "seed", "values": (0, 1)}
BOTH = ("seeds/f_keras_io", "seeds/f_keras_io_noisy")
PHASES = {"config": BOTH, "after": {BOTH[1]: BOTH[0]}}


def sweep_of(**axes):
    config = default()
    config.sweep = axes
    return config


def test_points_start_from_the_config_that_is_named():
    runs = expand(sweep_of(a=SEEDS, system={"config": ("seeds/b_basic", BOTH[0])}))
    assert [run.values for run in runs] == [
        {"seed": seed, "config": name}
        for seed in (0, 1)
        for name in ("seeds/b_basic", BOTH[0])
    ]
    alone = load_config("seeds/b_basic")
    alone.seed = 1
    assert runs[2].config.to_dict() == alone.to_dict()
    assert runs[2].id == config_lib.run_id(alone)
    assert not any(run.after for run in runs)


def test_configs_may_change_along_with_fields_and_be_left_out():
    points = (("seeds/b_basic", 3), ("seeds/e_linear", 4))
    config = sweep_of(
        seed=SEEDS, system={"field": ("config", "train.epochs"), "values": points}
    )
    config.sweep_exclude = ({"config": "seeds/e_linear", "seed": 1},)
    runs = expand(config)
    assert [(run.values["config"], run.config.train.epochs) for run in runs] == [
        points[0],
        points[1],
        points[0],
    ]


def test_a_later_run_starts_from_the_earlier_one_of_equal_values():
    runs = expand(sweep_of(a=SEEDS, system=PHASES))
    starts = {run.id: run.after for run in runs}
    for first, second in (runs[:2], runs[2:]):
        assert (starts[first.id], starts[second.id]) == ("", first.id)
        assert second.config.train.start_from == first.id
        assert second.config.seed == first.config.seed
        # So the id depends on the run it starts from, and on no folder.
        assert second.id == config_lib.run_id(second.config)
    # In the other order, as pairs, and read back from JSON.
    other = {"config": BOTH[::-1], "after": ((BOTH[1], BOTH[0]),)}
    again = config_lib.from_json(config_lib.to_json(sweep_of(a=SEEDS, system=other)))
    found = expand(again)
    assert [run.id for run in found[:2]] == [run.id for run in runs[1::-1]]
    assert {run.id: run.after for run in found} == starts
    # Fields of the same axis are no other values.
    points = ((BOTH[0], 2), (BOTH[1], 3))
    axis = {"field": ("config", "train.epochs"), "values": points}
    first, second = expand(sweep_of(system=axis | {"after": {BOTH[1]: BOTH[0]}}))
    assert second.after == first.id


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ({"a": {"config": ("seeds/b_basik",)}}, "'seeds/b_basik'.*'seeds/b_basic'"),
        ({"a": {"config": ("quickstart",)}}, "'quickstart', which has a sweep"),
        ({"a": {"config": ()}}, r"sweep\.a\.values is \(\)"),
        ({"a": PHASES, "b": {"config": BOTH}}, "'config' more than once"),
        ({"a": PHASES | {"after": {BOTH[1]: "seeds/f_keras"}}}, "did you mean"),
        ({"a": PHASES | {"after": (BOTH, BOTH)}}, "starts from two"),
        ({"a": PHASES | {"after": (BOTH[0], BOTH[1])}}, "must hold a later config"),
        ({"a": PHASES | {"after": (BOTH, BOTH[::-1])}}, "circle: .* after .* after"),
        ({"a": PHASES | {"after": {BOTH[0]: BOTH[0]}}}, "circle"),
        ({"a": SEEDS | {"after": {"b": "c"}}}, "'b', which is none of the axis's"),
        (
            {
                "a": {
                    "field": ("config", "seed"),
                    "values": ((BOTH[0], 0), (BOTH[0], 1), (BOTH[1], 0)),
                    "after": {BOTH[1]: BOTH[0]},
                }
            },
            "more than once on the axis",
        ),
    ],
)
def test_bad_axes_of_configs_are_refused_in_one_line(axes, words):
    with pytest.raises(CaejaxError, match=words) as error:
        expand(sweep_of(**axes))
    assert "\n" not in str(error.value)


def test_what_others_start_from_cannot_be_left_out():
    config = sweep_of(system=PHASES)
    config.sweep_exclude = ({"config": BOTH[0]},)
    with pytest.raises(CaejaxError, match="leaves out the run that"):
        expand(config)


@pytest.fixture
def phases(tmp_path):
    """A sweep of two configs of one small model, the second after the first."""
    config = tiny_config()
    config.model.encoder, config.model.widths = "dense", ()
    config.train.epochs = 1
    files = [tmp_path / "first.py", tmp_path / "second.py"]
    for file, rate in zip(files, (1e-2, 1e-12), strict=True):
        config.optimizer.learning_rate = rate  # the second hardly moves
        text = json.dumps(config_lib.to_json(config))
        file.write_text(
            "from caejax.config import from_json\n"
            f"def get_config():\n    return from_json({text})\n"
        )
    first, second = map(str, files)
    # The later one first, so that it has to wait.
    axis = {"config": (second, first), "after": ((second, first),)}
    return sweep_of(system=axis)


def test_configs_named_by_relative_paths_are_found_from_elsewhere(
    phases, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    names = ("first.py", "$HERE/second.py")
    monkeypatch.setenv("HERE", str(tmp_path))
    config = sweep_of(system={"config": names})
    did = []

    def do(config, workdir):
        did.append(workdir.name)
        if len(did) == 2:
            raise KeyboardInterrupt
        save_checkpoints(workdir, config, seeds=(0,))
        sweep_jobs.quick(config, workdir)

    with pytest.raises(KeyboardInterrupt):
        run_sweep(config, Path("sweep"), do)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    rows = run_sweep(config, Path("..", "sweep"), do)
    assert [row["config"] for row in rows] == list(names)
    assert [row["status"] for row in rows] == ["done", "done"]
    (tmp_path / "sweep" / "results.csv").write_text("x\n1,2\n")
    write_results_again(tmp_path / "sweep")
    assert "first.py" in (tmp_path / "sweep" / "results.csv").read_text()


def test_runs_that_are_left_find_data_from_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images = np.zeros((40, 16, 16), np.uint8)
    for name in ("a.npz", "b.npz"):
        np.savez(name, x_train=images, x_test=images[:8])
    config = tiny_config()
    config.data.source, config.train.epochs = "npz", 1
    config.sweep = {"data": {"field": "data.dir", "values": ("a.npz", "b.npz")}}

    def do(config, workdir):
        run = create_run(config, verbose=False, within=folder.paths_of(workdir))
        folder.settle(workdir, config, run.data)
        sweep_jobs.quick(config, workdir)

    def is_first(run):
        return run.values["data.dir"] == "a.npz"

    run_sweep(config, Path("sweep"), do, only=is_first)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    rows = run_sweep(config, Path("..", "sweep"), do)
    assert [row["status"] for row in rows] == ["done", "done"]
    workdir = tmp_path / "sweep" / "runs" / rows[1]["run_id"]
    data = recorded.read(workdir)
    assert (data.dir, data.place) == ("b.npz", str(tmp_path / "b.npz"))
    assert folder.read_config(workdir).data.dir == "b.npz"


@pytest.mark.parametrize("executor", ["serial", "processes", "vmap"])
def test_runs_start_from_what_others_have_trained(executor, phases, tmp_path):
    phases.executor.name, phases.executor.workers = executor, 2
    rows = run_sweep(phases, tmp_path / "sweep")
    assert [row["status"] for row in rows] == ["done", "done"]
    second, first = (
        restore(tmp_path / "sweep" / "runs" / run.id, run.config).params
        for run in expand(phases)
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-7), first, second
    )
    csv = (tmp_path / "sweep" / "results.csv").read_text()
    assert csv.startswith("run_id,config,seed,status")


def test_a_run_that_has_begun_goes_on_wherever_the_sweep_is(phases, tmp_path):
    began = []

    def do(config, workdir):
        began.append((workdir.name, config.train.start_from))
        if config.train.start_from and len(began) == 2:
            save_checkpoints(workdir, config, seeds=(0,))
            raise KeyboardInterrupt
        sweep_jobs.quick(config, workdir)

    second, first = expand(phases)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(phases, tmp_path / "sweep", do)
    (tmp_path / "sweep").rename(tmp_path / "moved")
    rows = run_sweep(phases, tmp_path / "moved", do)
    assert [row["status"] for row in rows] == ["done", "done"]
    start = str(tmp_path / "sweep" / "runs" / first.id)
    assert began == [(first.id, ""), (second.id, start), (second.id, start)]


@pytest.mark.parametrize("executor", ["serial", "processes", "vmap"])
def test_a_run_fails_with_the_one_that_it_starts_from(executor, phases, tmp_path):
    phases.executor.name, phases.executor.workers = executor, 1
    second, first = run_sweep(phases, tmp_path / "sweep", sweep_jobs.fail)
    assert (first["status"], first["error"]) == ("failed", "no good")
    assert second["status"] == "failed"
    assert second["error"] == (
        f"it starts from run {first['run_id']}, which failed; mend that one first"
    )
    phases.executor.name = "serial"
    rows = run_sweep(phases, tmp_path / "sweep", sweep_jobs.quick)
    assert [row["status"] for row in rows] == ["done", "done"]


def test_some_runs_are_done_with_those_that_they_start_from(phases, tmp_path):
    phases.sweep.seed = SEEDS
    rows = run_sweep(
        phases,
        tmp_path / "sweep",
        sweep_jobs.quick,
        only=lambda run: bool(run.after) and run.values["seed"] == 1,
    )
    done = [row["status"] for row in rows if row["seed"] == 1]
    assert done == ["done", "done"]
    assert [row["status"] for row in rows if row["seed"] == 0] == ["pending"] * 2
