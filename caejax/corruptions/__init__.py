"""Corruptions by name: pure functions `f(key, images, *, level, **params)`.

All take (B, H, W, C) images in [0, 1] and return the same shape and dtype, and are made
to run inside jit. Noise may leave [0, 1]: `corrupt` clips it, unless it is not to.
Every image is corrupted differently; level may be traced, a scalar or (B, 1, 1, 1). The
table itself does not import JAX: a further corruption is an entry here and
its function.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from caejax import parameters
from caejax.errors import CaejaxError
from caejax.parameters import Parameter

if TYPE_CHECKING:
    import jax

# What undoing a corruption is called, as a verb.
RECONSTRUCT, DENOISE, INPAINT = "reconstruct", "denoise", "inpaint"


class Corruption(NamedTuple):
    """A corruption and what follows from it.

    Attributes:
      function: `f(key, images, *, level, **params)`, or its place as
        "module:function".
      level: the range of its level; None where the level does nothing.
      task: the name of undoing it: `RECONSTRUCT` where nothing is changed,
        `DENOISE` for noise, `INPAINT` for parts that are gone.
      channels: "each by itself" or "all together", how a pixel's channels change; ""
        where they do not.
      gaussian: whether it adds Gaussian noise, whose standard deviation the level is.
        For this alone the posterior mean is known.
      params: the parameters that it takes besides the level, by name.
      sentence: what is done to the input, for reports; {level} is the level. "" where
        the name says it.
      wrong: says what is wrong with the parameters' values together; "" if nothing.
    """

    function: str | Callable[..., Any]
    level: Parameter | None
    task: str
    channels: str
    gaussian: bool = False
    params: Mapping[str, Parameter] = MappingProxyType({})
    sentence: str = ""
    wrong: Callable[[Mapping[str, float]], str] = lambda params: ""

    @property
    def noise(self) -> bool:
        """Whether it is noise."""
        return self.task == DENOISE

    @property
    def changes(self) -> bool:
        """Whether images are changed at all."""
        return self.task != RECONSTRUCT


def _no_way(params):
    if any(value for name, value in params.items() if name != "strength"):
        return ""
    return "are 0, so that nothing is drawn; make one larger"


def _no_qualities(params):
    worst, best = params["worst"], params["best"]
    if worst <= best:
        return ""
    return f"have a worst quality of {worst:g}, above the best, {best:g}; exchange them"


_DEVIATION = Parameter(0.5, doc="Standard deviation of what is added.")
_PROBABILITY = Parameter(0.5, 0.0, 1.0, "Probability that a pixel is changed.")
_SIZE = Parameter(0.5, 0.0, 1.0, "The shape's largest side, of the image's.")
_STRENGTH = Parameter(0.5, 0.0, 1.0, "How strong it is, 0 for not at all.")
_WEIGHT = Parameter(1.0, doc="How often it is drawn, relative to the others.")
_SALT = Parameter(0.5, 0.0, 1.0, "Share of the changed pixels that become white.")

CORRUPTIONS: dict[str, Corruption] = {
    "none": Corruption(
        "caejax.corruptions.noise:none",
        None,
        RECONSTRUCT,
        "",
        sentence="Nothing is done to the input: the model only has to reconstruct.",
    ),
    "gaussian": Corruption(
        "caejax.corruptions.noise:gaussian",
        _DEVIATION,
        DENOISE,
        "each by itself",
        gaussian=True,
        sentence="Gaussian noise of standard deviation {level} is added to the input, "
        "whose values lie in 0 to 1.",
    ),
    "masking": Corruption(
        "caejax.corruptions.noise:masking",
        _PROBABILITY,
        DENOISE,
        "all together",
        sentence="A share of {level} of the input's pixels is set to zero.",
    ),
    "salt_and_pepper": Corruption(
        "caejax.corruptions.noise:salt_and_pepper",
        _PROBABILITY,
        DENOISE,
        "all together",
        params={"salt": _SALT},
        sentence="A share of {level} of the input's pixels becomes black or white.",
    ),
    "poisson_gaussian": Corruption(
        "caejax.corruptions.camera:poisson_gaussian",
        _DEVIATION,
        DENOISE,
        "each by itself",
        params={
            "shot": Parameter(1.0, doc="Shot noise at white, as a part of the level."),
            "read": Parameter(0.2, doc="Read noise, as a part of the level."),
        },
        sentence="Noise of photons and of reading them out is added to the input, of "
        "standard deviation {level} at white.",
    ),
    "speckle": Corruption(
        "caejax.corruptions.camera:speckle",
        _DEVIATION,
        DENOISE,
        "each by itself",
        params={
            "offset": Parameter(0.0, doc="Added to a value before it is multiplied."),
            "shared": Parameter(0.0, 0.0, 1.0, "Share that channels have in common."),
        },
        sentence="The input is multiplied by Gaussian noise of standard deviation "
        "{level} around one.",
    ),
    "jpeg": Corruption(
        "caejax.corruptions.camera:jpeg",
        _STRENGTH,
        DENOISE,
        "each by itself",
        params={
            "worst": Parameter(10.0, 1.0, 100.0, "Lowest quality that is drawn."),
            "best": Parameter(95.0, 1.0, 100.0, "Highest quality that is drawn."),
            "subsample": Parameter(1, 0, 1, "Whether the chroma is halved."),
        },
        sentence="The input is compressed as JPEG files are, of a quality that goes "
        "down by {level} of what is drawn.",
        wrong=_no_qualities,
    ),
    "blur": Corruption(
        "caejax.corruptions.camera:blur",
        _STRENGTH,
        DENOISE,
        "each by itself",
        params={
            "width": Parameter(2.0, 0.0, 16.0, "Pixels of deviation at level 1."),
            "noise": Parameter(0.05, doc="Deviation of the noise at level 1."),
        },
        sentence="The input is blurred and noise is added, of strength {level}.",
    ),
    "mixture": Corruption(
        "caejax.corruptions.camera:mixture",
        _DEVIATION,
        DENOISE,
        "each by itself",
        params={
            "gaussian": _WEIGHT,
            "poisson_gaussian": _WEIGHT,
            "speckle": _WEIGHT,
            "jpeg": _WEIGHT,
            "blur": _WEIGHT,
            "strength": Parameter(
                4.0, doc="Times the level: the level of jpeg and blur."
            ),
        },
        sentence="Each input is corrupted in one of several ways, as cameras do, of "
        "standard deviation {level}.",
        wrong=_no_way,
    ),
    "cross": Corruption(
        "caejax.corruptions.shapes:cross",
        _SIZE,
        INPAINT,
        "all together",
        sentence="A cross of up to {level} of the image's side is cut out.",
    ),
    "box": Corruption(
        "caejax.corruptions.shapes:box",
        _SIZE,
        INPAINT,
        "all together",
        sentence="A box of up to {level} of the image's side is cut out.",
    ),
}


class Chosen(NamedTuple):
    """A corruption and the values of its parameters; can be hashed.

    Attributes:
      name: a key of `CORRUPTIONS`.
      params: every parameter's name and value, in the order of their names.
      clip: whether corrupted images are clipped to [0, 1].
    """

    name: str
    params: tuple[tuple[str, float], ...] = ()
    clip: bool = True


def choose(name: str, *, clip: bool = True, **params: float) -> Chosen:
    """A corruption and its parameters as one plain value.

    Args:
      name: a key of `CORRUPTIONS`.
      clip: whether corrupted images are clipped to [0, 1].
      **params: values of the parameters that do not have their defaults.

    Raises:
      CaejaxError: see `caejax.parameters.choose` and `check_params`.
    """
    fields = "corruption.name", "corruption.params"
    chosen = Chosen(*parameters.choose(CORRUPTIONS, name, params, fields), clip)
    check_params(chosen.name, dict(chosen.params))
    return chosen


def check_params(name: str, params: Mapping[str, float]) -> None:
    """Refuses values of a corruption's parameters that do not go together.

    Args:
      name: a key of `CORRUPTIONS`.
      params: the values of all its parameters.

    Raises:
      CaejaxError: such values.
    """
    if wrong := CORRUPTIONS[name].wrong(params):
        raise CaejaxError(f"config.corruption.params {wrong}")


def corrupt(
    choice: Chosen, key: "jax.Array", images: "jax.Array", level: "float | jax.Array"
) -> "jax.Array":
    """Corrupts images.

    Args:
      choice: the corruption, as `choose` returns it.
      key: the random key of the corruption.
      images: images (B, H, W, C) in [0, 1].
      level: the corruption's level, within its range, a number or (B,) of them; may be
        traced.

    Returns:
      The corrupted images, of the same shape and dtype; in [0, 1] if they are clipped.
    """
    function = parameters.resolve(CORRUPTIONS[choice.name].function)
    if np.ndim(level):
        level = level[:, None, None, None]
    noisy = function(key, images, level=level, **dict(choice.params))
    return noisy.clip(0, 1) if choice.clip else noisy
