"""What a decoder makes of codes of which one knows what they ought to become.

Of a constant code a constant, but for the borders; of a code that rises linearly, a
ramp. Both are decoded once, for all metrics and periods that look at them.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from caejax.errors import WrongValue
from caejax.metrics.phases import check_period, crop_to_multiple
from caejax.ops.checks import check_images

Decode = Callable[[jax.Array], jax.Array]

TILES = 12
RISE = 1 / 12  # of the code itself, for each of its pixels down and across
_LONGEST = 8  # period that there is room for, whatever is asked


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["flat", "ramp"],
    meta_fields=["scale"],
)
@dataclasses.dataclass(frozen=True)
class Responses:
    """Images that a decoder has made of codes of its own choice.

    To JAX the scale is part of the structure: programs may take and return it.

    Attributes:
      flat: what it made of constant codes, (B, H, W, C).
      ramp: what it made of the same, rising, (B, H, W, C); or nothing.
      scale: how many pixels each of the code's has become, about.
    """

    flat: jax.Array
    ramp: jax.Array | None
    scale: int

    def behind(self, function: Callable[[jax.Array], jax.Array]) -> "Responses":
        """What a function of images, (B, H, W, C) to the same, makes of them."""
        return jax.tree.map(function, self)


def responses(decode: Decode, features: jax.Array, period: int = _LONGEST) -> Responses:
    """Decodes the mean code of each image: constant, and rising by `RISE`.

    Args:
      decode: as for `response`.
      features: as for `response`.
      period: as for `response`.

    Raises:
      ValueError: what decode makes has no room for a period inside its borders.
    """
    ramp = response(decode, features, period, RISE).flat
    return dataclasses.replace(response(decode, features, period), ramp=ramp)


def response(
    decode: Decode, features: jax.Array, period: int, rise: jax.Array | float = 0.0
) -> Responses:
    """Decodes the mean code of each image, constant or rising.

    A code's mean over space c is tiled, and becomes c (1 + r (y + x)) at the code's
    pixels (y, x), counted from the middle.

    Args:
      decode: function from (B, h, w, K) to (B, s*h, s*w, C), or nearly, for any h
        and w.
      features: (B, h, w, K) codes of real images.
      period: the longest period S that there must be room for.
      rise: r, a scalar; 0 for constant codes.

    Returns:
      What it made, as `flat`, without a ramp.

    Raises:
      ValueError: what decode makes has no room for a period inside its borders.
    """
    code, tiles, scale = _prepared(decode, features, period)
    steps = jnp.arange(tiles) - (tiles - 1) / 2
    slope = 1 + rise * (steps[:, None] + steps[None])
    return Responses(decode(code * slope[None, :, :, None]), None, scale)


def _prepared(decode, features, period):
    check_images(features, "features")
    check_period(period)
    code = jnp.mean(features, (1, 2), keepdims=True)
    return code, *_fewest_tiles(decode, code, max(period, _LONGEST))


def flat_inside(responses: Responses, period: int) -> jax.Array:
    """The flat response clear of its borders: (B, H', W', C), multiples of S."""
    margin = margin_of(responses.scale, period)
    return crop_to_multiple(responses.flat[:, margin:-margin, margin:-margin], period)


def constant_response(decode: Decode, features: jax.Array, period: int) -> jax.Array:
    """Decodes constant feature maps, clear of the borders.

    Args:
      decode: function from (B, h, w, K) to (B, s*h, s*w, C), or nearly, for any h
        and w.
      features: (B, h, w, K) codes of real images; averaged over space and tiled
        to 12 x 12, or as many as the period needs.
      period: the period S; at least four periods, and four of the decoder's own
        strides s, are cropped from every border. Those of carafe reach further: see
        `caejax.metrics.borders`.

    Returns:
      The decoded images, (B, H', W', C), H' and W' multiples of S.
    """
    check_images(features, "features")
    check_period(period)
    code = jnp.mean(features, (1, 2), keepdims=True)
    tiles, scale = _fewest_tiles(decode, code, period)
    image = decode(_tiled(code, tiles))
    return flat_inside(Responses(image, None, scale), period)


def margin_of(scale: int, period: int) -> int:
    """How many pixels of each border are left out."""
    return max((4 if scale < 8 else 5) * scale, 4 * period)


def _tiled(code, tiles):
    return jnp.broadcast_to(code, (code.shape[0], tiles, tiles, code.shape[-1]))


def _fewest_tiles(decode, code, period):
    """The side of a map of codes, at least 12, that a period needs; the scale."""

    def size(tiles):
        return jax.eval_shape(lambda code: decode(_tiled(code, tiles)), code).shape

    side = size(TILES)[1]
    scale = -(-side // TILES)
    least = 2 * margin_of(scale, period) + period
    # Layers without padding make the image somewhat larger or smaller than s h.
    tiles = max(TILES, -(-least // max(1, side // TILES)))
    height, width = size(tiles)[1:3]
    if min(height, width) < least:
        raise WrongValue(
            f"decode made {height}x{width} pixels of a feature map of "
            f"{tiles}x{tiles}; it must take any size, and period {period} needs {least}"
        )
    return tiles, scale
