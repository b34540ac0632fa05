"""Configs: the fields every experiment has, JSON and run ids; JAX is not imported.

A config file returns `default()` with some values changed. It is locked: an
unknown field or another type of value fails at once. Only the sections whose fields
depend on a name (see `caejax.config.sections`) are open to those of all names, so that
the name and its fields can be set in any order; `resolve`, which every command calls,
refuses what does not belong there. Whether values can be used, `caejax.config.check`
says.
"""

import difflib
import json
import os
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict, FieldReference

from caejax import parameters
from caejax.config import ids, sections, values
from caejax.config.sections import SWITCHES, choice, choose
from caejax.errors import CaejaxError

__all__ = [
    "SWITCHES",
    "Section",
    "UnknownField",
    "WrongType",
    "choice",
    "choose",
    "default",
    "field_names",
    "from_json",
    "get",
    "image_size",
    "one_run",
    "override",
    "override_all",
    "resolve",
    "run_id",
    "to_json",
    "unknown_field",
]


def default(encoder: str = "conv") -> ConfigDict:
    """Returns the config of a small denoiser on `glyphs`, locked.

    Args:
      encoder: the model's kind, whose fields config.model has.

    Raises:
      CaejaxError: there is no such kind.
    """
    config = Section()
    config.seed = 0  # of initialisation, data order and noise
    config.data = _default_data()
    config.corruption = _default_corruption()
    config.model = _Open({"encoder": encoder})
    config.loss = "bce"
    config.loss_params = _Open()  # of the loss alone
    # Times the mean absolute value of the code, added to the loss that is minimised.
    config.code_penalty = 0.0
    config.optimizer = _default_optimizer()
    config.train = _default_train()
    # Named axes, combined by product: sweep.noise = {"field": "corruption.level",
    # "values": (0.1, 0.5)}. Without axes the config is one run.
    config.sweep = Section()
    # Points to be left out: ({"corruption.level": 0.0, "loss": "bce"},).
    config.sweep_exclude = ()
    # Fields that are tuned before a sweep, {"optimizer.learning_rate": (3e-4, 1e-3),
    # "by": "decoder", "seeds": (100, 101)}: see caejax.sweep.tune.
    config.tune = _PairsField(())
    config.executor = Section(
        {
            "name": "serial",
            # Processes, 0 is one a core; runs in a group of one program, 0 is as many
            # as fit in memory; tasks on a cluster, 0 is as many as it has room for.
            "workers": 0,
            # What a task on a cluster takes, parts of one, too; without a GPU it
            # computes on its CPUs.
            "cpus": 1.0,
            "gpus": 0.0,
            "group": False,  # whether its tasks train groups of runs in one program
        }
    )
    # What to compare with, measured once the runs are done: ("median", "pca", "nlm"),
    # as --references of `caejax eval` has them.
    config.references = ()
    for field, name in (("model.encoder", encoder), ("loss", config.loss)):
        choose(config, field, name)
    config.lock()
    for field in SWITCHES:
        sections.section_of(config, field).unlock()
    config.sweep.unlock()  # its fields are the axes that users name
    return config


class UnknownField(CaejaxError, AttributeError):
    """A field is set that the config does not have."""


class WrongType(CaejaxError, TypeError):
    """A field is set to a value of another type."""


class Section(ConfigDict):
    """A config, or a section of it, whose mistakes are one line each.

    Setting a field raises `UnknownField` or `WrongType`, where a `ConfigDict` has lines
    that show how it is made.
    """

    @classmethod
    def _like(cls, values):
        """A section of the same kind that holds these values."""
        return cls(values)

    def __setitem__(self, key, value):
        old = self.get(key) if isinstance(value, dict | ConfigDict) else None
        if isinstance(old, Section) and not isinstance(value, type(old)):
            value = old._like(value)
        try:
            super().__setitem__(key, value)
        except KeyError:
            raise UnknownField(unknown_field(key)) from None
        except TypeError:
            raise WrongType(_wrong_type(_dotted(key), value, self[key])) from None


class _Open(Section):
    """A section whose fields depend on a name: it takes those of any name."""

    @classmethod
    def _like(cls, values):
        """As of other sections; of what it holds then, `resolve` says what is wrong."""
        section = cls()
        for name, value in values.items():
            section[name] = value
        return section

    def __setattr__(self, name, value):
        if name not in self and not _is_of_some_name(name):
            like = default(self.get("encoder", "conv"))
            raise UnknownField(unknown_field(name, like))
        super().__setattr__(name, value)


def _is_of_some_name(key):
    return any(
        key == switch.split(".")[-1] or sections.is_elsewhere(switch, key)
        for switch in SWITCHES
    )


def _dotted(key):
    """The field that a section calls so, where there is one alone of that name."""
    fields = [x for x in field_names(default()) if x.split(".")[-1] == key]
    return fields[0] if len(fields) == 1 else key


def _wrong_type(field, value, old):
    kind = f"of type {type(old).__name__}, like {values.shown(old)}"
    if isinstance(old, ConfigDict):
        kind = "a section of fields"
    return f"config.{field} is {values.shown(value)}; it must be {kind}"


class _PathField(FieldReference):
    """A field that holds text and may be given a `Path`."""

    def set(self, value, type_safe=True):
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        super().set(value, type_safe)


class _PairsField(FieldReference):
    """A field that may be given a dict, whose names may have dots: it holds pairs."""

    def set(self, value, type_safe=True):
        if isinstance(value, Mapping):
            value = tuple(values.plain(value, "tune").items())
        super().set(value, type_safe)


def _default_data() -> ConfigDict:
    return Section(
        {
            "source": "glyphs",
            # Of the data set, for idx (download) and tfds; npz: of the file.
            "name": _PathField(""),
            # Of the data set's files. In all paths, ~ and $VAR may be; a relative one
            # starts in the working directory of the command that begins the run, and
            # is found from there by those that go on with it.
            "dir": _PathField(""),
            # One side, or (height, width).
            "image_size": FieldReference(28, field_type=object),
            "channels": 1,
            "limit": 0,  # use only the first N examples; 0 is all
            # Of train, where the source has no val part; 0: the test part validates.
            "val_fraction": 0.1,
            "seed": 0,  # of synthetic images, patches and the validation split
            "train_size": 5000,  # of synthetic sources
            "test_size": 1000,
            "reduce": 1,  # folder: shrink by this factor, area-averaging
            "patches_per_image": 1,  # folder
            "download": False,  # idx, tfds
            "params": _Open(),  # of the source alone
            "budget_mib": 4096.0,  # of a split on the device; more is streamed
        }
    )


def _default_corruption() -> ConfigDict:
    return Section(
        {
            "name": "gaussian",
            "level": 0.5,
            # (lowest, highest) of the levels that training draws, one an image; (): it
            # trains at level, too.
            "train_range": (),
            "clip": True,  # to [0, 1]
            "params": _Open(),  # of the corruption alone, {"salt": 0.2} for instance
        }
    )


def _default_optimizer() -> ConfigDict:
    return Section(
        {
            "name": "adam",
            "learning_rate": 1e-3,
            "schedule": "constant",
            "warmup_steps": 0,
            "momentum": 0.0,  # sgd
            "weight_decay": 1e-4,  # adamw
            "clip_norm": 0.0,  # the most that a gradient's norm may be; 0: any
        }
    )


def _default_train() -> ConfigDict:
    return Section(
        {
            "batch_size": 128,
            "epochs": 10,
            # Of an epoch; 0: as many as there are whole batches of images. With more,
            # images come again, as often as each other.
            "steps_per_epoch": 0,
            # Side of a square that is cut at random from each image, anew whenever the
            # image comes; 0: all of it.
            "crop_size": 0,
            # Whether training images are flipped and, where they are square, turned by
            # right angles, at random.
            "augment": False,
            # Shares of the squares that come from twice as large ones, and of those
            # whose colours are changed.
            "halved": 0.0,
            "recolored": 0.0,
            # Folder of a run, whose trained parameters are taken; a path as data.dir.
            "start_from": _PathField(""),
            "ema_decay": 0.0,  # 0: no average of the parameters is kept
            "early_stopping": 0,  # epochs without a better val loss; 0: never stop
            "keep_checkpoints": 2,  # the last so many, besides the best
            # Steps at which checkerboards are measured, besides every epoch's end.
            "probe_steps": (10, 30, 100, 300, 1000, 3000),
        }
    )


def image_size(config: ConfigDict) -> tuple[int, int]:
    """(height, width) of the images, from one side or both."""
    size = config.data.image_size
    sides = tuple(size) if isinstance(size, tuple | list) else (size,)
    sides = sides * 2 if len(sides) == 1 else sides
    fine = all(type(side) is int and side > 0 for side in sides)
    if len(sides) != 2 or not fine:
        raise CaejaxError(
            f"config.data.image_size is {values.shown(size)}; give one side, 28, or "
            "height and width, (50, 37)"
        )
    return sides


def get(config: ConfigDict | dict[str, Any], field: str) -> Any:
    """Value of a dotted field, of a config or of what its `to_dict` gives.

    Raises:
      CaejaxError: no such field; names the nearest.
    """
    value = config
    for part in field.split("."):
        if not isinstance(value, ConfigDict | dict) or part not in value:
            raise CaejaxError(unknown_field(field, ConfigDict(config)))
        value = value[part]
    return value


def override(config: ConfigDict, field: str, value: Any) -> None:
    """Sets a dotted field in place; a name makes its section that of the name.

    The value may be of any kind that `caejax.config.values.plain` takes.

    Raises:
      CaejaxError: no such field, a name that is not known, or a value of another type.
    """
    old, value = get(config, field), values.plain(value, field)
    *parents, name = field.split(".")
    holder = get(config, ".".join(parents)) if parents else config
    try:
        value = values.fitting(value, holder.get_type(name))
        if field in SWITCHES:
            choose(config, field, value)
        else:
            holder[name] = value
    except TypeError as error:
        raise CaejaxError(_wrong_type(field, value, old)) from error


def override_all(config: ConfigDict, values: Mapping[str, Any]) -> None:
    """Sets dotted fields in place, names first, whose sections hold the others.

    Raises:
      CaejaxError: as `override`.
    """
    for field in sorted(values, key=lambda field: field not in SWITCHES):
        override(config, field, values[field])


def unknown_field(field: str, config: ConfigDict | None = None) -> str:
    """The line that says a field does not exist, naming the nearest that does.

    Args:
      field: the dotted field, or its last part.
      config: the config that does not have it; None for the default.
    """
    config = config or default()
    for switch, (section, _) in SWITCHES.items():
        prefix, key = f"{section}.", field.removeprefix(f"{section}.")
        if field.startswith(prefix) and sections.is_elsewhere(switch, key):
            return str(sections.lacks(switch, get(config, switch), key))
    fields = field_names(config)
    last = field.split(".")[-1]
    # The right field, perhaps, in the wrong section.
    same = [name for name in fields if name.split(".")[-1] == last][:3]
    by_last_part = {name.split(".")[-1]: name for name in fields}
    near = [by_last_part[x] for x in difflib.get_close_matches(last, by_last_part, 1)]
    near = difflib.get_close_matches(field, fields, n=1, cutoff=0.8) or same or near
    hint = f" (did you mean {' or '.join(map(repr, near))}?)" if near else ""
    return (
        f"config has no field {field!r}{hint}; `caejax show --config=NAME --all` lists "
        "all fields"
    )


def field_names(config: ConfigDict, prefix: str = "") -> list[str]:
    """All dotted fields, sections left out."""
    names = []
    for name, value in config.items():
        if isinstance(value, ConfigDict):
            names += field_names(value, f"{prefix}{name}.")
        else:
            names.append(prefix + name)
    return names


def resolve(config: ConfigDict) -> ConfigDict:
    """A copy in which every section has exactly the fields of the name it depends on.

    Fields that are missing come with their defaults. Those that do not apply are left
    out where they are empty or at their defaults.

    Raises:
      CaejaxError: a name that is not known, or a field that does not apply.
    """
    return _from_values(config.to_dict(), lenient=False)


def to_json(config: ConfigDict) -> str:
    """Returns the resolved config as indented JSON, keys sorted, tuples as lists."""
    return json.dumps(resolve(config).to_dict(), indent=2, sort_keys=True)


def from_json(text: str) -> ConfigDict:
    """Reads what `to_json` wrote, or an earlier version of it.

    Fields that are new since then have their defaults; those that do not apply to the
    kind of the model are left out.
    """
    return _from_values(json.loads(text), lenient=True)


def _from_values(given, lenient):
    config = default()
    given = dict(given)
    axes = given.pop("sweep", {})
    config.sweep = {name: _axis(name, axis) for name, axis in axes.items()}
    flat = dict(_flat(given))
    for field in SWITCHES:
        if field in flat:
            override(config, field, flat.pop(field))
    for field, value in flat.items():
        if not _is_stale(config, field, value, lenient):
            override(config, field, value)
    return config


def _flat(given, prefix=""):
    for name, value in given.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _is_stale(config, field, value, lenient):
    """Whether a field belongs to a name that is not the chosen one."""
    for switch, (section, _) in SWITCHES.items():
        key = field.removeprefix(f"{section}.")
        if key == field or "." in key or key in sections.section_of(config, switch):
            continue
        if not sections.is_elsewhere(switch, key):
            whose = f"{switch} {get(config, switch)!r}"
            known = sections.section_of(config, switch)
            raise parameters.unknown(key, known, whose, section)
        if lenient or sections.says_nothing(switch, key, value):
            return True
        raise sections.lacks(switch, get(config, switch), key, value)
    return False


def _axis(name, axis):
    if not isinstance(axis, Mapping):
        return axis  # which the sweep will refuse
    return {k: values.plain(x, f"sweep.{name}.{k}") for k, x in axis.items()}


def one_run(config: ConfigDict) -> ConfigDict:
    """A copy of a config without its sweep, and of how runs are executed."""
    run, blank = resolve(config), default()
    for name in ids.NOT_OF_A_RUN:
        run[name] = blank[name]
    return run


def run_id(config: ConfigDict) -> str:
    """Names a run, see `caejax.config.ids`."""
    return ids.run_id(resolve(config).to_dict())
