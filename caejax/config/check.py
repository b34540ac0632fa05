"""Whether a config can be used: names that are known, numbers in range."""

import math

from ml_collections import ConfigDict

from caejax.config import default, get, image_size
from caejax.corruptions import CORRUPTIONS
from caejax.data import SOURCES
from caejax.errors import CaejaxError, lookup
from caejax.losses import LOSSES
from caejax.models.autoencoders import MODELS
from caejax.models.encoders import BOTTLENECKS, DOWNSAMPLING
from caejax.models.layers import ACTIVATIONS, DTYPES, INITIALIZERS
from caejax.models.stack import parse, shapes_after
from caejax.models.upsampling import UPSAMPLING
from caejax.ops.paths import PATHS
from caejax.optimizers import OPTIMIZERS, SCHEDULES


def check(config: ConfigDict) -> None:
    """Checks the values of a run's config.

    Raises:
      CaejaxError: a name that is not known or a number out of range.
    """
    _check_names(config)
    _check_numbers(config)
    image_size(config)
    if config.loss == "bce" and config.model.output_activation != "sigmoid":
        raise CaejaxError(
            "config.loss 'bce' works on logits: set config.model.output_activation "
            "to 'sigmoid', or choose another loss"
        )
    if config.model.encoder == "tied_dense" and config.model.widths:
        raise CaejaxError(
            "config.model.encoder 'tied_dense' has one layer: set "
            "config.model.widths=() or use 'dense'"
        )
    if config.model.encoder == "conv" and not config.model.widths:
        raise CaejaxError(
            "config.model.widths is empty: a 'conv' encoder needs a width per stage, "
            "(16, 32, 32) for instance"
        )
    _check_parts_of_conv(config)
    _check_decoder_widths(config)
    _check_layers(config)


def _check_parts_of_conv(config):
    if config.model.encoder == "conv":
        return
    defaults = default().model
    for name in ("downsampling", "decoder_widths"):
        value, off = config.model[name], defaults[name]
        if value != off:
            raise CaejaxError(
                f"config.model.{name} is {value!r}, but the encoder is "
                f"{config.model.encoder!r}: only 'conv' has it, set it to {off!r}"
            )


def _check_decoder_widths(config):
    own, widths = config.model.decoder_widths, config.model.widths
    if own and len(own) != len(widths):
        raise CaejaxError(
            f"config.model.decoder_widths is {own}; it must hold {len(widths)} "
            "numbers, as many as config.model.widths"
        )


def _check_layers(config):
    layers = {
        name: tuple(config.model[name]) for name in ("encoder_layers", "decoder_layers")
    }
    if config.model.encoder != "layers":
        if any(layers.values()):
            raise CaejaxError(
                f"config.model.encoder is {config.model.encoder!r}, but layers are "
                "given: set it to 'layers', or encoder_layers=() and decoder_layers=()"
            )
        return
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
        "data.source": SOURCES,
        "corruption.name": CORRUPTIONS,
        "model.encoder": MODELS,
        "model.bottleneck": dict.fromkeys(BOTTLENECKS),
        "model.downsampling": dict.fromkeys(DOWNSAMPLING),
        "model.upsampling": UPSAMPLING,
        "model.code_activation": ACTIVATIONS,
        "model.output_activation": ACTIVATIONS,
        "model.initializer": INITIALIZERS,
        "model.dtype": DTYPES,
        "model.path": dict.fromkeys(PATHS),
        "loss": LOSSES,
        "optimizer.name": OPTIMIZERS,
        "optimizer.schedule": SCHEDULES,
    }
    for field, table in names.items():
        lookup(table, get(config, field), field)


def _check_numbers(config):
    positive = (
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
    )
    not_negative = (
        "data.limit",
        "corruption.level",
        "code_penalty",
        "optimizer.warmup_steps",
        "optimizer.momentum",
        "optimizer.weight_decay",
        "train.ema_decay",
        "train.early_stopping",
        "executor.workers",
    )
    for field in positive + not_negative:
        value = get(config, field)
        if not 0 <= value < math.inf or (field in positive and value == 0):
            bound = "above 0" if field in positive else "at least 0"
            raise CaejaxError(f"config.{field} is {value}; it must be {bound}")
    for field, fine in (
        ("data.val_fraction", 0 <= config.data.val_fraction < 1),
        ("train.ema_decay", config.train.ema_decay < 1),
        # A standard deviation may be larger, a probability or a size may not.
        ("corruption.level", _is_noise(config) or config.corruption.level <= 1),
    ):
        if not fine:
            raise CaejaxError(
                f"config.{field} is {get(config, field)}; it must be between 0 and 1"
            )
    for field in ("seed", "data.seed"):
        if not 0 <= get(config, field) < 2**31:
            raise CaejaxError(
                f"config.{field} is {get(config, field)}; it must be between 0 and 2^31"
            )
    for field in ("model.widths", "model.decoder_widths", "train.probe_steps"):
        values = get(config, field)
        if not all(isinstance(value, int) and value > 0 for value in values):
            raise CaejaxError(
                f"config.{field} is {values}; it must hold whole numbers above 0"
            )


def _is_noise(config):
    return config.corruption.name in ("gaussian", "none")
