"""Resizes whose weights depend on content: CARAFE and DySample.

Both double height and width, leave the channels as they are, and learn what makes
their weights, the guides: convolutions of the very images that they resize. What each
kind is, `caejax.models.kinds` says.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from caejax.models.kinds import REASSEMBLED, STRIDE, Kind, offset_groups
from caejax.models.layers import INITIALIZERS, add_bias
from caejax.ops.conv import conv, same_padding
from caejax.ops.polyphase import depth_to_space
from caejax.ops.reassembly import reassemble, sample

Guide = dict[str, jax.Array]  # a convolution's "kernel" and "bias"

_PHASES = STRIDE**2
_SCOPE = 0.25  # of DySample's offsets, in input pixels for an output of one


def initial_guide(key: jax.Array, name: str, shape: tuple[int, ...]) -> Guide:
    """Draws a guide as its paper does: all but the compressor close to zero.

    Args:
      key: the random key.
      name: one of `caejax.models.kinds.guide_shapes`.
      shape: the kernel's shape, as given there.

    Returns:
      The kernel and the bias, float32; the bias is zero.
    """
    small = nn.initializers.normal(0.001)
    compresses = name == "channel_compressor"
    draw = INITIALIZERS["glorot_uniform"] if compresses else small
    return {"kernel": draw(key, shape, jnp.float32), "bias": jnp.zeros(shape[-1])}


def resize(x: jax.Array, kind: Kind, guides: dict[str, Guide]) -> jax.Array:
    """Doubles height and width as a kind of `CONTENT` does, before its convolution.

    Weights and their sums are computed in float32.

    Args:
      x: images (B, H, W, C).
      kind: the layer's kind.
      guides: its guides by name. Their channels are ordered as in the published
        modules: the phase innermost, as `torch.nn.PixelShuffle` takes it.

    Returns:
      Images (B, 2H, 2W, C) of the same type.
    """
    wide = x.astype(jnp.float32)
    if kind.run == "carafe":
        y = reassemble(wide, _carafe_weights(x, guides))
    else:
        y = sample(wide, _dysample_offsets(x, guides))
    y = y.reshape(*y.shape[:3], -1)
    return depth_to_space(y, STRIDE).astype(x.dtype)


def _carafe_weights(x, guides):
    """(B, H, W, 4, 1, 25), which sum to one."""
    x = _guide(x, guides["channel_compressor"])
    logits = _guide(x, guides["content_encoder"]).astype(jnp.float32)
    logits = logits.reshape(*x.shape[:3], REASSEMBLED, _PHASES).swapaxes(3, 4)
    return jax.nn.softmax(logits)[..., None, :]


def _dysample_offsets(x, guides):
    """(B, H, W, 4, G, 2): rows, then columns, from a pixel to its four samples."""
    offsets = _SCOPE * _guide(x, guides["offset"]).astype(jnp.float32)
    groups = offset_groups(x.shape[-1])
    # In the module columns come first.
    offsets = offsets.reshape(*x.shape[:3], 2, groups, _PHASES)[..., ::-1, :, :]
    offsets = offsets.transpose(0, 1, 2, 5, 4, 3)
    # Where bilinear resizing samples: a quarter of a pixel before and behind.
    axis = (jnp.arange(STRIDE) - (STRIDE - 1) / 2) / STRIDE
    start = jnp.stack(jnp.meshgrid(axis, axis, indexing="ij"), axis=-1)
    return offsets + start.reshape(1, 1, 1, _PHASES, 1, 2)


def _guide(x, guide):
    kernel = guide["kernel"].astype(x.dtype)
    return add_bias(conv(x, kernel, same_padding(kernel.shape)), guide["bias"])
