"""From a config with sweep axes to the runs of the grid."""

import collections
import contextlib
import functools
import gc
import itertools
import math
import pickle
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from caejax import config as config_lib
from caejax.config import SWITCHES
from caejax.config.check import check_resolved
from caejax.config.ids import NOT_OF_A_RUN, run_id
from caejax.config.load import load_config
from caejax.config.values import shown
from caejax.errors import CaejaxError, did_you_mean

MOST_RUNS = 100_000
CONFIG = "config"  # in place of a field: the whole config, by file or name


class SweepRun(NamedTuple):
    """One point of the grid.

    Attributes:
      id: the name of the run's folder, a hash of the resolved config.
      values: the swept fields and what they are set to.
      config: the resolved config, without sweep. Of a run that starts from another
        of the sweep, train.start_from is that one's id; its folder is known when it
        begins.
      after: the id of the run that it starts from; "" for none.
    """

    id: str
    values: dict[str, Any]
    config: ConfigDict
    after: str = ""


class _Axis(NamedTuple):
    """What an axis says.

    Attributes:
      points: the axis's points, each a list of (field, value) pairs.
      after: by a config's name, the name of the config from whose run its runs start.
    """

    points: list[list[tuple[str, Any]]]
    after: dict[str, str]


def expand(config: ConfigDict, within: Path = Path()) -> list[SweepRun]:
    """Expands the axes by product, in the order of their names.

    An axis is {"field": "corruption.level", "values": (0.1, 0.5)}. Where several
    fields change together (a zip), "field" is a tuple of them and every value a
    tuple. Points that agree with a dict of config.sweep_exclude in all its fields,
    {"corruption.level": 0.1, "loss": "bce"}, are left out.

    Whole configs are an axis, too: {"config": ("seeds/f_keras_io", "mine.py")}, files
    or names as `load_config` takes them. A point starts from that config, and other
    axes change it; of the sweep's own config only the executor counts. "config" may
    also be among fields that change together, and in an exclusion. Such an axis may
    hold "after" besides, {later: earlier} or pairs (later, earlier): a run of the
    later config starts from the trained parameters of the earlier one's run that has
    the same values on all other axes.

    Args:
      config: a config with sweep axes.
      within: the folder to which relative paths of config files are; by default the
        working directory.

    Raises:
      CaejaxError: an axis that is incomplete, empty, or names no field; a field of
        two axes; a value of the wrong type; two points with the same config; an
        exclusion that names no field or leaves out no point; no point that is left;
        a config that is not found, or has a sweep; an "after" that names none of the
        axis's configs, or one twice, goes in a circle, or needs a point left out.
    """
    config = config_lib.resolve(config)
    axes = [_axis(name, axis) for name, axis in sorted(config.sweep.items())]
    _check_count([len(axis.points) for axis in axes])
    _check_fields_differ([axis.points for axis in axes])
    after = {later: earlier for axis in axes for later, earlier in axis.after.items()}
    points = list(itertools.product(*(axis.points for axis in axes)))
    with _without_collections():
        runs = _expand(config, points, after, within)
    left = _without(runs, config.sweep_exclude)
    _check_starts(left)
    return left


def _expand(config, points, after, within):
    runs: dict[str, SweepRun] = {}
    ids: dict[int, str] = {}  # by place among the points
    load = functools.cache(functools.partial(_load_config, within))
    copies = _copies(config, load)
    starts = _starts(points, after)
    for place in _starts_first(points, after):
        values = dict(itertools.chain.from_iterable(points[place]))
        start = ids[starts[place]] if place in starts else ""
        run = _create_run(copies, values, start)
        if run.id in runs:
            raise CaejaxError(
                f"config.sweep has two points with the same config: {run.values}; "
                "drop one of the values"
            )
        runs[run.id], ids[place] = run, run.id
    return [runs[ids[place]] for place in range(len(points))]


@contextlib.contextmanager
def _without_collections():
    """Python looks for garbage the more, the more there is, and of configs all stay."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _check_count(lengths):
    count = math.prod(lengths)
    if count > MOST_RUNS:
        raise CaejaxError(
            f"config.sweep makes {' x '.join(map(str, lengths))} = {count:,} runs; "
            f"{MOST_RUNS:,} are the most: drop values or axes"
        )


def _load_config(within, name):
    config = load_config(name, within)
    if config.sweep:
        raise CaejaxError(
            f"config.sweep has the config {name!r}, which has a sweep of its own; "
            "name one without"
        )
    return config


def _starts_first(points, after):
    """Places of the points, those that others start from before these."""

    def depth(place):
        name, count = _config_of(points[place]), 0
        while name := after.get(name):
            count += 1
        return count

    return sorted(range(len(points)), key=depth)


def _config_of(point):
    return dict(itertools.chain.from_iterable(point)).get(CONFIG)


def _starts(points, after):
    """By the place of a point that starts from another, the place of that one."""
    if not after:
        return {}
    places, found = collections.defaultdict(list), {}
    for place, point in enumerate(points):
        places[_config_of(point), repr(_other_axes(point))].append(place)
    for place, point in enumerate(points):
        wanted = after.get(_config_of(point))
        if wanted is None:
            continue
        first, *others = places[wanted, repr(_other_axes(point))]
        if others:
            raise CaejaxError(
                f"config.sweep has {wanted!r} more than once on the axis whose 'after' "
                "names it; give what varies an axis of its own"
            )
        found[place] = first
    return found


def _other_axes(point):
    return [pairs for pairs in point if CONFIG not in dict(pairs)]


def _check_starts(runs):
    ids = {run.id for run in runs}
    for run in runs:
        if run.after and run.after not in ids:
            raise CaejaxError(
                f"config.sweep_exclude leaves out the run that {run.values} starts "
                "from; leave out both or neither"
            )


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
    if not any(_has(run, field) for run in runs):
        config_lib.get(runs[0].config, field)  # says what it may have meant


def _agrees(run, exclusion):
    return all(
        _has(run, field) and _plain(_value(run, field)) == _plain(value)
        for field, value in exclusion.items()
    )


def _has(run, field):
    """Whether a run's config has a field, or the run is of one of several configs."""
    value = run.config
    for part in field.split("."):
        if not isinstance(value, ConfigDict) or part not in value:
            return field in run.values
        value = value[part]
    return not isinstance(value, ConfigDict)


def _value(run, field):
    return run.values[CONFIG] if field == CONFIG else config_lib.get(run.config, field)


def _plain(value):
    return tuple(value) if isinstance(value, list) else value


def _axis(name, axis):
    """An axis in the one form that all of them have."""
    if not isinstance(axis, ConfigDict):
        return _Axis(_points(name, axis), {})
    plain = {key: axis[key] for key in axis if key != "after"}
    if set(plain) == {CONFIG}:
        plain = {"field": CONFIG, "values": plain[CONFIG]}
    points = _points(name, ConfigDict(plain, convert_dict=False))
    after = axis.get("after", {})
    return _Axis(points, _after(name, after, points) if after else {})


def _after(name, after, points):
    """Which config's runs start from which one's."""
    pairs = list(after.items() if isinstance(after, ConfigDict) else after)
    if not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs):
        raise CaejaxError(
            f"config.sweep.{name}.after is {after!r}; it must hold a later config's "
            'name and the earlier one\'s, {"later": "earlier"}'
        )
    known = {dict(point)[CONFIG]: None for point in points if CONFIG in dict(point)}
    for word in itertools.chain.from_iterable(pairs):
        if word not in known:
            raise CaejaxError(
                f"config.sweep.{name}.after names {word!r}, which is none of the "
                f"axis's configs{did_you_mean(word, known)}; add it or correct it"
            )
    found = dict(pairs)
    if len(found) < len(pairs):
        raise CaejaxError(
            f"config.sweep.{name}.after has a config that starts from two; drop one"
        )
    for word in found:
        seen, now = [word], word
        while now := found.get(now):
            if now in seen:
                raise CaejaxError(
                    f"config.sweep.{name}.after goes in a circle: "
                    f"{' after '.join([*seen, now])}; drop one of them"
                )
            seen.append(now)
    return found


def _points(name, axis):
    """An axis as a list of points, each a list of (field, value) pairs."""
    if not isinstance(axis, ConfigDict) or set(axis) != {"field", "values"}:
        raise CaejaxError(
            f"config.sweep.{name} must hold 'field' and 'values', for instance "
            '{"field": "seed", "values": (0, 1)}'
        )
    if not isinstance(axis["values"], tuple | list) or not len(axis["values"]):
        raise CaejaxError(
            f"config.sweep.{name}.values is {shown(axis['values'])}; it must be a "
            "tuple of at least one value"
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
                f"config.sweep.{name}.values has {shown(value)}, which does not set "
                f"the {len(axis.field)} fields {tuple(axis.field)}"
            )
    return [list(zip(axis.field, value, strict=True)) for value in axis["values"]]


def _copies(config, load):
    """What makes copies of the config of runs that have the same names and file.

    All that takes long is done once for each of these: thousands of runs may follow.

    Returns:
      A function of a run's values that gives a config to be changed, with the executor
      to be checked with the rest, and the sections that are no part of a run, blank.
    """
    made = {}

    def copy(values):
        names = {field: values[field] for field in SWITCHES if field in values}
        key = repr((values.get(CONFIG), names))
        if key not in made:
            base = load(values[CONFIG]) if CONFIG in values else config
            run = config_lib.one_run(base)
            config_lib.override_all(run, names)
            run = config_lib.one_run(run)
            blank = {name: run[name] for name in NOT_OF_A_RUN}
            run.executor = config.executor
            made[key] = pickle.dumps((run, blank))
        return pickle.loads(made[key])

    return copy


def _create_run(copies, values, after):
    run, blank = copies(values)
    changed = {f: value for f, value in values.items() if f not in (CONFIG, *SWITCHES)}
    config_lib.override_all(run, changed)
    if after:
        config_lib.override(run, "train.start_from", after)
    plain = run.to_dict()
    check_resolved(plain)
    values = {
        field: value if field == CONFIG else config_lib.get(plain, field)
        for field, value in values.items()
    }
    for name in NOT_OF_A_RUN:
        run[name] = blank[name]
    return SweepRun(run_id(plain), values, run, after)
