"""Corruptions by name: pure functions `f(key, images, *, level, **params)`.

All take (B, H, W, C) images in [0, 1] and return the same shape, dtype and range, and
are made to run inside jit. Every image is corrupted differently; level may be a traced
scalar. The table itself does not import JAX: a further corruption is an entry here and
its function.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from caejax import parameters
from caejax.parameters import Choice, Parameter

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
    """

    function: str | Callable[..., Any]
    level: Parameter | None
    task: str
    channels: str
    gaussian: bool = False
    params: Mapping[str, Parameter] = MappingProxyType({})

    @property
    def noise(self) -> bool:
        """Whether it is noise."""
        return self.task == DENOISE

    @property
    def changes(self) -> bool:
        """Whether images are changed at all."""
        return self.task != RECONSTRUCT


_DEVIATION = Parameter(0.5, doc="Standard deviation of what is added.")
_PROBABILITY = Parameter(0.5, 0.0, 1.0, "Probability that a pixel is changed.")
_SIZE = Parameter(0.5, 0.0, 1.0, "Most of the image's side that the shape takes.")
_SALT = Parameter(0.5, 0.0, 1.0, "Share of the changed pixels that become white.")

CORRUPTIONS: dict[str, Corruption] = {
    "none": Corruption("caejax.corruptions.noise:none", None, RECONSTRUCT, ""),
    "gaussian": Corruption(
        "caejax.corruptions.noise:gaussian",
        _DEVIATION,
        DENOISE,
        "each by itself",
        gaussian=True,
    ),
    "masking": Corruption(
        "caejax.corruptions.noise:masking", _PROBABILITY, DENOISE, "all together"
    ),
    "salt_and_pepper": Corruption(
        "caejax.corruptions.noise:salt_and_pepper",
        _PROBABILITY,
        DENOISE,
        "all together",
        params={"salt": _SALT},
    ),
    "cross": Corruption(
        "caejax.corruptions.shapes:cross", _SIZE, INPAINT, "all together"
    ),
    "box": Corruption("caejax.corruptions.shapes:box", _SIZE, INPAINT, "all together"),
}


def choose(name: str, **params: float) -> Choice:
    """A corruption and its parameters as one plain value.

    Args:
      name: a key of `CORRUPTIONS`.
      **params: values of the parameters that do not have their defaults.

    Raises:
      CaejaxError: see `caejax.parameters.choose`.
    """
    fields = "corruption.name", "corruption.params"
    return parameters.choose(CORRUPTIONS, name, params, fields)


def corrupt(
    choice: Choice, key: "jax.Array", images: "jax.Array", level: float
) -> "jax.Array":
    """Corrupts images.

    Args:
      choice: the corruption, as `choose` returns it.
      key: the random key of the corruption.
      images: images (B, H, W, C) in [0, 1].
      level: the corruption's level, within its range; may be traced.

    Returns:
      The corrupted images, of the same shape, dtype and range.
    """
    function = parameters.resolve(CORRUPTIONS[choice.name].function)
    return function(key, images, level=level, **dict(choice.params))
