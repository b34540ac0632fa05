"""The study's arms: each a sweep of caejax, whole or cut down for two cores."""

from collections.abc import Sequence

from ml_collections import ConfigDict

from caejax.config import default
from caejax.models.encoders import DOWNSAMPLING
from caejax.models.kinds import UPSAMPLING, find_kind, parameters

KINDS = tuple(UPSAMPLING)[:13]  # those that there were when the study was run
DECODER = "model.upsampling"  # the field
REFERENCE = "nearest_k3"
ENCODER = "model.downsampling"  # the field
ENCODER_REFERENCE = "max_pool"
FEW = ("deconv_k3", "deconv_k4", "nearest_k3", "shuffle_icnr")  # of the cut arms
STEPS = (10, 30, 100, 300, 1000, 3000)  # of the ripple's curve, besides 0 and the end

WIDTHS = (16, 32, 32)
CODE = 8  # channels at 4 x 4
NOISE = 0.25

ARMS = ("primary_mnist", "primary_bsds", "matched_mnist", "matched_bsds")
ARMS += ("depth_mnist", "grid_mnist", "downsampling_bsds")
# Arms whose noisy images and codes are those of a primary arm.
AS_PRIMARY = ("matched_mnist", "matched_bsds", "downsampling_bsds")
# Seeds and epochs of an arm, cut for two cores and in full.
_SEEDS = {
    "primary_mnist": (10, 10),
    "primary_bsds": (10, 10),
    "matched_mnist": (10, 10),
    "matched_bsds": (5, 10),
    "depth_mnist": (5, 5),
    "grid_mnist": (5, 5),
    "downsampling_bsds": (5, 5),
}
_EPOCHS = {  # of primary and matched arms so many that step 3000 is reached
    "primary_mnist": (9, 10),
    "primary_bsds": (10, 40),
    "matched_mnist": (9, 10),
    "matched_bsds": (10, 40),
    "depth_mnist": (4, 10),
    "grid_mnist": (4, 10),
    "downsampling_bsds": (5, 40),
}


def arm(name: str, *, full: bool = False) -> ConfigDict:
    """An arm's config, its data's folder still to be set.

    Args:
      name: one of `ARMS`.
      full: whether to take all training images and the whole grid, for a GPU; else
        what two cores do in reasonable time.
    """
    config = _bsds() if name.endswith("bsds") else _mnist()
    config.corruption.level = NOISE
    config.model.widths = WIDTHS
    config.model.latent_channels = CODE
    # Linear, so that ripple has the unit of the images and nothing hides it.
    config.model.output_activation = "linear"
    config.loss = "mse"
    config.model.initializer = "glorot_uniform"  # learns faster than "he_normal" here
    config.optimizer.learning_rate = 2e-3
    config.train.batch_size = 16
    config.train.epochs = _EPOCHS[name][full]
    config.train.probe_steps = STEPS
    config.train.keep_checkpoints = 1
    if full:
        config.data.limit = 0
        config.train.batch_size = 64
    seeds = tuple(range(_SEEDS[name][full]))
    config.sweep = {
        **_axes(name, config, full),
        "seed": {"field": "seed", "values": seeds},
    }
    return config


def _mnist():
    config = default()
    config.data.source = "idx"
    config.data.name = "mnist"
    config.data.limit = 6000
    return config


def _bsds():
    config = default()
    config.data.source = "folder"
    config.data.image_size = 32
    config.data.channels = 3
    config.data.reduce = 2  # takes most of the JPEG's blocks away
    config.data.patches_per_image = 25
    return config


def _axes(name, config, full):
    if name.startswith("matched"):
        return {"decoder": _matched_axis(config)}
    if name.startswith("primary"):
        return {"decoder": _axis(DECODER, KINDS)}
    if name == "downsampling_bsds":
        decoders = {"decoder": _axis(DECODER, FEW)} if full else {}
        return {**decoders, "downsampling": _axis(ENCODER, DOWNSAMPLING)}
    decoders = {"decoder": _axis(DECODER, KINDS if full else FEW)}
    if name == "depth_mnist":
        depths = tuple(WIDTHS[-stages:] for stages in (1, 2, 3))
        return {**decoders, "depth": _axis("model.widths", depths)}
    channels = (2, 4, 8, 16, 32) if full else (2, 8, 32)
    levels = (0.0, 0.1, 0.25, 0.5) if full else (0.0, 0.25, 0.5)
    return {
        **decoders,
        "bottleneck": _axis("model.latent_channels", channels),
        "noise": _axis("corruption.level", levels),
    }


def _axis(field, values):
    return {"field": field, "values": values}


def _matched_axis(config):
    """Decoders that fixed width leaves with another number of parameters.

    Those it does not are in the primary arm.
    """
    fixed = WIDTHS[::-1]
    goal = decoder_parameters(REFERENCE, fixed, config.data.channels)
    points = tuple(
        (kind, matched_widths(kind, config.data.channels))
        for kind in KINDS
        if decoder_parameters(kind, fixed, config.data.channels) != goal
    )
    return _axis((DECODER, "model.decoder_widths"), points)


def decoder_parameters(kind: str, widths: Sequence[int], channels: int) -> int:
    """Numbers learnt in a `ConvDecoder` with these widths and image channels."""
    layer, inputs = find_kind(kind), (CODE, *widths[:-1])
    stages = sum(parameters(layer, c, f) for c, f in zip(inputs, widths, strict=True))
    return stages + (9 * widths[-1] + 1) * channels


def matched_widths(kind: str, channels: int) -> tuple[int, ...]:
    """Widths whose parameters come nearest to those of the reference's decoder.

    All are scaled alike and rounded.
    """
    fixed = WIDTHS[::-1]
    goal = decoder_parameters(REFERENCE, fixed, channels)
    scales = [i / 200 for i in range(20, 600)]
    candidates = (tuple(max(1, round(s * w)) for w in fixed) for s in scales)
    return min(
        candidates,
        key=lambda widths: abs(decoder_parameters(kind, widths, channels) - goal),
    )
