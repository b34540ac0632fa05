"""From a config with sweep axes to the runs of the grid."""

import collections
import itertools
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from caejax import config as config_lib
from caejax.config.check import check
from caejax.errors import CaejaxError


class SweepRun(NamedTuple):
    """One point of the grid.

    Attributes:
      id: names its folder; a hash of the resolved config.
      values: swept fields and what they are set to.
      config: resolved, without sweep.
    """

    id: str
    values: dict[str, Any]
    config: ConfigDict


def expand(config: ConfigDict) -> list[SweepRun]:
    """Expands the axes by product, in the order of their names.

    An axis is {"field": "corruption.level", "values": (0.1, 0.5)}. Where several
    fields change together (a zip), "field" is a tuple of them and every value a
    tuple. Points that agree with a dict of config.sweep_exclude in all its fields,
    {"corruption.level": 0.1, "loss": "bce"}, are left out.

    Raises:
      CaejaxError: an axis that is incomplete, empty, or names no field; a field of
        two axes; a value of the wrong type; two points with the same config; an
        exclusion that names no field or leaves out no point; no point that is left.
    """
    axes = [_points(name, axis) for name, axis in sorted(config.sweep.items())]
    _check_fields_differ(axes)
    runs: dict[str, SweepRun] = {}
    for points in itertools.product(*axes):
        run = _create_run(config, dict(itertools.chain.from_iterable(points)))
        if run.id in runs:
            raise CaejaxError(
                f"config.sweep has two points with the same config: {run.values}; "
                "drop one of the values"
            )
        runs[run.id] = run
    return _without(list(runs.values()), config.sweep_exclude)


def _check_fields_differ(axes):
    counts = collections.Counter(field for axis in axes for field, _ in axis[0])
    if twice := [field for field, count in counts.items() if count > 1]:
        raise CaejaxError(
            f"config.sweep sets {', '.join(map(repr, twice))} more than once; "
            "drop one of the axes"
        )


def _without(runs, exclusions):
    """Those runs that agree with no exclusion."""
    for exclusion in exclusions:
        if not isinstance(exclusion, dict) or not exclusion:
            raise CaejaxError(
                f"config.sweep_exclude has {exclusion!r}; it must hold dicts of "
                'fields and values, {"corruption.level": 0.0, "seed": 1} for instance'
            )
        for field in exclusion:
            _check_is_known(field, runs)
        if not any(_agrees(run, exclusion) for run in runs):
            raise CaejaxError(
                f"config.sweep_exclude has {exclusion}, which leaves out no point of "
                "the sweep; drop it or correct its values"
            )
    left = [run for run in runs if not any(_agrees(run, e) for e in exclusions)]
    if not left:
        raise CaejaxError(
            "config.sweep_exclude leaves out every point of the sweep; drop some of it"
        )
    return left


def _check_is_known(field, runs):
    if not any(field in config_lib.field_names(run.config) for run in runs):
        config_lib.get(runs[0].config, field)  # says what it may have meant


def _agrees(run, exclusion):
    fields = config_lib.field_names(run.config)
    return all(
        field in fields and _plain(config_lib.get(run.config, field)) == _plain(value)
        for field, value in exclusion.items()
    )


def _plain(value):
    return tuple(value) if isinstance(value, list) else value


def _points(name, axis):
    """An axis as a list of points, each a list of (field, value) pairs."""
    if not isinstance(axis, ConfigDict) or set(axis) != {"field", "values"}:
        raise CaejaxError(
            f"config.sweep.{name} must hold 'field' and 'values', for instance "
            '{"field": "seed", "values": (0, 1)}'
        )
    if not isinstance(axis["values"], tuple | list) or not len(axis["values"]):
        raise CaejaxError(
            f"config.sweep.{name}.values is {axis['values']!r}; it must be a tuple "
            "of at least one value"
        )
    if isinstance(axis.field, str):
        return [[(axis.field, value)] for value in axis["values"]]
    if not isinstance(axis.field, tuple | list):
        raise CaejaxError(
            f"config.sweep.{name}.field is {axis.field!r}; it must be the name of a "
            "field or a tuple of names"
        )
    for value in axis["values"]:
        if not isinstance(value, tuple | list) or len(value) != len(axis.field):
            raise CaejaxError(
                f"config.sweep.{name}.values has {value!r}, which does not set the "
                f"{len(axis.field)} fields {tuple(axis.field)}"
            )
    return [list(zip(axis.field, value, strict=True)) for value in axis["values"]]


def _create_run(config, values):
    run = config_lib.one_run(config)
    run.executor = config.executor  # to be checked with the rest
    config_lib.override_all(run, values)
    check(run)
    values = {field: config_lib.get(run, field) for field in values}
    return SweepRun(config_lib.run_id(run), values, config_lib.one_run(run))
