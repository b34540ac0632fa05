"""Layers shared by encoders and decoders, and the names configs give to parts."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from caejax.ops.conv import conv, same_padding

Initializer = Callable[..., jax.Array]

# An upsampling layer corrects their scale; "flax_default" draws what `nn.Conv` and
# `nn.ConvTranspose` draw by default, and stays as drawn.
INITIALIZERS: dict[str, Initializer] = {
    "flax_default": nn.initializers.lecun_normal(),
    "glorot_uniform": nn.initializers.glorot_uniform(),
    "he_normal": nn.initializers.he_normal(),
    "lecun_normal": nn.initializers.lecun_normal(),
}

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "linear": lambda x: x,
    "relu": nn.relu,
    "sigmoid": nn.sigmoid,
}


DTYPES: dict[str, jnp.dtype] = {
    "float32": jnp.dtype(jnp.float32),
    "bfloat16": jnp.dtype(jnp.bfloat16),
}


class Conv(nn.Module):
    """`nn.Conv` of stride 1 with SAME padding, over `caejax.ops.conv`.

    Parameters have the names and shapes of `nn.Conv`: kernel (k, k, C, features)
    and bias (features,), so weights can be exchanged.
    """

    features: int
    kernel_size: int = 3
    initializer: str = "he_normal"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, C) to (B, H, W, features)."""
        shape = (self.kernel_size, self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", INITIALIZERS[self.initializer], shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        y = conv(x.astype(self.dtype), kernel.astype(self.dtype), same_padding(shape))
        return add_bias(y, bias)


def add_bias(x: jax.Array, bias: jax.Array) -> jax.Array:
    """Adds a (C,) bias to (..., C) in the dtype of x."""
    return x + jnp.expand_dims(bias.astype(x.dtype), tuple(range(x.ndim - 1)))
