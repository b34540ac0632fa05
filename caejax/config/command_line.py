"""Fields of a config on the command line: --config.section.field=value."""

import contextlib
import difflib
import io
import re
import token
import tokenize
from collections.abc import Sequence
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from caejax.config import default, get, one_run, override
from caejax.config.fields import described
from caejax.config.ids import NOT_OF_A_RUN
from caejax.config.sections import SWITCHES, has
from caejax.config.values import shown
from caejax.errors import CaejaxError
from caejax.terminal.numbers import number

_OVERRIDE = re.compile(r"--?(no)?config\.([\w.]+)(=.*)?", re.DOTALL)
_SIZE = "data.image_size"  # a number or two
_KINDS = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    tuple: "a tuple in quotes",
}


def split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Splits a command line in what sets fields of the config and the rest.

    Returns:
      The rest, the program's name first, and the words that set fields.
    """
    words, rest, overrides = list(argv), [], []
    while words:
        word = words.pop(0)
        if word == "--":
            return [*rest, word, *words], overrides
        if not (match := _OVERRIDE.fullmatch(word)):
            rest.append(word)
            continue
        # The value may be a word of its own; a flag without one is True.
        alone = not match[1] and match[3] is None
        if alone and words and not re.match(r"--?[A-Za-z]", words[0]):
            word = f"{word}={words.pop(0)}"
        overrides.append(word)
    return rest, overrides


def apply(config: ConfigDict, overrides: Sequence[str], file: str) -> None:
    """Sets the fields that the command line names, in place and in any order.

    Args:
      config: the resolved config, changed in place.
      overrides: the words that set fields, as `split` returns them.
      file: the config file's path, for error messages.

    Raises:
      CaejaxError: no such field, or a value of another type.
    """
    parsed = [_OVERRIDE.fullmatch(word) for word in overrides]
    for match in parsed:  # names first, whose sections hold other fields
        if match[2] in SWITCHES and match[3]:
            override(config, match[2], match[3][1:])
    for match in parsed:
        _check_is_there(config, match[2], file)
        _check_numbers(config, match)
    argv, values = ["caejax", *overrides], flags.FlagValues()
    try:
        # It reads the fields to set from sys_argv and their values from the call.
        config_flags.DEFINE_config_dict(
            "config", config, flag_values=values, sys_argv=argv, lock_config=False
        )
        values(argv)
    except Exception as error:  # also of ast, which reads tuples: SyntaxError, …
        raise CaejaxError(_explain(str(error) or type(error).__name__)) from error
    for match in parsed:  # of those types that it lets pass: True as a number, None
        if (value := get(config, match[2])) is None:
            raise CaejaxError(_bad_value(match[2], match[3][1:]))
        override(config, match[2], value)


def check_mode(overrides: Sequence[str], mode: str) -> None:
    """Refuses to set a field that a mode does not look at.

    Args:
      overrides: the words that set fields, as `split` returns them.
      mode: what the config is for, a mode of `caejax.main`.

    Raises:
      CaejaxError: there is such a field.
    """
    for field in _fields(overrides):
        if mode == "report":
            raise CaejaxError(
                f"config.{field} is set, but a report is of what runs have written; "
                "leave it out"
            )
        if not looks_at(mode, field):
            raise CaejaxError(
                f"config.{field} is set, but `caejax eval` takes data and corruption "
                "alone from a config, the rest from the run; leave it out"
            )


def looks_at(mode: str, field: str) -> bool:
    """Whether a mode of `caejax.main` looks at a field of the config."""
    if mode == "eval":
        return field.split(".")[0] in ("data", "corruption")
    return mode != "report"


def check_counts(config: ConfigDict, overrides: Sequence[str], mode: str) -> None:
    """Refuses to set a field from which nothing would change.

    Args:
      config: the config with the fields set.
      overrides: the words that set fields, as `split` returns them.
      mode: what the config is for, a mode of `caejax.main`.

    Raises:
      CaejaxError: a field that an axis of the sweep or its tuning sets in every run,
        or that the mode does not look at.
    """
    check_mode(overrides, mode)
    for field in _fields(overrides):
        if mode != "eval" and field.split(".")[0] not in NOT_OF_A_RUN:
            _check_not_swept(config, field)
            _check_not_tuned(config, field)


def _fields(overrides):
    return [_OVERRIDE.fullmatch(word)[2] for word in overrides]


def fields_like(name: str) -> dict[str, Any]:
    """Fields that a name without its section, or with another one, may stand for.

    Args:
      name: as "epochs", "train.epochs", "model.epochs", "data-dir" or "config.seed".

    Returns:
      Their defaults.
    """
    key, fields = _as_field(name), _all_fields()
    last = key.split(".")[-1]
    for same in (
        lambda field: key in (field, field.replace(".", "_")),
        lambda field: field.split(".")[-1] == last,
        lambda field: field.split(".")[-1] == last.removesuffix("s"),
    ):
        if found := {field: x for field, x in fields.items() if same(field)}:
            return found
    return {}


def near_fields(name: str) -> dict[str, Any]:
    """The field that is spelled most like a name, as `fields_like`; or none."""
    key, fields = _as_field(name), _all_fields()
    near = difflib.get_close_matches(key, fields, n=1, cutoff=0.8)
    if not near:
        last = {field.split(".")[-1]: field for field in reversed(fields)}
        close = difflib.get_close_matches(key.split(".")[-1], last, n=1, cutoff=0.75)
        near = [last[x] for x in close]
    return {field: fields[field] for field in near}


def _as_field(name):
    return name.lower().replace("-", "_").removeprefix("config.")


def _all_fields():
    """The defaults of all fields, of all kinds of sections."""
    return {field: default for field, default, *_ in described()}


def _check_not_swept(config, field):
    for name, axis in config.sweep.items():
        swept, values = _plain_axis(axis)
        if "config" in swept:
            raise CaejaxError(
                f"config.{field} is set, but the axis {name!r} of config.sweep takes "
                "whole configs; what all are to have is an axis of one value, "
                f'{{"field": "{field}", "values": ({get(config, field)!r},)}}'
            )
        if field in swept:
            _check_value(config, field)
            raise CaejaxError(
                f"config.{field} is set, but the axis {name!r} of config.sweep sets it "
                f"in every run; to narrow the axis, {_narrowed(config, field, name)}"
            )
        for switch in set(swept) & set(SWITCHES):
            section = f"{SWITCHES[switch].section}."
            key, chosen = field.removeprefix(section), swept.index(switch)
            if key != field and not any(has(switch, x[chosen], key) for x in values):
                raise CaejaxError(
                    f"config.{field} is set, but of the axis {name!r} of config.sweep "
                    f"no {switch} has such a field; leave it out"
                )


def _check_not_tuned(config, field):
    if field in dict(config.tune):
        raise CaejaxError(
            f"config.{field} is set, but config.tune tries values of its own and sets "
            'the best in every run; leave it out, or tune nothing, --config.tune="()"'
        )


def _check_value(config, field):
    """Refuses a value that no run can have, before it is advised as one of an axis."""
    from caejax.config.check import check  # imports JAX, for which help does not wait

    try:
        check(one_run(config))
    except CaejaxError as error:
        if f"config.{field} " in str(error):
            raise


def _plain_axis(axis):
    """An axis's fields, and a value for each in every point; ([], []) if it is none.

    That, the sweep will refuse.
    """
    try:
        short = (
            {"field": "config", "values": axis["config"]} if "config" in axis else {}
        )
        field, values = (short or axis)["field"], (short or axis)["values"]
        if isinstance(field, str):
            return [field], [[value] for value in values]
        swept, values = list(field), [list(value) for value in values]
    except (KeyError, TypeError):
        return [], []
    fine = all(len(value) == len(swept) for value in values)
    return (swept, values) if fine else ([], [])


def _narrowed(config, field, axis):
    """The flag that leaves an axis the value that its field has been given."""
    flag = f"--config.sweep.{axis}.values="
    if not isinstance(config.sweep[axis].field, str):
        return f"give those of its points that are to be left, {flag}..."
    return f'write {flag}"{(get(config, field),)!r}"'


def _check_is_there(config, field, file):
    if field.startswith("sweep."):
        try:
            get(config, field)
        except CaejaxError:
            raise CaejaxError(
                f"{file} has no axis for {field}; `caejax show --config={file}` lists "
                "its axes"
            ) from None
    if isinstance(get(config, field), ConfigDict):
        raise CaejaxError(f"config.{field} is a section; set its fields one by one")


def _check_numbers(config, match):
    """Refuses what Python alone takes for a number, as 1_0 and 0x10."""
    field, value = match[2], (match[3] or "=")[1:]
    now = get(config, field)
    if isinstance(now, bool | str) or not value:
        return
    # Where a number stands, there may be a tuple: (28, 40) for an image's size.
    alone = isinstance(now, int | float) and not value.startswith("(")
    words = [value] if alone else _numbers_in(value)
    for word in words:
        try:
            number(word)
        except ValueError:
            raise CaejaxError(_bad_value(field, value)) from None


def _numbers_in(value):
    """The words of a tuple that Python reads as numbers."""
    words = tokenize.generate_tokens(io.StringIO(value).readline)
    with contextlib.suppress(tokenize.TokenError, SyntaxError):  # said by who reads it
        for word in words:
            if word.type == token.NUMBER:
                yield word.string


def _explain(message):
    if bare := re.match(r"Missing value for flag --config\.([\w.]+)", message):
        return f"config.{bare[1]} has no value; give --config.{bare[1]}=VALUE"
    if bad := re.match(r"flag --config\.([\w.]+)=(.*?): ", message, re.DOTALL):
        return _bad_value(*bad.groups())
    return message.strip().splitlines()[0][:300]


def _bad_value(field, value):
    try:
        example = get(default(), field)
    except CaejaxError:
        return f"config.{field} is {shown(value)}, which cannot be read; quote tuples"
    kind = _KINDS.get(type(example), f"a {type(example).__name__}")
    like = f'"{example}"' if isinstance(example, tuple) else repr(example)
    more = ', or height and width in quotes, "(28, 40)"' * (field == _SIZE)
    return f"config.{field} is {shown(value)}; it must be {kind}, like {like}{more}"
