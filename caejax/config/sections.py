"""Sections whose fields depend on a name: which have which, and how to switch.

`config.model` has the fields of the kind that `model.encoder` names, and a corruption,
a loss and a source of data have the parameters that their tables say.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from ml_collections import ConfigDict, FieldReference

from caejax import parameters
from caejax.corruptions import CORRUPTIONS
from caejax.data import SOURCES
from caejax.errors import CaejaxError, lookup
from caejax.losses import LOSSES
from caejax.parameters import Choice

_FINISH = {
    "output_activation": "sigmoid",
    "initializer": "he_normal",
    "dtype": "float32",  # of the computation
}
_PATH = {"path": "auto"}  # of caejax.ops.paths: how layers are computed
_WIDTHS = {"widths": (16, 32, 32)}
_CODE = {"latent_channels": 8, "code_activation": "linear"}  # of the bottleneck
MODELS: dict[str, Mapping[str, Any]] = {
    "conv": {
        **_WIDTHS,
        # As many, from the code outwards; (): those of the encoder.
        "decoder_widths": (),
        **_CODE,
        "bottleneck": "projection",
        "downsampling": "max_pool",
        "upsampling": "nearest_k3",  # or one a stage, from the code outwards
        # Further 3 x 3 convolutions after each upsampling, and in each stage of the
        # encoder: one number, or one a stage.
        "refine": 0,
        "encoder_refine": 0,
        "skips": "none",
        "residual": False,  # whether what is decoded is the noise
        "noise_map": False,  # whether the level is put in besides the image
        **_FINISH,
        **_PATH,
    },
    # Layers are words, as caejax.models.stack says.
    "layers": {"encoder_layers": (), "decoder_layers": (), **_FINISH, **_PATH},
    "dense": {**_WIDTHS, **_CODE, **_FINISH},
    "tied_dense": {**_CODE, **_FINISH},
}
"""The fields of `config.model` besides encoder, and their defaults, by encoder."""

# Fields that hold one value or a tuple of one a stage.
_ONE_OR_EACH = ("upsampling", "refine", "encoder_refine")


class _Switch(NamedTuple):
    section: str  # dotted, which holds the fields that depend on the name
    table: Mapping[str, Any]  # by name, mostly of `caejax.parameters.Entry`

    def fields(self, name, field):
        """Defaults of the fields that a name has."""
        entry = lookup(self.table, name, field)
        if isinstance(entry, Mapping):
            return dict(entry)
        return {key: parameter.default for key, parameter in entry.params.items()}


# By the field that holds the name.
SWITCHES: Mapping[str, _Switch] = MappingProxyType(
    {
        "corruption.name": _Switch("corruption.params", CORRUPTIONS),
        "data.source": _Switch("data.params", SOURCES),
        "loss": _Switch("loss_params", LOSSES),
        "model.encoder": _Switch("model", MODELS),
    }
)


def choose(config: ConfigDict, field: str, name: str) -> None:
    """Sets a field of `SWITCHES` and makes its section that of the name, in place.

    Fields that both names have keep their values, but for a default of the former name
    that is another's of the new one; others come and go.

    Raises:
      CaejaxError: the name is not known.
    """
    fields = SWITCHES[field].fields(name, field)
    *parents, last = field.split(".")
    holder, section = _find(config, parents), section_of(config, field)
    known = holder[last] in names(field)
    before = SWITCHES[field].fields(holder[last], field) if known else {}
    others = {x for x in fields if x in before and before[x] != fields[x]}
    if section is holder:  # the name stands among its fields
        fields = {last: name, **fields}
    with section.unlocked():
        unset = {x for x in others & set(section) if _plain(section[x]) == before[x]}
        for stale in (set(section) - set(fields)) | unset:
            del section[stale]
        for new in [key for key in fields if key not in section]:
            value = fields[new]
            if section is holder and new in _ONE_OR_EACH:
                value = FieldReference(value, field_type=object)
            section[new] = value
    holder[last] = name


def section_of(config: ConfigDict, field: str) -> ConfigDict:
    """The section whose fields depend on a field of `SWITCHES`."""
    return _find(config, SWITCHES[field].section.split("."))


def _find(config, parts):
    for part in parts:
        config = config[part]
    return config


def choice(config: ConfigDict, field: str) -> Choice:
    """What a field of `SWITCHES` names in a table of functions, with its parameters.

    Args:
      config: the config; parameters that it does not hold have their defaults.
      field: the field: "corruption.name", "data.source" or "loss".

    Raises:
      CaejaxError: an unknown name or parameter, or a value out of range.
    """
    section, table = SWITCHES[field]
    name = _find(config, field.split("."))
    given = dict(section_of(config, field))
    return parameters.choose(table, name, given, (field, section))


def lacks(field: str, name: str, key: str, value: Any = None) -> CaejaxError:
    """The error that a section has a field which its name does not have.

    Args:
      field: a field of `SWITCHES`.
      name: the name that the field holds.
      key: the section's field that does not belong there.
      value: the key's value, where there is one.
    """
    section = SWITCHES[field].section
    given = f"is {value!r}, but" if value is not None else "does not apply:"
    what = field.removesuffix(".name").split(".")[-1]
    return CaejaxError(
        f"config.{section}.{key} {given} the {what} is {name!r}, which has no such "
        "field; leave it out"
    )


def has(field: str, name: str, key: str) -> bool:
    """Whether the section of a field of `SWITCHES` has a key under a name."""
    return key in SWITCHES[field].fields(name, field)


def is_elsewhere(field: str, key: str) -> bool:
    """Whether the section of a field of `SWITCHES` has a key under any name."""
    return any(has(field, name, key) for name in names(field))


def says_nothing(field: str, key: str, value: Any) -> bool:
    """Whether a value that does not apply is empty or its default under any name."""
    found = [SWITCHES[field].fields(name, field).get(key) for name in names(field)]
    return value in ((), [], "") or any(_plain(value) == default for default in found)


def names(field: str) -> list[str]:
    """What a field of `SWITCHES` can hold."""
    return list(SWITCHES[field].table)


def _plain(value):
    return tuple(value) if isinstance(value, list) else value
