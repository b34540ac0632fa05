"""The systems, what their sources report, and in which units."""

import functools
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict
from numpy import median

from caejax.config.load import load_config
from caejax.files.csv_files import read_csv
from caejax.terminal.numbers import counted
from experiments.seeds import vincent
from experiments.shared.rows import select

HERE = Path(__file__).parent


class Unit(NamedTuple):
    """How a source measures: a loss of the last epoch, times a factor.

    Attributes:
      text: the unit's name, for people.
      split: the split whose loss is taken; "val" is the test set here.
      factor: the factor on the mean loss an image.
    """

    text: str
    split: str
    factor: float = 1.0


TRAIN_BCE = Unit("training cross-entropy", "train")
TEST_BCE = Unit("test cross-entropy", "val")
TRAIN_MSE_20 = Unit("training MSE x 20", "train", 20)
TEST_SSE = Unit("summed squared test error", "val", 10_000)


class Source(NamedTuple):
    """A value that caejax is held against.

    Attributes:
      who: who reports the value.
      figure: the reported value, in the system's unit.
      rule: the rule to judge by, a key of `tables.RULES`.
    """

    who: str
    figure: float
    rule: str = "as good"


class System(NamedTuple):
    """A published system.

    Attributes:
      name: the name of its config in configs/seeds.
      unit: the unit of its values.
      seeds: the number of seeds to run.
      sources: the values reported of its end.
      band: the range over batches at the end, where that is reported.
      points: the reported points, (epoch, value).
      after: the system from whose run of the same seed it goes on.
    """

    name: str
    unit: Unit
    seeds: int
    sources: tuple[Source, ...] = ()
    band: tuple[float, ...] = ()
    points: tuple[tuple[int, float], ...] = ()
    after: str = ""


# The cheapest first.
SYSTEMS = (
    System("b_basic", TRAIN_BCE, 5, (Source("source", 0.095),), band=(0.090, 0.101)),
    System(
        "b_dense_denoiser",
        TRAIN_BCE,
        5,
        (Source("source", 0.128),),
        band=(0.123, 0.135),
    ),
    System(
        "e_linear",
        TRAIN_MSE_20,
        20,
        (Source("source", 0.235611),),
        points=((20, 0.235611),),
    ),
    System("d_tied_masking", TEST_SSE, 5),
    System(
        "e_transposed",
        TRAIN_MSE_20,
        10,
        (Source("source", 0.213977), Source("the course's run", 0.165248)),
        points=((1, 0.536067), (30, 0.213977), (30, 0.165248)),
    ),
    System(
        "e_upsampling",
        TRAIN_MSE_20,
        5,
        (Source("source", 0.104016),),
        points=((1, 0.323222), (30, 0.104016)),
    ),
    System(
        "c_keras_conv", TRAIN_BCE, 5, (Source("source", 0.094),), points=((50, 0.094),)
    ),
    System(
        "b_conv_denoiser",
        TRAIN_BCE,
        3,
        (Source("source", 0.099),),
        band=(0.096, 0.103),
    ),
    System(
        "e_denoiser",
        TRAIN_MSE_20,
        5,
        (Source("source", 0.522199),),
        points=((20, 0.522199),),
    ),
    System(
        "f_keras_io",
        TEST_BCE,
        3,
        (Source("source", 0.0622, "at or below"),),
        points=((50, 0.0622),),
    ),
    System(
        "f_keras_io_noisy",
        TEST_BCE,
        3,
        (Source("source", 0.0839, "at or below"),),
        points=((100, 0.0839),),
        after="f_keras_io",
    ),
    System("a_conv_denoiser", TRAIN_BCE, 3),
    System("a_inpaint_cross", TRAIN_BCE, 3),
)


def with_references(system: System, folder: Path = HERE) -> System:
    """The system with what vincent.py and pytorch.py found of it, if they have."""
    system = _with_vincent(system, vincent.read_curves(folder / "vincent.csv"))
    ends = select(pytorch_ends(folder), system=system.name)
    if not ends:
        return system
    figure = float(median([row["figure"] for row in ends]))
    source = Source(_by("pytorch.py", len(ends)), figure, "agrees")
    return system._replace(sources=(*system.sources, source))


def pytorch_ends(folder: Path = HERE) -> list[dict[str, Any]]:
    """The last row of each system and seed in pytorch.csv."""
    rows = read_csv(folder / "pytorch.csv")
    return list({(row["system"], row["seed"]): row for row in rows}.values())


def _by(script, seeds):
    return f"{script}, {counted(seeds, 'seed')}"


def _with_vincent(system, curves):
    whole = [curve for curve in curves.values() if len(curve) == vincent.EPOCHS]
    if system.name != "d_tied_masking" or not whole:
        return system
    points = tuple(enumerate((median(x) for x in zip(*whole, strict=True)), start=1))
    source = Source(_by("vincent.py", len(whole)), points[-1][1], "agrees")
    return system._replace(sources=(source,), points=points)


def config_name(system: str) -> str:
    """Name of the config of a system."""
    return f"seeds/{system}"


def config_of(system: System) -> ConfigDict:
    """The system's config, to be changed at will."""
    return load_config(config_name(system.name))


@functools.cache
def planned_epochs(system: System) -> int:
    """The source's schedule."""
    return config_of(system).train.epochs
