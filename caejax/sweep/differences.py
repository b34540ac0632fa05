"""In what a sweep differs from the one whose runs a folder holds."""

import json

from ml_collections import ConfigDict

from caejax import config as config_lib
from caejax.config.ids import NOT_OF_A_RUN
from caejax.config.values import shown


def difference(old: ConfigDict, new: ConfigDict) -> str:
    """The first thing of a folder's sweep that another sweep has not, with both values.

    Args:
      old: the config of the folder's sweep.
      new: the config of the other one.

    Returns:
      A clause like "train.epochs is 4 there and 8 here"; "" where runs are others for
      another reason, a config file that has changed for instance.
    """
    old, new = map(config_lib.resolve, (old, new))
    fields = [x for x in config_lib.field_names(new) if _is_of_runs(x)]
    # Names first: where they agree, so do the fields that there are.
    for field in sorted(fields, key=lambda field: field not in config_lib.SWITCHES):
        before, now = config_lib.get(old, field), config_lib.get(new, field)
        if before != now:
            return f"{field} is {shown(before)} there and {shown(now)} here"
    there, here = (json.loads(config_lib.to_json(x))["sweep"] for x in (old, new))
    for name in sorted({*there, *here}):
        if told := _axes_differ(name, there.get(name), here.get(name)):
            return told
    before, now = old.sweep_exclude, new.sweep_exclude
    return f"sweep_exclude is {before!r} there and {now!r} here" * (before != now)


def _is_of_runs(field):
    return field.split(".")[0] not in NOT_OF_A_RUN


def _axes_differ(name, there, here):
    """Of one axis, what runs of the folder have and those of the sweep have not."""
    if there is None or here is None:
        return f"the axis {name!r} is {'here' if there is None else 'there'} alone"
    before, now = (axis.get("field", "config") for axis in (there, here))
    if before != now:
        return f"the axis {name!r} sets {shown(before)} there and {shown(now)} here"
    before, now = (axis.get("values", axis.get("config", ())) for axis in (there, here))
    lost = [shown(value) for value in before if value not in now]
    if not lost:
        return ""
    return f"axes may only grow, and {name!r} is without {', '.join(lost)} here"
