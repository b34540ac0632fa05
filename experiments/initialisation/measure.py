"""What the study measures: one function a question, plain arrays as results."""

import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

import caejax.data
from caejax import corruptions, losses
from caejax.metrics.borders import clear_of_borders
from caejax.metrics.checkerboard import dc_ripple_db, dc_ripple_relative_db
from caejax.metrics.table import PERIODS
from caejax.models.autoencoders import create_model
from caejax.models.decoders import ConvDecoder
from caejax.models.kinds import STRIDE, UPSAMPLING, layer_filter
from caejax.models.upsampling import Upsample
from caejax.ops.polyphase import upsample
from caejax.optimizers import OptimizerSpec, create_optimizer
from caejax.runtime import keys
from caejax.training.state import create_state
from caejax.training.step import compiled_steps, zero_sums
from caejax.training.task import Task

STAGES = (1, 2, 3)
WIDTH = 32
CODES = 2  # code vectors that a ripple is averaged over, besides the channels

# Initialiser and ReLU of question 4.
SETTINGS = {
    "he_normal + ReLU": ("he_normal", True),
    "lecun_normal": ("lecun_normal", False),
    "flax_default": ("flax_default", False),
    "flax_default + ReLU": ("flax_default", True),
}
INPUTS = ("constant", "white")

STEPS = (0, 1, 2, 3, 5, 10, 20, 30, 50, 75, 100)
WIDTHS = (8, 16, 16)
LOSSES = {"bce": "sigmoid", "mse": "linear"}  # and the output's activation
NOISE = 0.3
BATCH = 32
RATE = 1e-3


class Stages(nn.Module):
    """Upsampling layers in a row; returns what each one makes, before any ReLU.

    Attributes:
      kind: the `Upsample` layers' kind.
      initializer: the `Upsample` layers' initialiser.
      rectify: whether a ReLU follows every layer.
      width: the number of channels of every layer.
    """

    kind: str
    initializer: str = "he_normal"
    rectify: bool = False
    width: int = WIDTH

    @nn.compact
    def __call__(self, x: jax.Array) -> list[jax.Array]:
        """(B, H, W, C) to (B, 2^l H, 2^l W, width) for each stage l."""
        outputs = []
        for _ in STAGES:
            outputs.append(Upsample(self.width, self.kind, self.initializer)(x))
            x = nn.relu(outputs[-1]) if self.rectify else outputs[-1]
        return outputs


# 1. Ripple.


@functools.partial(jax.jit, static_argnames=("kind", "seeds", "width"))
def ripples(kind: str, *, seeds: int, width: int = WIDTH) -> dict[str, jax.Array]:
    """`dc_ripple_db` and `dc_ripple_relative_db` of freshly initialised decoders.

    Args:
      kind: a name of `UPSAMPLING`.
      seeds: the number of initialisations.
      width: the number of channels of the normal codes, the stages and the image.

    Returns:
      The ripples, (seeds, stages, 2) of dBFS and dB, for "linear", stages alone;
      "relu", with ReLU between them; and "decoder", `ConvDecoder`: with ReLU behind
      each, and a last convolution.
    """

    def both(decode, features, stages):
        period = STRIDE**stages
        decode = clear_of_borders(decode, (kind,) * stages)
        return jnp.stack(
            [
                measure(decode, features, period)
                for measure in (dc_ripple_db, dc_ripple_relative_db)
            ]
        )

    def stages_alone(key, code, rectify):
        model = Stages(kind, rectify=rectify, width=width)
        outputs = once(functools.partial(model.apply, model.init(key, code)))
        return jnp.stack(
            [both(lambda x, n=n: outputs(x)[n - 1], code, n) for n in STAGES]
        )

    def decoder(key, code, stages):
        model = ConvDecoder((width,) * stages, width, (kind,) * stages)
        decode = once(functools.partial(model.apply, model.init(key, code)))
        return both(decode, code, stages)

    def of_seed(seed):
        key = keys.stream(seed, "ripple")
        code = jax.random.normal(key, (CODES, 1, 1, width))
        return {
            "linear": stages_alone(key, code, rectify=False),
            "relu": stages_alone(key, code, rectify=True),
            "decoder": jnp.stack([decoder(key, code, n) for n in STAGES]),
        }

    return jax.lax.map(of_seed, jnp.arange(seeds))


def once(decode: Callable) -> Callable:
    """Traces a decoder of equal codes once, however many metrics ask for it."""
    return jax.jit(decode)


def pooled_db(values: np.ndarray) -> np.ndarray:
    """Ratio of the expectations over seeds: (..., seeds, 2) of ripples to (...)."""
    total, relative = 10 ** (np.moveaxis(np.float64(values), -1, 0) / 10)
    return 10 * np.log10(total.mean(-1) / (total / relative).mean(-1))


# 2. Overlap.


@functools.partial(jax.jit, static_argnames=("kind", "stages", "seeds", "channels"))
def phase_powers(
    kind: str, *, stages: int, seeds: int, channels: int = 32
) -> list[jax.Array]:
    """Powers of the phases that linear stages make of a constant, for every seed.

    Args:
      kind: a name of `UPSAMPLING`.
      stages: L, the number of stages.
      seeds: the number of independent initialisations.
      channels: the number of channels of every stage.

    Returns:
      The powers, (seeds, S, S) for S = 2, ..., 2^L: mean squares over the channels.
    """
    layer = Upsample(channels, kind)
    origin = UPSAMPLING[kind].origin

    def of_seed(seed):
        y, powers = jnp.ones((1, 1, 1, channels)), []
        for n in range(stages):
            params = layer.init(keys.stream(seed, "overlap", n), y)["params"]
            h = layer_filter(params["kernel"], UPSAMPLING[kind])
            # One pixel that repeats for ever is a constant without borders.
            y = upsample(y, h, origin=origin, stride=STRIDE, border="wrap")
            powers.append((y[0] ** 2).mean(-1))
        return powers

    return jax.lax.map(of_seed, jnp.arange(seeds), batch_size=64)


def readings_db(powers: np.ndarray, truth: np.ndarray, draws: int) -> np.ndarray:
    """What `overlap_db` reads of so many seeds if a theory is right: (draws,).

    Every phase's powers are scaled to have the theory's mean over the seeds, and
    seeds are drawn with replacement.

    Args:
      powers: the measured powers, (seeds, S, S).
      truth: the theory's powers, (S, S).
      draws: the number of repetitions.
    """
    powers = np.float64(powers).reshape(len(powers), -1)
    powers = powers * (truth.ravel() / powers.mean(0))
    rng = np.random.default_rng(0)
    counts = rng.multinomial(len(powers), [1 / len(powers)] * len(powers), draws)
    means = counts @ powers
    return 10 * np.log10(means.max(1) / means.min(1))


# 3. Training.


def training_curve(
    kind: str, loss: str, seed: int, size: int, steps: tuple[int, ...] = STEPS
) -> np.ndarray:
    """Ripple of an autoencoder's linear output in the first steps of training.

    Data, order of the images, noise and the encoder's start depend on the seed
    alone, so kinds are paired.

    Args:
      kind: a name of `UPSAMPLING`.
      loss: a name of `LOSSES`.
      seed: the seed of everything random.
      size: the number of generated digits, a tenth of them for validation.
      steps: the steps at which to measure, rising.

    Returns:
      (steps, 4): `dc_ripple_db` at periods 2, 4 and 8 on the codes of 32 clean
      validation images, and the mean training loss since the step before.
    """
    data = digits(size)
    model = autoencoder(kind, LOSSES[loss])
    task = Task(
        model,
        losses.choose(loss),
        corruptions.choose("gaussian"),
        OptimizerSpec("adam", RATE),
        BATCH,
    )
    state = create_state(model, create_optimizer(task.optimizer), seed, ema=False)
    images = jnp.asarray(data.train.images)
    measure = compiled_ripples(model)
    rows, done = [], 0
    for stop in steps:
        sums = zero_sums()
        if stop:
            run = compiled_steps(task)
            state, sums = run(state, sums, images, stop, seed, NOISE)
        mean_loss = float(sums["loss"]) / (stop - done) if stop else np.nan
        ripple = measure(state.params, data.val.images[:32])
        rows.append([*map(float, ripple), mean_loss])
        done = stop
    return np.array(rows)


def autoencoder(kind: str, activation: str) -> nn.Module:
    """A convolutional autoencoder for digits."""
    return create_model(
        "conv",
        shape=(28, 28, 1),
        widths=WIDTHS,
        latent_channels=8,
        upsampling=kind,
        output_activation=activation,
    )


@functools.cache
def digits(size: int) -> caejax.data.Dataset:
    """Generated digits of 28 x 28 pixels, a tenth of them for validation."""
    return caejax.data.load("glyphs", train_size=size, test_size=10)


@functools.cache
def compiled_ripples(model: nn.Module):
    """`dc_ripple_db` at every period, of parameters and images."""

    def run(params, images):
        apply = functools.partial(model.apply, {"params": params})
        code = apply(images, method="encode")
        decode = once(functools.partial(apply, method="decode"))
        return [dc_ripple_db(decode, code, period) for period in PERIODS]

    return jax.jit(run)


# 4. Variance.


@functools.partial(jax.jit, static_argnames=("kind", "setting", "seeds", "width"))
def signal_powers(kind: str, setting: str, *, seeds: int, width: int = WIDTH):
    """Mean squares of the activations after each stage, clear of the borders.

    Args:
      kind: a name of `UPSAMPLING`.
      setting: a name of `SETTINGS`; where it has ReLU, it is what leaves that.
      seeds: the number of independent initialisations and codes.
      width: the number of channels of code and stages.

    Returns:
      The powers, (seeds, stages), for each of `INPUTS`; the codes have power 1.
    """
    initializer, rectify = SETTINGS[setting]
    model = Stages(kind, initializer, rectify, width)

    def of_seed(seed):
        key = keys.stream(seed, "variance")
        codes = {
            "constant": jax.random.normal(key, (4, 1, 1, width)),
            "white": jax.random.normal(key, (4, 12, 12, width)),
        }
        variables = model.init(key, codes["constant"])

        def powers(code):
            code = jnp.broadcast_to(code, (4, 12, 12, width))
            outputs = model.apply(variables, code)
            outputs = [nn.relu(y) for y in outputs] if rectify else outputs
            inside = [y[:, 4 * s : -4 * s, 4 * s : -4 * s] for s, y in _scales(outputs)]
            return jnp.stack([(y**2).mean() for y in inside])

        return {name: powers(codes[name]) for name in INPUTS}

    return jax.lax.map(of_seed, jnp.arange(seeds))


def _scales(outputs):
    return [(STRIDE**n, y) for n, y in zip(STAGES, outputs, strict=True)]
