"""Layers given one by one, each as a few words.

| words | layer | side n becomes | with `valid` |
| --- | --- | --- | --- |
| `conv3 32` | convolution 3 x 3 (`conv5`: 5 x 5) to 32 channels | n | n - 2 |
| `pool` | max-pool 2 x 2 | n / 2, rounded up | rounded down |
| `nearest 7/4` | nearest-neighbour resize, see `resize_nearest` | 7 n / 4 | |
| `deconv_k3 8` | any of `UPSAMPLING`, to 8 channels | 2 n | + `valid_growth` |

`valid` and the name of an activation may follow: "conv3 16 valid relu". In PyTorch,
pooling is `valid`, as are transposed convolutions without padding.
"""

import re
from fractions import Fraction
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from caejax.errors import did_you_mean
from caejax.models.kinds import STRIDE, UPSAMPLING, valid_growth
from caejax.models.layers import ACTIVATIONS, Conv
from caejax.models.upsampling import Upsample
from caejax.ops.nearest import resize_nearest
from caejax.ops.pool import max_pool

_COUNT = "[1-9][0-9]*"
_MOST = {"kernel_size": 999, "features": 2**31 - 1, "factor": 2**31 - 1}
_FORMS = (
    rf"(?P<op>conv)(?P<kernel_size>{_COUNT}) (?P<features>{_COUNT})",
    r"(?P<op>pool)",
    rf"(?P<op>nearest) (?P<factor>{_COUNT}(/{_COUNT})?)",
    rf"(?P<op>{'|'.join(UPSAMPLING)}) (?P<features>{_COUNT})",
)
_END = rf"( (?P<valid>valid))?( (?P<activation>{'|'.join(ACTIVATIONS)}))?"
_VALID = ("conv", "pool") + tuple(
    name for name, kind in UPSAMPLING.items() if valid_growth(kind) is not None
)
_KNOWN = (
    "layers look like 'conv3 32', 'pool', 'nearest 7/4' and 'deconv_k2 16', or any of "
    f"{', '.join(UPSAMPLING)} in its place; 'valid' may follow, and one of "
    f"{', '.join(ACTIVATIONS)}"
)


class Layer(NamedTuple):
    """What a layer's words say.

    Attributes:
      op: the operation: "conv", "pool", "nearest" or a name of `UPSAMPLING`.
      features: number of output channels; 0 where they stay as they are.
      kernel_size: the kernel's side, for "conv".
      factor: the resize's factor, for "nearest".
      valid: whether padding is VALID instead of SAME.
      activation: a name of `caejax.models.layers.ACTIVATIONS`.
    """

    op: str
    features: int = 0
    kernel_size: int = 0
    factor: Fraction = Fraction(1)
    valid: bool = False
    activation: str = "linear"


def parse(words: str) -> Layer:
    """Reads a layer's words.

    Raises:
      ValueError: they are not those of a layer; says what is known.
    """
    text = " ".join(words.split()) if isinstance(words, str) else ""
    matches = (re.fullmatch(form + _END, text) for form in _FORMS)
    found = next((match.groupdict() for match in matches if match), None)
    if found is None:
        names = ("conv1", "conv3", "conv5", "pool", "nearest", *UPSAMPLING)
        first = text.split(" ")[0]
        hint = "" if first in names else did_you_mean(first, names)
        raise ValueError(f"{words!r} is no layer{hint}; {_KNOWN}")
    if found["valid"] and found["op"] not in _VALID:
        raise ValueError(
            f"{words!r} is no layer: only {', '.join(_VALID)} can be 'valid'"
        )
    for name, most in _MOST.items():
        for number in re.findall(_COUNT, found.get(name) or ""):
            if len(number) > 10 or int(number) > most:
                raise ValueError(
                    f"{words[:40]!r} has the {name.replace('_', ' ')} {number[:20]}; "
                    f"it may be {most:,} at most"
                )
    return Layer(
        op=found["op"],
        features=int(found.get("features", 0)),
        kernel_size=int(found.get("kernel_size", 0)),
        factor=Fraction(found.get("factor", 1)),
        valid=found["valid"] is not None,
        activation=found["activation"] or "linear",
    )


def shapes_after(
    layers: tuple[str, ...], shape: tuple[int, int, int]
) -> list[tuple[int, int, int]]:
    """The (H, W, C) of what goes into the first layer and comes out of each.

    Raises:
      ValueError: words that are no layer, or a layer that leaves nothing.
    """
    shapes = [shape]
    for words in layers:
        layer, (*sides, channels) = parse(words), shapes[-1]
        sides = [_side_after(layer, side) for side in sides]
        if min(sides) < 1:
            height, width, _ = shapes[-1]
            raise ValueError(f"{words!r} leaves nothing of {height}x{width} pixels")
        shapes.append((*sides, layer.features or channels))
    return shapes


def _side_after(layer, side):
    if layer.op == "conv":
        return side - layer.kernel_size + 1 if layer.valid else side
    if layer.op == "pool":
        return side // 2 if layer.valid else -(-side // 2)
    if layer.op == "nearest":
        return side * layer.factor.numerator // layer.factor.denominator
    growth = valid_growth(UPSAMPLING[layer.op]) if layer.valid else 0
    return STRIDE * side + growth


class Stack(nn.Module):
    """Layers one after the other.

    Attributes:
      layers: each layer's words.
      initializer: a name of `caejax.models.layers.INITIALIZERS`.
      dtype: the computation's type.
    """

    layers: tuple[str, ...]
    initializer: str = "he_normal"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, C) to the last of `shapes_after`, for any H and W."""
        for layer in map(parse, self.layers):
            x = ACTIVATIONS[layer.activation](self._run(layer, x))
        return x

    def _run(self, layer, x):
        if layer.op == "pool":
            return max_pool(x, valid=layer.valid)
        if layer.op == "nearest":
            return resize_nearest(x, layer.factor)
        settings = {
            "valid": layer.valid,
            "initializer": self.initializer,
            "dtype": self.dtype,
        }
        if layer.op == "conv":
            return Conv(layer.features, layer.kernel_size, **settings)(x)
        return Upsample(layer.features, layer.op, **settings)(x)
