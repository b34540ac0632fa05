"""The study's arms as data, in the order in which they are run."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from caejax.config import default, override
from caejax.errors import CaejaxError
from caejax.models.kinds import find_kind, multiplications, parameters

DATA = ("bsds", "mnist")
REFERENCE = "nearest_k3"
NOISE = 0.25
WIDTHS = (16, 32, 32)  # of the encoder, from the image inwards
BATCH = 16
STEPS = 1500
EPOCHS = 10  # so that the last one is the last tenth of training
RATES = (5e-4, 1e-3, 2e-3, 4e-3, 8e-3, 16e-3, 32e-3)
TUNING_SEED = 100  # of no other run
SEEDS = tuple(range(12))  # of all claims that are decided
FEW_SEEDS = SEEDS[:3]  # of the levels of noise
GRID_SEEDS = SEEDS[:2]
LEVELS = (0.1, 0.25, 0.5)
CURVE = (10, 100, 1000)  # steps at which ripple is measured besides an epoch's end

# Factor "tie": how the phases are kept alike; and the order of the zero that the filter
# then has at the lattice frequencies, which is what makes it clean.
TIES: dict[str, tuple[str, int]] = {
    "deconv_k3": ("none", 0),
    "deconv_k4": ("none", 0),
    "shuffle_k3": ("none", 0),
    "shuffle_icnr": ("at start", 0),
    "deconv_k4_tied": ("projected", 1),
    "shuffle_tied": ("projected", 1),
    "nearest_k3": ("by blur", 1),
    "nearest_k5": ("by blur", 1),
    "shuffle_hold": ("by blur", 1),
    "bilinear_k3": ("by blur", 3),
    "deconv_k3_fir": ("by blur", 3),
    "carafe": ("by content", 1),
    "dysample": ("by content", 3),
}
KINDS = tuple(TIES)
# Of the grid; with refinement and skips; of equal costs; of long training.
FACTOR_KINDS = ("shuffle_k3", "shuffle_icnr", "shuffle_tied", "shuffle_hold")
FACTOR_KINDS += ("deconv_k4", "deconv_k4_tied", "nearest_k3", "bilinear_k3")
FORM_KINDS = ("shuffle_k3", "shuffle_tied", "deconv_k4", "deconv_k4_tied", REFERENCE)
COST_KINDS = ("shuffle_k3", "shuffle_tied", "deconv_k4", "deconv_k4_tied")
LONG_KINDS = ("shuffle_k3", "deconv_k4")
# Stages from the code outwards: tied at the last only, and everywhere but there.
MIXED: dict[str, tuple[str, ...]] = {
    "shuffle_k3+shuffle_tied": ("shuffle_k3", "shuffle_k3", "shuffle_tied"),
    "shuffle_k3+shuffle_hold": ("shuffle_k3", "shuffle_k3", "shuffle_hold"),
    "deconv_k4+deconv_k4_tied": ("deconv_k4", "deconv_k4", "deconv_k4_tied"),
    "shuffle_tied+shuffle_k3": ("shuffle_tied", "shuffle_tied", "shuffle_k3"),
    "deconv_k4_tied+deconv_k4": ("deconv_k4_tied", "deconv_k4_tied", "deconv_k4"),
}


class Form(NamedTuple):
    """A model around the upsampling.

    Attributes:
      refine: convolutions of stride 1 behind each upsampling.
      skips: what decoders do with the encoder's maps.
    """

    refine: int
    skips: str


FORMS = {
    "plain": Form(0, "none"),
    "refine": Form(1, "none"),
    "unet": Form(0, "add"),
    "unet_refine": Form(1, "add"),
}
CODE = {"mnist": 8, "bsds": 32}  # channels of the code
SIDE = {"mnist": 28, "bsds": 32}
CHANNELS = {"mnist": 1, "bsds": 3}


class Arm(NamedTuple):
    """An arm: a sweep of caejax, of decoders by seeds.

    Attributes:
      name: its name, which ends with that of its data.
      form: one of `FORMS`.
      decoders: kinds, or names of `MIXED`.
      seeds: the seeds.
      equal: what of the decoders is as that of `nearest_k3` at fixed width:
        "parameters", "multiplications" or "time".
      steps: the number of training steps.
      axes: further axes, by field.
      rates: whether the rates are what is swept; else they are the tuned ones.
    """

    name: str
    form: str
    decoders: tuple[str, ...]
    seeds: tuple[int, ...] = SEEDS
    equal: str = "parameters"
    steps: int = STEPS
    axes: Mapping[str, tuple[Any, ...]] = {}
    rates: bool = False

    @property
    def data(self) -> str:
        """One of `DATA`."""
        return self.name.rpartition("_")[2]

    @property
    def runs(self) -> int:
        """The number of runs."""
        axes = math.prod(map(len, self.axes.values()))
        rates = len(RATES) if self.rates else 1
        return len(self.decoders) * len(self.seeds) * axes * rates


def _all_arms():
    arms = []
    for form in ("plain", "unet_refine", "unet", "refine"):
        kinds = KINDS if form == "plain" else FORM_KINDS
        if form == "unet_refine":
            kinds = ("shuffle_hold", *kinds)
        for d in DATA:
            arms.append(_tuning(d, form, kinds))
        for d in DATA:
            arms.append(Arm(f"{form}_{d}", form, kinds))
        if form == "unet_refine":
            arms += [arm for d in DATA for arm in _levels(d, form)]
    arms += [Arm(f"last_{d}", "plain", tuple(MIXED)) for d in DATA]
    arms += [_grid(d) for d in DATA]
    for equal in ("multiplications", "time"):
        arms += [Arm(f"{equal}_{d}", "plain", COST_KINDS, equal=equal) for d in DATA]
    arms += [Arm(f"long_{d}", "plain", LONG_KINDS, steps=4 * STEPS) for d in DATA]
    return {arm.name: arm for arm in arms}


def _tuning(data, form, kinds):
    name, seeds = tuning_arm(data, form), (TUNING_SEED,)
    return Arm(name, form, kinds, seeds, steps=STEPS // 2, rates=True)


def _levels(data, form):
    """Other estimators, slow ones among them, see the noise of the first seed alone."""
    axes = {"corruption.level": LEVELS}
    for name, seeds in (("references", FEW_SEEDS[:1]), ("levels", FEW_SEEDS[1:])):
        yield Arm(f"{name}_{data}", form, (REFERENCE,), seeds, axes=axes)


def _grid(data):
    codes = tuple(CODE[data] * x // 4 for x in (1, 4, 16))
    axes = {"model.latent_channels": codes, "corruption.level": LEVELS}
    kinds, steps = FACTOR_KINDS, STEPS // 2
    return Arm(f"grid_{data}", "plain", kinds, GRID_SEEDS, steps=steps, axes=axes)


def tuning_arm(data: str, form: str) -> str:
    """The name of the arm that tunes the rates of a form."""
    return f"rates_{data}" if form == "plain" else f"rates_{form}_{data}"


ARMS: dict[str, Arm] = _all_arms()
"""All arms by name, the most important first."""

Rates = Mapping[tuple[str, str, str], float]  # by data, form and kind
Widths = Mapping[tuple[str, str], tuple[int, ...]]  # by data and kind


def decoder_of(upsampling: Any) -> str:
    """The decoder whose stages a run has, from its config's value."""
    names = {tuple(kinds): name for name, kinds in MIXED.items()}
    return upsampling if isinstance(upsampling, str) else names[tuple(upsampling)]


def stages(decoder: str) -> tuple[str, ...]:
    """The kinds of a decoder's stages, from the code outwards."""
    return MIXED.get(decoder, (decoder,) * len(WIDTHS))


def config(
    arm: Arm, folder: Path | str, rates: Rates, widths: Widths, *, full: bool = False
) -> ConfigDict:
    """An arm's config with its sweep.

    Args:
      arm: the arm.
      folder: of its data.
      rates: the tuned rates; of an arm that tunes them, none are needed.
      widths: decoder widths of equal measured time, for an arm that wants them.
      full: for a GPU: ten times as many steps, batches of 64, twelve seeds in all arms.

    Raises:
      CaejaxError: a rate or a width that has not been measured.
    """
    found = base(arm.data, arm.form)
    found.data.dir = str(folder)
    found.train.epochs = EPOCHS
    found.train.steps_per_epoch = arm.steps * (10 if full else 1) // EPOCHS
    if full:
        found.train.batch_size = 64
    found.optimizer.warmup_steps = arm.steps * (10 if full else 1) // 20
    found.train.probe_steps = CURVE if arm.name.startswith("plain") else ()
    fields = "model.upsampling", "model.decoder_widths"
    points = [
        (_upsampling(decoder), _widths(arm, decoder, widths))
        for decoder in arm.decoders
    ]
    found.sweep = {}
    with found.unlocked():
        if arm.rates:
            found.sweep.rate = _axis("optimizer.learning_rate", RATES)
        else:
            fields = (*fields, "optimizer.learning_rate")
            points = [
                (*point, _rate(arm, decoder, rates))
                for point, decoder in zip(points, arm.decoders, strict=True)
            ]
        found.sweep.decoder = _axis(fields, tuple(points))
        for field, values in arm.axes.items():
            found.sweep[field.replace(".", "_")] = _axis(field, values)
        seeds = SEEDS if full and not arm.rates else arm.seeds
        found.sweep.seed = _axis("seed", seeds)
    return found


def base(data: str, form: str) -> ConfigDict:
    """What all arms of some data and form share.

    Cosine decay to 0 behind a warm-up of a twentieth, and what is measured is the
    parameters' moving average.
    """
    found = default()
    if data == "mnist":
        found.data.source, found.data.name = "idx", "mnist"
        found.data.val_fraction = 1 / 60  # 1,000 digits
    else:
        found.data.source = "folder"
        found.data.image_size = SIDE[data]
        found.data.channels = CHANNELS[data]
        found.data.reduce = 2  # takes most of the JPEG's blocks away
        found.data.patches_per_image = 25
        found.train.augment = True
    found.corruption.level = NOISE
    found.model.widths = WIDTHS
    found.model.latent_channels = CODE[data]
    # Linear, so that ripple has the unit of the images and nothing hides it.
    found.model.output_activation = "linear"
    found.model.initializer = "glorot_uniform"
    found.model.refine = FORMS[form].refine
    found.model.skips = FORMS[form].skips
    if FORMS[form].skips != "none":
        found.model.encoder_refine = FORMS[form].refine
        found.model.residual = True
    found.loss = "mse"
    found.optimizer.schedule = "cosine"
    found.optimizer.clip_norm = 1.0
    found.train.batch_size = BATCH
    found.train.ema_decay = 0.99
    found.train.keep_checkpoints = 1
    override(found, "executor.name", "vmap")
    return found


def _axis(field, values):
    return {"field": field, "values": tuple(values)}


def _upsampling(decoder):
    return MIXED.get(decoder, decoder)


def _rate(arm, decoder, rates):
    # A mixed decoder has the rate of its first stages.
    key = arm.data, arm.form, stages(decoder)[0]
    if key not in rates:
        raise CaejaxError(
            f"{arm.name} needs the tuned rate of {key[2]}: run the arm "
            f"{tuning_arm(arm.data, arm.form)} first"
        )
    return rates[key]


def _widths(arm, decoder, widths):
    if arm.equal != "time":
        return matched_widths(decoder, arm.data, arm.form, arm.equal)
    if (arm.data, decoder) not in widths:
        raise CaejaxError(
            f"{arm.name} needs the measured time of {decoder}: run "
            "python -m experiments.tying.times first"
        )
    return widths[arm.data, decoder]


def scaled(scale: float) -> tuple[int, ...]:
    """The fixed widths of the decoder, from the code outwards, scaled and rounded."""
    return tuple(max(1, round(scale * w)) for w in WIDTHS[::-1])


@functools.cache
def matched_widths(decoder: str, data: str, form: str, equal: str) -> tuple[int, ...]:
    """Widths whose cost comes nearest to that of the reference at fixed widths.

    Args:
      decoder: a kind, or a name of `MIXED`.
      data: one of `DATA`.
      form: one of `FORMS`.
      equal: "parameters" or "multiplications".
    """
    goal = COSTS[equal](stages(REFERENCE), WIDTHS[::-1], data, form)
    candidates = (scaled(i / 400) for i in range(40, 800))
    return min(
        dict.fromkeys(candidates),
        key=lambda w: abs(COSTS[equal](stages(decoder), w, data, form) - goal),
    )


def decoder_parameters(
    kinds: Sequence[str], widths: Sequence[int], data: str, form: str
) -> int:
    """Numbers learnt in a decoder with these kinds and widths."""
    inputs = (CODE[data], *widths[:-1])
    refine, skips = FORMS[form]
    total = (9 * widths[-1] + 1) * CHANNELS[data]
    for kind, c, f, e in zip(kinds, inputs, widths, WIDTHS[::-1], strict=True):
        total += parameters(find_kind(kind), c, f) + refine * (9 * f * f + f)
        total += e * f if skips != "none" else 0
    return total


def decoder_multiplications(
    kinds: Sequence[str], widths: Sequence[int], data: str, form: str
) -> int:
    """Products of a decoder for one image, as its layers are run.

    See `caejax.models.kinds.multiplications`; sizes are those of the images, rounded up
    to whole stages.
    """
    inputs = (CODE[data], *widths[:-1])
    refine, skips = FORMS[form]
    total = 9 * widths[-1] * CHANNELS[data] * SIDE[data] ** 2
    for stage, (kind, c, f, e) in enumerate(
        zip(kinds, inputs, widths, WIDTHS[::-1], strict=True)
    ):
        low = (-(-SIDE[data] // 2 ** (len(WIDTHS) - stage))) ** 2
        total += low * multiplications(find_kind(kind), c, f)
        total += 4 * low * (refine * 9 * f * f + (e * f if skips != "none" else 0))
    return total


COSTS: dict[str, Callable[..., int]] = {
    "parameters": decoder_parameters,
    "multiplications": decoder_multiplications,
}
