"""Numbers on command lines are those that people write, not all that Python reads."""

import math

import pytest
from helpers.tiny import tiny_config

from caejax.apply import parse
from caejax.commands.options import WholeNumber
from caejax.config import command_line
from caejax.diagnose import __main__ as diagnose
from caejax.errors import CaejaxError
from caejax.evaluation.levels import parse_levels
from caejax.terminal.numbers import counted, number, whole

SLIPS = ["1_0", "1_000", "0x10", "0b1", "1j", "１", "٣", "1,5", "1e", "--1", "", "1 0"]


def test_one_is_told_as_one():
    said = [counted(n, "epoch") for n in (0, 1, 1200)]
    assert said == ["0 epochs", "1 epoch", "1,200 epochs"]


def test_numbers_are_read():
    assert [whole(x) for x in ("12", "-3", "+0", "007", " 5 ")] == [12, -3, 0, 7, 5]
    words = ("12", "-3", ".5", "1.", "1e-3", "1E+2", " 2.5 ")
    assert [number(x) for x in words] == [12, -3, 0.5, 1, 1e-3, 100, 2.5]
    assert number("-Inf") == number("-infinity") == -math.inf
    assert math.isnan(number("nan"))


@pytest.mark.parametrize("text", SLIPS)
def test_slips_are_not(text):
    for read in (whole, number, WholeNumber().parse):
        with pytest.raises(ValueError, match="number"):
            read(text)


@pytest.mark.parametrize("text", ["1.5", "1e3", "inf", "nan", "9" * 4001])
def test_other_numbers_are_not_whole(text):
    with pytest.raises(ValueError, match="is not a whole number"):
        whole(text)


@pytest.mark.parametrize("text", [x for x in SLIPS if x != "1 0"] + ["nan", "-inf"])
def test_no_flag_takes_slips(text, capsys):
    with pytest.raises(CaejaxError, match="--levels has"):
        parse_levels([text])
    apply = ["--run=r", "--split=test"]
    for argv in (
        ["denoise", f"--level={text}", *apply],
        ["sample", f"--count={text}", *apply],
        ["sample", f"--seed={text}", *apply],
    ):
        with pytest.raises(SystemExit):
            parse(argv, "apply")
    if text != "-inf":
        with pytest.raises(SystemExit):
            diagnose.parse(["model.onnx", f"--threshold={text}"], "diagnose")
    assert "number" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", "1_0"),
        ("train.epochs", "0x10"),
        ("train.epochs", "１"),
        ("optimizer.learning_rate", "1_0.5"),
        ("corruption.level", "0.1_5"),
        ("model.widths", "(1_6, 8)"),
        ("model.widths", "(0x10, 8)"),
    ],
)
def test_fields_take_none_either(field, value):
    with pytest.raises(CaejaxError, match=f"^config.{field} is "):
        command_line.apply(tiny_config(), [f"--config.{field}={value}"], "c.py")


def test_of_none_it_is_said_what_the_field_takes():
    line = "config.model.upsampling is 'None'; it must be a str, like 'nearest_k3'"
    with pytest.raises(CaejaxError, match=f"^{line}$"):
        command_line.apply(tiny_config(), ["--config.model.upsampling=None"], "c.py")


def test_fields_take_numbers_and_texts_with_underscores():
    config = tiny_config()
    words = ["data.dir=/a/1_0", "optimizer.learning_rate=1e-2", "model.widths=(16, 8)"]
    command_line.apply(config, [f"--config.{word}" for word in words], "c.py")
    assert config.data.dir == "/a/1_0"
    assert config.optimizer.learning_rate == 0.01
    assert config.model.widths == (16, 8)
