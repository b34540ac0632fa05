"""Whether a config can be used: names that are known, numbers in range."""

import functools
import math
from typing import Any

from ml_collections import ConfigDict

from caejax.config import choice, get, image_size, resolve
from caejax.config.values import shown
from caejax.corruptions import CORRUPTIONS, check_params
from caejax.errors import CaejaxError, lookup
from caejax.losses import LOSSES
from caejax.models.autoencoders import MODELS
from caejax.models.decoders import SKIPS
from caejax.models.encoders import BOTTLENECKS, DOWNSAMPLING
from caejax.models.kinds import ELSEWHERE
from caejax.models.layers import ACTIVATIONS, DTYPES, INITIALIZERS
from caejax.models.stack import parse, shapes_after
from caejax.models.upsampling import UPSAMPLING
from caejax.ops.paths import PATHS
from caejax.optimizers import OPTIMIZERS, SCHEDULES
from caejax.parameters import COUNTABLE, LARGEST, Parameter, checked


def check(config: ConfigDict) -> None:
    """Checks the values of a run's config.

    Raises:
      CaejaxError: a name that is not known, a field that does not apply, or a number
        out of range.
    """
    check_resolved(resolve(config).to_dict())


def check_resolved(values: dict[str, Any]) -> None:
    """As `check`, of what the `to_dict` of a resolved config gives."""
    config = _read(values)
    for field in ("data.source", "corruption.name", "loss"):
        choice(config, field)
    name, params = choice(config, "corruption.name")
    check_params(name, dict(params))
    _check_names(config)
    _check_length(config)
    _check_numbers(config)
    _check_level(config)
    _check_seen(config)
    from_logits = LOSSES[config.loss].from_logits
    if from_logits and config.model.output_activation != "sigmoid":
        raise CaejaxError(
            f"config.loss {config.loss!r} works on logits: set "
            "config.model.output_activation to 'sigmoid', or choose another loss"
        )
    for own_check in _OF_A_KIND.get(config.model.encoder, ()):
        own_check(config)


class _Section(dict[str, Any]):
    """Reads like a config, ten times as fast."""

    __getattr__ = dict.__getitem__


def _read(values):
    return _Section(
        {k: _read(v) if isinstance(v, dict) else v for k, v in values.items()}
    )


def _check_stages(config):
    if not config.model.widths:
        raise CaejaxError(
            f"config.model.widths is empty: a {config.model.encoder!r} encoder needs a "
            "width per stage, (16, 32, 32) for instance"
        )


def _check_decoder_widths(config):
    own, widths = config.model.decoder_widths, config.model.widths
    if own and len(own) != len(widths):
        raise CaejaxError(
            f"config.model.decoder_widths is {shown(own)}; it must hold {len(widths)} "
            "numbers, as many as config.model.widths"
        )


def _check_layers(config):
    layers = {
        name: tuple(config.model[name]) for name in ("encoder_layers", "decoder_layers")
    }
    if not all(layers.values()):
        raise CaejaxError(
            "config.model.encoder 'layers' needs config.model.encoder_layers and "
            "decoder_layers, ('conv3 16 relu', 'pool') for instance"
        )
    image = shape = (*image_size(config), config.data.channels)
    for name, words in layers.items():
        try:
            shape = shapes_after(words, shape)[-1]
        except ValueError as error:
            raise CaejaxError(f"config.model.{name}: {error}") from error
    if shape != image:
        made, wanted = ("x".join(map(str, x)) for x in (shape, image))
        raise CaejaxError(
            f"config.model.decoder_layers make images of {made}, but those of the "
            f"data are {wanted}; change the layers"
        )
    last = config.model.decoder_layers[-1]
    if parse(last).activation != "linear":
        raise CaejaxError(
            f"config.model.decoder_layers end in {last!r}; leave its activation to "
            "config.model.output_activation"
        )


def _check_names(config):
    names = {
        "model.encoder": MODELS,
        "model.bottleneck": dict.fromkeys(BOTTLENECKS),
        "model.downsampling": dict.fromkeys(DOWNSAMPLING),
        "model.skips": dict.fromkeys(SKIPS),
        "model.code_activation": ACTIVATIONS,
        "model.output_activation": ACTIVATIONS,
        "model.initializer": INITIALIZERS,
        "model.dtype": DTYPES,
        "model.path": dict.fromkeys(PATHS),
        "optimizer.name": OPTIMIZERS,
        "optimizer.schedule": SCHEDULES,
    }
    for field, table in names.items():
        if _applies(config, field):
            lookup(table, get(config, field), field)
    for kind in _each_stage(config, "model.upsampling"):
        lookup(UPSAMPLING, kind, "model.upsampling", ELSEWHERE)


def _each_stage(config, field):
    """The values of a field that holds one or one a stage; () if it does not apply."""
    if not _applies(config, field):
        return ()
    value, widths = get(config, field), config.model.widths
    if isinstance(value, tuple) and len(value) != len(widths):
        raise CaejaxError(
            f"config.{field} is {shown(value)}; it must be one value, or "
            f"{len(widths)} of them, as many as config.model.widths"
        )
    return value if isinstance(value, tuple) else (value,)


def _check_refine(config):
    for field in ("model.refine", "model.encoder_refine"):
        values = _each_stage(config, field)
        if not all(type(value) is int and value >= 0 for value in values):
            raise CaejaxError(
                f"config.{field} is {shown(get(config, field))}; it must be a whole "
                "number of at least 0, or one a stage"
            )
        if sum(values) > _MOST_LAYERS:
            raise CaejaxError(
                f"config.{field} is {shown(get(config, field))}; {_MOST_LAYERS} are "
                "the most"
            )


def _check_residual(config):
    if config.model.residual and config.model.output_activation != "linear":
        raise CaejaxError(
            "config.model.residual takes what is decoded away from the image: set "
            "config.model.output_activation to 'linear', and a loss that takes it"
        )


_OF_A_KIND = {
    "conv": (_check_stages, _check_decoder_widths, _check_refine, _check_residual),
    "layers": (_check_layers,),
}


def _check_seen(config):
    """What training makes of its images, and of the corruption's level."""
    size, crop = image_size(config), config.train.crop_size
    if crop > min(size):
        raise CaejaxError(
            f"config.train.crop_size is {crop}, more than the images' side of "
            f"{min(size)}; make it smaller, or config.data.image_size larger"
        )
    if config.train.halved and not 0 < 2 * crop <= min(size):
        raise CaejaxError(
            "config.train.halved cuts squares of twice config.train.crop_size, which "
            f"is {crop}, from images with a side of {min(size)}; set crop_size between "
            f"1 and {min(size) // 2}, or halved to 0"
        )
    if config.train.recolored and config.data.channels == 1:
        raise CaejaxError(
            "config.train.recolored changes colours, and config.data.channels is 1; "
            "set recolored to 0"
        )
    span = config.corruption.train_range
    if span and (len(span) != 2 or span[0] > span[1]):
        raise CaejaxError(
            f"config.corruption.train_range is {shown(span)}; give the lowest and the "
            "highest level, (0.0, 0.2) for instance, or ()"
        )


def _applies(config, field):
    section, _, name = field.partition(".")
    return section != "model" or name in config.model


_POSITIVE = (
    "data.channels",
    "data.train_size",
    "data.test_size",
    "data.reduce",
    "data.patches_per_image",
    "data.budget_mib",
    "model.latent_channels",
    "optimizer.learning_rate",
    "train.batch_size",
    "train.epochs",
    "train.keep_checkpoints",
    "executor.cpus",
)
_NOT_NEGATIVE = (
    "seed",
    "data.seed",
    "data.limit",
    "data.val_fraction",
    "code_penalty",
    "optimizer.warmup_steps",
    "optimizer.momentum",
    "optimizer.weight_decay",
    "optimizer.clip_norm",
    "train.steps_per_epoch",
    "train.crop_size",
    "train.halved",
    "train.recolored",
    "train.ema_decay",
    "train.early_stopping",
    "executor.workers",
    "executor.gpus",
)
_BELOW_1 = ("data.val_fraction", "train.ema_decay")
_SHARES = ("train.halved", "train.recolored")
_UNCOUNTED = ("train.epochs", "train.early_stopping")  # on the host alone
_MOST_LAYERS = 200  # which is more than compilers get through
_LAYERS = ("widths", "decoder_widths", "encoder_layers", "decoder_layers")


def _check_length(config):
    for name in _LAYERS:
        count = len(config.model.get(name, ()))
        if count > _MOST_LAYERS:
            raise CaejaxError(
                f"config.model.{name} has {count:,} entries; {_MOST_LAYERS} are the "
                "most"
            )


def _check_numbers(config):
    for field in filter(functools.partial(_applies, config), _POSITIVE + _NOT_NEGATIVE):
        _check_number(field, get(config, field))
    lists = ("model.widths", "model.decoder_widths", "train.probe_steps")
    for field in filter(functools.partial(_applies, config), lists):
        values = get(config, field)
        if not all(type(value) is int and value > 0 for value in values):
            raise CaejaxError(
                f"config.{field} is {shown(values)}; it must hold whole numbers above 0"
            )
        for value in values:
            _check_countable(field, value)
    for side in image_size(config):
        _check_countable("data.image_size", side)


def _check_number(field, value):
    if field in _BELOW_1 and not 0 <= value < 1:
        raise CaejaxError(
            f"config.{field} is {value}; it must be at least 0 and below 1"
        )
    if field in _SHARES and not 0 <= value <= 1:
        raise CaejaxError(f"config.{field} is {value}; it must be from 0 to 1")
    if field in ("seed", "data.seed") and not 0 <= value <= COUNTABLE:
        raise CaejaxError(
            f"config.{field} is {shown(value)}; it must be between 0 and {COUNTABLE:,}"
        )
    if not 0 <= value < math.inf or (field in _POSITIVE and value == 0):
        bound = "above 0" if field in _POSITIVE else "at least 0"
        bound += " and finite" * (value == math.inf)
        raise CaejaxError(f"config.{field} is {shown(value)}; it must be {bound}")
    if isinstance(value, int) and field not in _UNCOUNTED:
        _check_countable(field, value)
    if isinstance(value, int) and value >= 2**63:
        raise CaejaxError(f"config.{field} is {shown(value)}; it must be below 2^63")
    if isinstance(value, float) and value > LARGEST:
        raise CaejaxError(
            f"config.{field} is {value}; float32 holds at most {LARGEST:.4g}"
        )


def _check_countable(field, value):
    if value > COUNTABLE:
        raise CaejaxError(
            f"config.{field} is {shown(value)}; it must be at most {COUNTABLE:,}"
        )


def _check_level(config):
    level = CORRUPTIONS[config.corruption.name].level or Parameter(0.0)
    checked(level, config.corruption.level, "corruption.level")
    for end in config.corruption.train_range:
        checked(level, end, "corruption.train_range")
