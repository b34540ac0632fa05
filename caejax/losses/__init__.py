"""Losses by name, one value per image.

Training minimises their mean over the batch, or their sum for those that say so, and
reports the mean over images. The table itself does not import JAX: a further loss is an
entry here and its function.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from caejax import parameters
from caejax.parameters import Choice, Parameter

if TYPE_CHECKING:
    import jax


class Loss(NamedTuple):
    """A loss and how training uses it.

    Attributes:
      function: `f(output, target, **params)`, from two (B, H, W, C) to (B,), or its
        place as "module:function".
      from_logits: whether it takes the decoder's linear output, not the image, and
        needs a sigmoid as the output activation.
      summed: whether training minimises its sum over the batch, not its mean.
      params: the parameters that it takes besides the images, by name.
    """

    function: str | Callable[..., Any]
    from_logits: bool = False
    summed: bool = False
    params: Mapping[str, Parameter] = MappingProxyType({})

    @property
    def per_image(self) -> Callable[..., Any]:
        """The function."""
        return parameters.resolve(self.function)


LOSSES: dict[str, Loss] = {
    "bce": Loss("caejax.losses.per_image:bce", from_logits=True),
    "mse": Loss("caejax.losses.per_image:mse"),
    "l1": Loss("caejax.losses.per_image:l1"),
    "charbonnier": Loss(
        "caejax.losses.per_image:charbonnier",
        params={
            # Of 0, or so small that its square is, the gradient is none at errors of 0.
            "epsilon": Parameter(
                1e-3, low=1e-12, doc="Error below which it is quadratic."
            )
        },
    ),
    "log_mse": Loss(
        "caejax.losses.per_image:log_mse",
        params={
            "epsilon": Parameter(
                1e-4, low=1e-12, doc="Squared error below which images count less."
            )
        },
    ),
    "sse": Loss("caejax.losses.per_image:sse", summed=True),
}


def choose(name: str, **params: float) -> Choice:
    """A loss and its parameters as one plain value.

    Args:
      name: a key of `LOSSES`.
      **params: values of the parameters that do not have their defaults.

    Raises:
      CaejaxError: see `caejax.parameters.choose`.
    """
    return parameters.choose(LOSSES, name, params, ("loss", "loss_params"))


def loss_and_image(
    model: Any, choice: Choice, linear: "jax.Array", clean: "jax.Array"
) -> tuple["jax.Array", "jax.Array"]:
    """Loss and image of a decoder's linear output.

    Args:
      model: the model, whose `to_image` applies the output activation.
      choice: the loss, as `choose` returns it.
      linear: the decoder's linear output, (B, H, W, C).
      clean: the images that it should give, (B, H, W, C) in [0, 1].

    Returns:
      The loss of each image, (B,), and the images (B, H, W, C).
    """
    loss, image = LOSSES[choice.name], model.to_image(linear)
    output = linear if loss.from_logits else image
    return loss.per_image(output, clean, **dict(choice.params)), image
