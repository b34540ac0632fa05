"""Extreme values for fields of configs, seeded, alone and in pairs."""

import random
from collections.abc import Iterator

from ml_collections import ConfigDict

from caejax import config as config_lib
from caejax.config import command_line
from caejax.errors import CaejaxError
from caejax.sweep.spec import expand
from caejax.training.memory import check_memory

WORDS = (
    *("0", "-1", "-0.0", "1", "2", "7", "100000", "1000000", "2147483647"),
    *("2147483648", "4294967296", "9223372036854775808", "1" + 30 * "0"),
    *("9" * 400, "9" * 5000, "1e308", "1e-320", "1e400", "nan", "inf", "-inf"),
    *("1j", "None", "True", "false", "", " ", "x", "x" * 20_000, "1_000", "0x10"),
    *("١٢", "½", "()", "(1,)", "(8, 8)", "(0,)", "(-1, 2)", "(1.5, 2)", "(True,)"),
    *("(1000000, 1000000)", "(2147483647, 2147483647)", "(10**9,)", "((1, 2), (3,))"),
    *("[8, 8]", "(8" + ", 8" * 5000 + ")", "(8" + ", 8" * 150 + ")", "{1: 2}"),
    *("('conv3 1',)", "('conv99999 16 relu',)", "('pool',)", "('nearest 9999999',)"),
    *("('conv3 9999999999999',)", "(" * 500, "a\nb", "\x00", "__import__('os')"),
)


def cases(seed: int, count: int) -> Iterator[list[str]]:
    """Command lines that set one field or two to extreme values."""
    rng = random.Random(seed)
    fields = {
        encoder: [
            name
            for name in config_lib.field_names(config_lib.default(encoder))
            if name != "model.encoder"
        ]
        for encoder in ("conv", "layers", "dense", "tied_dense")
    }
    for _ in range(count):
        encoder = rng.choice(["conv", "conv", *fields])
        few = rng.choice([1, 1, 2])
        chosen = {f"--config.model.encoder={encoder}"}
        for name in rng.sample(fields[encoder], few):
            chosen.add(f"--config.{name}={rng.choice(WORDS)}")
        yield sorted(chosen)


def configured(words: list[str], config: ConfigDict) -> str:
    """Does what commands do before they train; returns the error, "" for none.

    The config is changed in place.
    """
    try:
        command_line.apply(config, words, "FILE")
        for run in expand(config):
            check_memory(run.config)
    except CaejaxError as error:
        return str(error)
    return ""
