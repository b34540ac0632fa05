"""Corruptions, losses and sources with parameters: from a config to a trained model."""

import ast
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from helpers.tiny import tiny_config

from caejax import config as config_lib
from caejax import parameters
from caejax.config import command_line, ids
from caejax.config.check import check
from caejax.config.load import load_config
from caejax.corruptions import CORRUPTIONS, DENOISE, Chosen, Corruption
from caejax.data import SOURCES, Source, Split
from caejax.errors import CaejaxError
from caejax.losses import LOSSES, Loss
from caejax.models.kinds import UPSAMPLING
from caejax.parameters import Choice, Parameter
from caejax.sweep.spec import expand
from caejax.training.images import load_images
from caejax.training.loop import evaluate_again, train
from caejax.training.task import task_from_config

PACKAGE = Path(__file__).parents[1] / "caejax"
LEVEL = Parameter(0.5, 0.0, 1.0)


def stripes(key, images, *, level, period, grey):
    """Paints every so manieth row."""
    del key
    rows = jnp.arange(images.shape[1])[:, None, None] % period == 0
    return jnp.where(rows, level * grey + (1 - level) * images, images)


def power(output, target, *, exponent):
    """Mean absolute error, to a power."""
    return (jnp.abs(output - target) ** exponent).mean((1, 2, 3))


def flat(*, image_size, train_size, test_size, grey, steps):
    """Images of one grey each, from a few steps of it."""
    values = grey * (np.arange(train_size + test_size) % steps) / steps
    images = np.broadcast_to(
        values[:, None, None, None], (len(values), *image_size, 1)
    ).astype(np.float32)
    return Split(images[:train_size]), Split(images[train_size:])


@pytest.fixture
def toys(monkeypatch):
    """A corruption and a source of two parameters, and a loss of one."""
    params = {"period": Parameter(2, 1, 16), "grey": Parameter(0.5, 0.0, 1.0)}
    stripe = Corruption(stripes, LEVEL, DENOISE, "all together", params=params)
    monkeypatch.setitem(CORRUPTIONS, "stripes", stripe)
    loss = Loss(power, params={"exponent": Parameter(1.0, 0.5, 4.0)})
    monkeypatch.setitem(LOSSES, "power", loss)
    params = {"grey": Parameter(1.0, 0.0, 1.0), "steps": Parameter(10, 2)}
    monkeypatch.setitem(SOURCES, "flat", Source(flat, drawn=True, params=params))


FILE = """
from helpers.tiny import tiny_config

def get_config():
    config = tiny_config()
    config.train.epochs = 1
    config.corruption.name = "stripes"
    config.corruption.params = {"period": 4}
    config.loss, config.loss_params = "power", {"exponent": 2}
    config.data.source = "flat"
    config.data.params.steps = 5
    return config
"""


@pytest.fixture
def file(toys, tmp_path):
    """A config file of all three."""
    path = tmp_path / "toys.py"
    path.write_text(FILE)
    return path


def test_a_config_file_sets_them_and_the_rest_have_their_defaults(file):
    config = load_config(file)
    assert config.corruption.params.to_dict() == {"period": 4, "grey": 0.5}
    assert config.loss_params.to_dict() == {"exponent": 2.0}
    assert config.data.params.to_dict() == {"grey": 1.0, "steps": 5}
    check(config)
    task = task_from_config(config, 0)
    assert task.corruption == Chosen(
        "stripes", (("grey", 0.5), ("period", 4)), clip=True
    )
    assert task.loss == Choice("power", (("exponent", 2.0),))
    assert hash(task) == hash(task_from_config(config, 0))
    again = config_lib.from_json(config_lib.to_json(config))
    assert config_lib.to_json(again) == config_lib.to_json(config)


def test_a_model_is_trained_with_them(file, tmp_path):
    config = load_config(file)
    images = load_images(config)["train"]
    assert len(np.unique(images)) == 5
    run = tmp_path / "run"
    summary = train(config, run, verbose=False)
    with np.load(next(run.rglob("samples*.npz"))) as samples:
        clean, noisy = samples["target"], samples["input"]
    expected = np.array(stripes(None, clean, level=0.5, period=4, grey=0.5))
    np.testing.assert_allclose(noisy, expected, atol=1e-6)
    # Of squares of the output as it is; mse has it clipped, which it need not be.
    assert summary["test/loss"] == pytest.approx(summary["test/mse"], rel=1e-4)
    written = json.loads((run / "config.json").read_text())
    assert written["corruption"]["params"] == {"period": 4, "grey": 0.5}
    other = config_lib.from_json(config_lib.to_json(config))
    other.corruption.params.grey = 1.0
    figures = evaluate_again(other, run)
    assert figures["psnr_noisy"] != summary["test/psnr_noisy"]
    with pytest.raises(CaejaxError, match=r"params\.grey is 0\.5 there and 1\.0 here"):
        train(other, run, verbose=False)


@pytest.mark.parametrize(
    "words",
    [
        ["--config.corruption.params.salt=0.2"],
        ["--config.corruption.params.salt", "0.2", "--config.train.epochs=1"],
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_the_command_line_sets_them_before_or_after_the_name(words, first):
    config, name = tiny_config(), ["--config.corruption.name=salt_and_pepper"]
    command_line.apply(config, [], "FILE")
    argv = ["caejax", *(name + words if first else words + name), "--mode=show"]
    rest, overrides = command_line.split(argv)
    assert rest == ["caejax", "--mode=show"]
    command_line.apply(config, overrides, "FILE")
    assert config.corruption.to_dict() == {
        "name": "salt_and_pepper",
        "level": 0.5,
        "params": {"salt": 0.2},
        "clip": True,
        "train_range": (),
    }


@pytest.mark.parametrize("section", ["sweep", "corruption.params"])
def test_a_section_is_no_field(section):
    with pytest.raises(CaejaxError, match=rf"config\.{section} is a section"):
        command_line.apply(tiny_config(), [f"--config.{section}={{}}"], "FILE")


def test_another_name_takes_its_own_parameters(toys):
    config = tiny_config()
    config_lib.override(config, "corruption.name", "stripes")
    config_lib.override(config, "corruption.params.grey", 1)
    assert config.corruption.params.to_dict() == {"period": 2, "grey": 1.0}
    config_lib.override(config, "corruption.name", "gaussian")
    assert config.corruption.params.to_dict() == {}
    line = (
        r"config\.corruption\.params\.salt does not apply: the corruption is 'gaussian'"
    )
    with pytest.raises(CaejaxError, match=line):
        config_lib.override(config, "corruption.params.salt", 0.1)


def test_a_sweep_goes_over_them():
    config = tiny_config()
    config.sweep = {
        "a": {"field": "corruption.params.salt", "values": (0.2, 0.5)},
        "b": {"field": "corruption.name", "values": ("salt_and_pepper",)},
    }
    runs = expand(config)
    assert [run.values["corruption.params.salt"] for run in runs] == [0.2, 0.5]
    assert [run.config.corruption.params.salt for run in runs] == [0.2, 0.5]
    assert len({run.id for run in runs}) == 2


@pytest.mark.parametrize(
    ("section", "values", "line"),
    [
        (
            "corruption.params",
            {"perod": 3},
            r"config\.corruption\.params has 'perod' \(did you mean 'period'\?\), .*; "
            "known: grey, period",
        ),
        ("corruption.params", {"grey": 1.5}, "params.grey is 1.5; it must be between"),
        (
            "corruption.params",
            {"period": 0},
            "period is 0; it must be between 1",
        ),
        ("corruption.params", {"period": 2.5}, "period is 2.5; it must be"),
        ("corruption.params", {"grey": "dark"}, "grey is 'dark'; it must be"),
        ("loss_params", {"exponent": 9}, "loss_params.exponent is 9.0; it must"),
        ("data.params", {"steps": 1}, "data.params.steps is 1; it must be at least 2"),
        ("data.params", {"stages": 1}, "config.data.params has 'stages'"),
    ],
)
def test_mistakes_are_named(toys, section, values, line):
    config = tiny_config()
    config.corruption.name, config.loss, config.data.source = "stripes", "power", "flat"
    check(config)
    *parents, last = section.split(".")
    setattr(config_lib.get(config, parents[0]) if parents else config, last, values)
    with pytest.raises(CaejaxError, match=line) as error:
        check(config)
    assert "\n" not in str(error.value)


def test_one_that_has_none_takes_none():
    config = tiny_config()
    config.corruption.params = {"sigma": 1.0}
    with pytest.raises(CaejaxError, match=r"has 'sigma', which .* 'gaussian' does"):
        check(config)


def test_ids_are_as_they_were_without_parameters():
    config = config_lib.default()
    config.corruption.name = "salt_and_pepper"
    named = config.to_dict()
    old = {k: v for k, v in named["corruption"].items() if k != "params"}
    before = ids.run_id(named | {"corruption": old})
    assert config_lib.run_id(config) == before
    config.corruption.params = {"salt": 0.5}
    assert config_lib.run_id(config) == before
    assert ids.setting_id(config.to_dict()) == ids.setting_id(named)
    config.corruption.params = {"salt": 0.4}
    assert config_lib.run_id(config) != before


def test_values_are_of_the_type_of_the_default():
    number, whole = Parameter(0.5, 0.0, 1.0), Parameter(3, 1)
    assert type(parameters.checked(number, 1, "f")) is float
    assert parameters.checked(whole, 10**9, "f") == 10**9
    for parameter, value in [
        (number, float("nan")),
        (number, True),
        (whole, 1.0),
        (Parameter(1.0), float("inf")),
    ]:
        with pytest.raises(CaejaxError, match=r"config\.f is"):
            parameters.checked(parameter, value, "f")


def literals():
    """Strings of the package, with what holds them, and where; docstrings left out."""
    for path in PACKAGE.rglob("*.py"):
        for parent in ast.walk(ast.parse(path.read_text())):
            if isinstance(parent, ast.Expr):
                continue
            for child in ast.iter_child_nodes(parent):
                if isinstance(child, ast.Constant) and isinstance(child.value, str):
                    yield path.relative_to(PACKAGE).as_posix(), parent, child.value


# A table itself, and the default config, which is a choice of values.
TABLES = {
    "corruptions/__init__.py",
    "losses/__init__.py",
    "data/__init__.py",
    "config/__init__.py",
}
# Words that mean something else, too: a line style, a folder, a metric.
COMMON = {"none", "folder", "box", "cross", "bce", "mse", "l1", "npz"}


def test_no_name_stands_outside_its_table():
    names = {*CORRUPTIONS, *LOSSES, *SOURCES}
    runs = {kind.run for kind in UPSAMPLING.values()}  # "blur" is such a word, too
    found = [
        (path, word)
        for path, parent, word in literals()
        if word in names
        and path not in TABLES
        # What a source calls itself in its own messages is its own.
        and path != f"data/{word}.py"
        # A mixture is of the others.
        and path != "corruptions/camera.py"
        and not (word in runs and path.startswith(("models/", "export/")))
        and (word not in COMMON or isinstance(parent, ast.Compare))
    ]
    assert found == []
