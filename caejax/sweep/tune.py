"""What a sweep tunes before it begins: fields by validation loss, on seeds apart.

config.tune is {"optimizer.learning_rate": (3e-4, 1e-3), "by": "decoder", "seeds":
(100, 101)}: for every point of the axis `decoder`, all other axes being as the config
has them, the value with the lowest mean of the runs' best validation losses over these
seeds is that of the sweep's runs. Of several fields all combinations are tried. These
runs are a sweep of their own in the folder tune/, so that the search goes on where it
was stopped, and ends the same; what was tried is in tune.csv.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from caejax import config as config_lib
from caejax.config.values import shown
from caejax.errors import CaejaxError, did_you_mean
from caejax.files.csv_files import write_csv
from caejax.files.locks import FILES_LOCK, holding
from caejax.sweep.attempt import Do
from caejax.sweep.results import Row
from caejax.sweep.run import TUNING, paths_of, run_sweep, train_quietly
from caejax.sweep.spec import expand
from caejax.terminal.lines import tell
from caejax.training.images import load_data
from caejax.training.recorded import by_part

TABLE = "tune.csv"
LOSS = "best_val_loss"  # of a run's summary
_AXIS = "tune"  # of the tuning's own sweep

Point = dict[str, Any]  # fields and what they are set to


class Tune(NamedTuple):
    """What config.tune says.

    Attributes:
      points: all combinations of values that are tried, in their order.
      by: the names of the axes for each of whose points it is tuned apart.
      seeds: the seeds of the runs that are compared.
    """

    points: list[Point]
    by: tuple[str, ...]
    seeds: tuple[int, ...]


def tuned(config: ConfigDict, workdir: Path, do: Do = train_quietly) -> ConfigDict:
    """Does the tuning's runs, or what is left of them, and returns what they chose.

    Args:
      config: a config with a sweep; without a tune it is returned as it is.
      workdir: the sweep's folder.
      do: the function that does one run, as for `run_sweep`.

    Returns:
      The config whose sweep has the values chosen, on the axis that they depend on.

    Raises:
      CaejaxError: a tune that cannot be used, or of whose runs too many failed.
    """
    if not config.tune:
        return config
    within = paths_of(workdir)
    tune = parse(config, within)
    _check_validation(config, within)
    tuning = tuning_config(config, tune)
    tell(f"tuning first, in {workdir / TUNING}")
    rows = run_sweep(tuning, workdir / TUNING, do)
    groups = list(_by_points(config, tune))
    table = [row for group in groups for row in tried(tune, group, rows)]
    with holding(workdir / FILES_LOCK):
        write_csv(workdir / TABLE, table)
    chosen = []
    for group in groups:
        best = choose(tune, group, rows)
        chosen.append(best)
        tell(f"tuned: {_words(group)}{_words(best)}")
    return with_chosen(config, tune, groups, chosen)


def _words(point):
    return "".join(f"{field}={value}  " for field, value in point.items())


def parse(config: ConfigDict, within: Path = Path()) -> Tune:
    """Reads config.tune.

    Args:
      config: a config with a sweep and a tune.
      within: the folder to which relative paths of config files are; by default the
        working directory.

    Raises:
      CaejaxError: it is incomplete, names no field or axis, or has seeds that the
        sweep has, too.
    """
    given = dict(config.tune)
    by, seeds = given.pop("by", ()), given.pop("seeds", ())
    by = (by,) if isinstance(by, str) else tuple(by)
    swept = _swept(config, within)
    for name in by:
        if name not in config.sweep:
            raise CaejaxError(
                f"config.tune.by is {name!r}, which is no axis of config.sweep"
                f"{did_you_mean(name, config.sweep)}"
            )
    if not given:
        raise CaejaxError(
            "config.tune names no field to tune, as in {'optimizer.learning_rate': "
            "(3e-4, 1e-3), 'by': 'decoder', 'seeds': (100, 101)}"
        )
    for field, values in given.items():
        config_lib.get(config, field)
        if field in swept or field == "seed":
            raise CaejaxError(
                f"config.tune has {field!r}, which is swept; drop it here or there"
            )
        if not isinstance(values, tuple) or len(values) < 2:
            raise CaejaxError(
                f"config.tune has {shown(values)} for {field!r}; it must be a tuple of "
                "two or more values"
            )
    whole = isinstance(seeds, tuple) and all(type(seed) is int for seed in seeds)
    if not whole or not seeds:
        raise CaejaxError(
            f"config.tune.seeds is {shown(seeds)}; it must be a tuple of seeds that "
            "the sweep does not have, (100, 101) for instance"
        )
    if both := set(seeds) & set(swept.get("seed", [config.seed])):
        raise CaejaxError(
            f"config.tune.seeds and the sweep both have the seed {min(both)}; tune on "
            "seeds that the sweep does not have"
        )
    points = [
        dict(zip(given, values, strict=True))
        for values in itertools.product(*given.values())
    ]
    return Tune(points, by, seeds)


def _swept(config, within):
    """All values of each field that the sweep sets."""
    found: dict[str, list[Any]] = {}
    for run in expand(config, within):
        for field, value in run.values.items():
            found.setdefault(field, []).append(value)
    return found


def _check_validation(config, within):
    """Where no image is set apart to validate, those of the test would choose."""
    if config.data.val_fraction:
        return
    origins = by_part(load_data(config, within=within).recorded.origins)
    if origins["val"] == origins["test"]:
        raise CaejaxError(
            "config.data.val_fraction is 0, so that the test images validate, and "
            "config.tune must not see them; set some images apart, 0.1 for instance"
        )


def _axis(config, name):
    """An axis's fields, and its values as tuples of as many."""
    axis = config.sweep[name]
    fields = axis.get("field", "config")
    values = axis["values"] if "values" in axis else axis["config"]
    if isinstance(fields, str):
        return (fields,), [(value,) for value in values]
    return tuple(fields), [tuple(value) for value in values]


def _by_points(config: ConfigDict, tune: Tune) -> Iterator[Point]:
    """The points that are tuned apart; one without fields if there are none."""
    axes = [_axis(config, name) for name in tune.by]
    for values in itertools.product(*(values for _, values in axes)):
        point = {}
        for (fields, _), value in zip(axes, values, strict=True):
            point |= dict(zip(fields, value, strict=True))
        yield point


def tuning_config(config: ConfigDict, tune: Tune) -> ConfigDict:
    """The sweep of what is tried: the axes of `by`, the values and the seeds."""
    tuning = config.copy_and_resolve_references()
    axes = {name: config.sweep[name].to_dict() for name in tune.by}
    fields = tuple(tune.points[0])
    axes[_free(_AXIS, axes)] = {
        "field": fields,
        "values": tuple(tuple(point.values()) for point in tune.points),
    }
    axes[_free(f"{_AXIS}_seed", axes)] = {"field": "seed", "values": tune.seeds}
    tuning.sweep, tuning.sweep_exclude, tuning.tune = ConfigDict(axes), (), ()
    return tuning


def _free(name, taken):
    """A name for an axis that no other has."""
    while name in taken:
        name += "_"
    return name


def losses(tune: Tune, group: Point, point: Point, rows: Sequence[Row]) -> list[float]:
    """The validation losses of a point's runs, by seed; infinite where one failed."""
    wanted = group | point
    return [
        row.get(LOSS, math.inf) if row["status"] == "done" else math.inf
        for row in rows
        if row["seed"] in tune.seeds
        and all(_plain(row[field]) == _plain(value) for field, value in wanted.items())
    ]


def _plain(value):
    return tuple(value) if isinstance(value, list) else value


def tried(tune: Tune, group: Point, rows: Sequence[Row]) -> list[Row]:
    """Rows of the table: what was tried for a point of `by`, and what was chosen."""
    best = choose(tune, group, rows)
    return [
        {
            **group,
            **point,
            "seeds": " ".join(map(str, tune.seeds)),
            f"mean_{LOSS}": _mean(losses(tune, group, point, rows)),
            "chosen": int(point == best),
        }
        for point in tune.points
    ]


def choose(tune: Tune, group: Point, rows: Sequence[Row]) -> Point:
    """The point with the lowest mean validation loss; of equal ones the first.

    Raises:
      CaejaxError: all have a run that failed.
    """
    means = [_mean(losses(tune, group, point, rows)) for point in tune.points]
    if math.isinf(min(means)):
        raise CaejaxError(
            f"of every value of config.tune a run failed ({_words(group).strip()}): "
            f"{TUNING}/results.csv says why"
        )
    return tune.points[means.index(min(means))]


def _mean(values):
    return sum(values) / len(values) if values else math.inf


def with_chosen(
    config: ConfigDict,
    tune: Tune,
    groups: Sequence[Point],
    chosen: Sequence[Mapping[str, Any]],
) -> ConfigDict:
    """The config with what was chosen: set, or along with the axes of `by`."""
    config = config.copy_and_resolve_references()
    if not tune.by:
        config_lib.override_all(config, chosen[0])
        return config
    axes = {
        name: axis.to_dict()
        for name, axis in config.sweep.items()
        if name not in tune.by
    }
    joint = axes[_free("_".join(tune.by), axes)] = {
        "field": tuple(groups[0]) + tuple(chosen[0]),
        "values": tuple(
            tuple(group.values()) + tuple(best.values())
            for group, best in zip(groups, chosen, strict=True)
        ),
    }
    for name in tune.by:
        if after := config.sweep[name].get("after"):
            joint["after"] = after
    config.sweep = ConfigDict(axes)
    return config
