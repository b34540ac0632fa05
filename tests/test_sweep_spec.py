"""Tests of what a sweep's axes mean."""

import pytest
from helpers.sweep_jobs import DECODERS, SEEDS, sweep_config
from helpers.tiny import tiny_config

from caejax import config as config_lib
from caejax.errors import CaejaxError
from caejax.sweep.spec import expand


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


def test_axes_may_be_added_one_by_one():
    config = tiny_config()
    config.sweep.noise = {"field": "corruption.level", "values": (0.1, 0.2)}
    config.sweep.seed = {"field": "seed", "values": (0, 1)}
    assert [tuple(run.values.values()) for run in expand(config)] == [
        (0.1, 0),
        (0.1, 1),
        (0.2, 0),
        (0.2, 1),
    ]


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
        ({"field": ("seed", "seed"), "values": ((1, 2),)}, "'seed' more than once"),
        ({"field": 3, "values": (1,)}, r"axis\.field is 3"),
        ({"field": "seed", "values": (None,)}, r"config\.seed is None.*int"),
    ],
)
def test_bad_axes_are_refused_in_one_line(axis, words):
    with pytest.raises(CaejaxError, match=words) as error:
        expand(sweep_config(axis=axis))
    assert "\n" not in str(error.value)


def test_points_can_be_left_out():
    config = sweep_config(seed=SEEDS, decoder=DECODERS)
    everything = expand(config)
    config.sweep_exclude = ({"seed": 1, "model.upsampling": "deconv_k3"},)
    left = expand(config)
    assert left == [everything[0], *everything[2:]]
    # By a field that is not swept, and one that holds a tuple.
    config.sweep_exclude += ({"seed": 0, "model.widths": [4, 4]},)
    assert [run.values["seed"] for run in expand(config)] == [1]


@pytest.mark.parametrize(
    ("exclusion", "words"),
    [
        ({"sead": 0}, "no field 'sead'.*'seed'"),
        ({"seed": 2}, r"\{'seed': 2\}, which leaves out no point"),
        ({}, "must hold dicts"),
        ("seed", "must hold dicts"),
        ({"loss": "bce"}, "leaves out every point"),
    ],
)
def test_bad_exclusions_are_refused_in_one_line(exclusion, words):
    config = sweep_config(seed=SEEDS)
    config.sweep_exclude = (exclusion,)
    with pytest.raises(CaejaxError, match=words) as error:
        expand(config)
    assert "\n" not in str(error.value)


def test_ids_depend_on_the_run_alone():
    config = tiny_config()
    plain = expand(sweep_config(seed=SEEDS))
    config = sweep_config(seed=SEEDS, decoder=DECODERS)
    config.sweep_exclude = ({"model.upsampling": "deconv_k3"},)
    config.executor.name, config.executor.workers = "processes", 3
    config.model.upsampling = "deconv_k4"
    assert [run.id for run in expand(config)] == [
        run.id for run in expand(sweep_config(seed=SEEDS, decoder=DECODERS))[2:]
    ]
    assert plain[0].config.executor == expand(config)[0].config.executor


def test_thousands_of_runs_do_not_take_thousands_of_resolutions(monkeypatch):
    """All that takes long is done for each config and its names, not for each run."""
    resolve, calls = config_lib.resolve, []

    def counted(config):
        calls.append(config)
        return resolve(config)

    monkeypatch.setattr(config_lib, "resolve", counted)
    counts = []
    for seeds in (2, 20):
        config = config_lib.default()
        config.sweep = {
            "loss": {"field": "loss", "values": ("bce", "mse")},
            "seed": {"field": "seed", "values": tuple(range(seeds))},
        }
        calls.clear()
        assert len(expand(config)) == 2 * seeds
        counts.append(len(calls))
    assert counts[0] == counts[1]


def test_runs_share_nothing_that_can_be_changed():
    config = config_lib.default()
    config.sweep = {"seed": {"field": "seed", "values": (0, 1)}}
    first, second = expand(config)
    first.config.model.widths = (1,)
    first.config.train.start_from = "elsewhere"
    first.config.executor.workers = 9
    assert second.config.to_dict() == {
        **config_lib.one_run(config).to_dict(),
        "seed": 1,
    }
