import decimal
import enum
import fractions
import math
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from helpers.configs import CONFIGS
from helpers.extremes import cases, configured
from helpers.tiny import tiny_config

from caejax import config as config_lib
from caejax.config import values
from caejax.config.check import check
from caejax.config.load import load_config
from caejax.errors import CaejaxError
from caejax.models import size
from caejax.optimizers import OptimizerSpec, create_schedule
from caejax.runtime import memory as runtime_memory
from caejax.sweep.spec import MOST_RUNS, expand
from caejax.training import loop, memory


def test_extreme_command_lines_are_refused_in_one_line_or_taken():
    refused = 0
    for words in cases(seed=0, count=80):
        line = configured(words, config_lib.default())
        assert "\n" not in line, words
        assert len(line) < 1000, words
        refused += bool(line)
    assert 40 < refused < 80


class Mixed(str, enum.Enum):  # noqa: UP042 (whose str() is another)
    """A member shows its name, and is its value."""

    VALUE = "mse"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float32(0.1), 0.1),
        (np.float64(0.25), 0.25),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.str_("mse"), "mse"),
        (np.array(0.5), 0.5),
        (np.array([[1, 2], [3, 4]]), ((1, 2), (3, 4))),
        (np.array([1, None], object), (1, None)),
        (jnp.float32(0.1), 0.1),
        (jnp.bfloat16(0.5), 0.5),
        (jnp.arange(2), (0, 1)),
        (decimal.Decimal("0.1"), 0.1),
        (decimal.Decimal("1e999999999"), math.inf),
        (fractions.Fraction(6, 2), 3),
        (Path("a/b"), "a/b"),
        (Mixed.VALUE, "mse"),
        ([1, (np.int8(2), range(2))], (1, (2, (0, 1)))),
        ({"salt": np.float32(0.2)}, {"salt": 0.2}),
    ],
)
def test_values_become_plain_data(value, plain):
    found = values.plain(value, "x")
    assert found == plain
    assert type(found) is type(plain)
    assert str(values.plain(np.float32(-0.0), "x")) == "0.0"


@pytest.mark.parametrize(
    "value",
    [
        *(1j, np.complex64(1), b"x", {1}, object(), np.datetime64("2020"), math.sin),
        *(10**1001, range(10**9), "x" * 10**6, fractions.Fraction(10**400)),
        *(decimal.Decimal("sNaN"), np.zeros(10**5), np.array(1j), np.void(b"ab")),
        *({1: 2}, np.ma.masked_equal([1, 2], 2)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_plain_data_is_named(value):
    with pytest.raises(CaejaxError, match=r"config\.x ") as error:
        values.plain(value, "x")
    assert len(str(error.value)) < 400


def test_axes_take_numbers_as_they_were_computed():
    config = tiny_config()
    config.sweep = {
        "level": {"field": "corruption.level", "values": np.linspace(0.1, 0.3, 3)},
        "seed": {"field": "seed", "values": range(2)},
        "widths": {"field": "model.widths", "values": [np.array([4, 4])]},
        "loss": {"field": ("loss",), "values": [(np.str_("mse"),)]},
    }
    runs = expand(config)
    assert [run.config.seed for run in runs] == [0, 1] * 3
    config.sweep = {
        "level": {"field": "corruption.level", "values": (0.1, 0.2, 0.3)},
        "seed": {"field": "seed", "values": (0, 1)},
    }
    config.loss, config.model.widths = "mse", (4, 4)
    assert [run.id for run in expand(config)] == [run.id for run in runs]


def test_a_sweep_of_too_many_runs_is_refused_before_it_is_expanded():
    config = tiny_config()
    config.sweep = {
        name: {"field": field, "values": range(1, 1001)}
        for name, field in (("a", "seed"), ("b", "train.epochs"), ("c", "data.seed"))
    }
    words = rf"1000 x 1000 x 1000 = 1,000,000,000 runs; {MOST_RUNS:,}"
    with pytest.raises(CaejaxError, match=words):
        expand(config)
    config.sweep = {"a": {"field": "seed", "values": range(10**6)}}
    with pytest.raises(CaejaxError, match="1,000,000 entries"):
        expand(config)


def set_and_check(field, value):
    config = config_lib.default()
    config_lib.override(config, field, value)
    check(config)
    memory.check_memory(config)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("data.image_size", 100_000, "TB of memory"),
        ("data.image_size", (8, 2**31 - 1), "of memory"),
        ("data.channels", 10**6, "of memory"),
        ("data.train_size", 10**9, "TB of memory"),
        ("model.widths", (10**6, 10**6), "TB of memory"),
        ("model.widths", (8,) * 14, "of memory"),
        # Far more than parameters is what evaluation computes with them.
        ("model.widths", (300_000, 4), "GB of memory"),
        ("model.widths", (4, 1_000_000), "GB of memory"),
        ("model.decoder_widths", (4, 4, 300_000), "GB of memory"),
        ("model.decoder_widths", (4_000_000, 4, 4), "GB of memory"),
        ("model.widths", (8,) * 1000, "200 are the most"),
        ("model.latent_channels", 10**9, "TB of memory"),
        ("data.channels", 10**30, "at most 2,147,483,647"),
        ("optimizer.warmup_steps", 2**32, "at most 2,147,483,647"),
        ("train.probe_steps", (1, 10**20), "at most 2,147,483,647"),
        ("train.epochs", True, "of type int"),
        ("optimizer.learning_rate", 10**400, "above 0 and finite"),
        ("code_penalty", 1e308, "float32"),
        ("corruption.level", 1e308, "between 0 and 3.4"),
        ("model.widths", (True,), "whole numbers"),
        ("train.batch_size", None, "of type int"),
    ],
)
def test_too_large_is_one_line_that_names_the_field(field, value, words, monkeypatch):
    monkeypatch.setattr(memory, "host_bytes", lambda: 64e9)
    with pytest.raises(CaejaxError, match=words) as error:
        set_and_check(field, value)
    assert str(error.value).startswith(f"config.{field} ")


@pytest.mark.parametrize(
    ("encoder", "fields", "blamed"),
    [
        ("dense", {"widths": (10**6,) * 2}, "widths"),
        ("tied_dense", {"latent_channels": 10**9}, "latent_channels"),
        (
            "layers",
            {
                "encoder_layers": ("conv999 90000",),
                "decoder_layers": ("conv3 1",),
            },
            "encoder_layers",
        ),
    ],
)
def test_every_kind_of_model_is_measured(encoder, fields, blamed, monkeypatch):
    monkeypatch.setattr(memory, "host_bytes", lambda: 64e9)
    config = config_lib.default(encoder)
    for name, value in fields.items():
        config.model[name] = value
    check(config)
    with pytest.raises(CaejaxError, match=rf"^config\.model\.{blamed} .*of memory"):
        memory.check_memory(config)


@pytest.mark.parametrize(
    ("widths", "fields", "largest"),
    [
        # Of 32 constant codes of 12x12, the map of 48x48 that the last layer sees.
        ((5000, 4), {}, 32 * 48 * 48 * 5000),
        # Of 100 images at a time, which are 28x28.
        ((4, 5000), {}, 100 * 14 * 14 * 5000),
        ((4, 4), {"latent_channels": 5000}, 100 * 7 * 7 * 5000),
        ((4, 300), {"skips": "concat"}, 100 * 14 * 14 * 600),
    ],
)
def test_the_largest_map_of_evaluation_counts(widths, fields, largest):
    config = config_lib.default()
    config.model.widths = widths
    config.model.decoder_widths = widths[::-1]
    for name, value in fields.items():
        config.model[name] = value
    assert memory._need(config, deep=True).step == 4 * largest


def test_a_device_has_its_own_memory(monkeypatch):
    config = config_lib.default()
    config.data.image_size = 1024
    monkeypatch.setattr(memory, "host_bytes", lambda: 1e12)
    memory.check_memory(config)
    monkeypatch.setattr(memory, "device_bytes", lambda: 1e9)
    with pytest.raises(CaejaxError, match=r"image_size is 1024.*the device has 1 GB"):
        memory.check_memory(config)


def test_what_is_here_fits_into_four_gigabytes(monkeypatch):
    monkeypatch.setattr(memory, "host_bytes", lambda: 4e9)
    for path in CONFIGS:
        for run in expand(load_config(path))[:8]:
            memory.check_memory(run.config)


def test_the_state_counts_parameters_gradient_and_moments():
    config = config_lib.default("dense")
    config.model.widths = (300,)
    task = memory.task_from_config(config, total_steps=0)
    parameters = 4 * size.parameter_count(task.model)
    need = memory._need(config, deep=True).state
    assert 4 * parameters <= need < 4 * parameters + 100
    config.train.ema_decay, config.optimizer.name = 0.9, "sgd"
    need = memory._need(config, deep=True).state
    assert 3 * parameters <= need < 3 * parameters + 100


def test_this_machine_has_memory():
    assert 2**27 < runtime_memory.host_bytes() < 2**50
    assert runtime_memory.device_bytes() is None or runtime_memory.device_bytes() > 0


def test_a_lack_of_memory_is_one_line_wherever_it_shows(tmp_path, monkeypatch):
    internal = "INTERNAL: Error dispatching: Out of memory allocating 7 TiB"
    exhausted = (ValueError("RESOURCE_EXHAUSTED: 7 TiB"), RuntimeError(internal))
    for error in (MemoryError("7 TiB"), *exhausted):
        with (
            pytest.raises(
                CaejaxError, match=r"ran out \(.*7 TiB\); config\.\w+\.\w+ is"
            ),
            memory.explained(tiny_config()),
        ):
            raise error
    with pytest.raises(KeyError), memory.explained(tiny_config()):
        raise KeyError

    def lacking(*_, **__):
        raise MemoryError

    monkeypatch.setattr(loop, "create_run", lacking)
    with pytest.raises(CaejaxError, match="memory ran out"):
        loop.train(tiny_config(), tmp_path, verbose=False)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear"])
def test_schedules_may_be_longer_than_steps_can_be_counted(schedule):
    spec = OptimizerSpec("adam", 0.5, schedule, total_steps=10**15)
    np.testing.assert_allclose(create_schedule(spec)(jnp.int32(10)), 0.5, rtol=1e-6)


def test_evaluation_names_images_that_a_model_cannot_take():
    conv, dense = tiny_config(), config_lib.default("dense")
    colour, small = tiny_config(), config_lib.default("dense")
    colour.data.channels, small.data.image_size = 3, 20
    with pytest.raises(CaejaxError, match=r"on images of 16x16x1, and .* of 16x16x3"):
        loop._check_size(conv, colour)
    with pytest.raises(CaejaxError, match=r"on images of 28x28x1, and .* of 20x20x1"):
        loop._check_size(dense, small)
    loop._check_size(conv, config_lib.default())  # any size
    loop._check_size(dense, config_lib.default())
