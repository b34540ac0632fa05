"""Encoders: images to codes."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from caejax.models.layers import ACTIVATIONS, Conv, Dense
from caejax.ops.pool import blur_pool, max_pool

BOTTLENECKS = ("projection", "pooled")

# How a stage halves its image: by a pool behind a 3 x 3 convolution and its activation,
# or by the convolution's own stride.
POOLS = {"max_pool": max_pool, "blur_pool": blur_pool}
STRIDED = {"stride_k3": 3, "stride_k4": 4}  # kernel sizes
DOWNSAMPLING = (*POOLS, *STRIDED)


class ConvEncoder(nn.Module):
    """A stage per width, which halves the image, then the bottleneck.

    Attributes:
      widths: numbers of channels of the stages, from the image inwards.
      latent_channels: number of channels of the code.
      bottleneck: "projection" adds a 1 x 1 convolution from the last stage to the
        code, so widths and code size vary independently; "pooled" lets the last
        stage itself have latent_channels channels, as in the classic examples.
      downsampling: what stages are made of. "max_pool": 3 x 3 convolution, ReLU, 2 x 2
        max-pool; "blur_pool": the same with `caejax.ops.pool.blur_pool`; "stride_k3",
        "stride_k4": a convolution of that size and of stride 2, ReLU.
      refine: number of further 3 x 3 convolutions with ReLU in each stage, before its
        pool or behind its stride.
      code_activation: a name of `caejax.models.layers.ACTIVATIONS`.
      initializer: a name of `caejax.models.layers.INITIALIZERS`.
      dtype: the computation's type.
    """

    widths: tuple[int, ...]
    latent_channels: int
    bottleneck: str = "projection"
    downsampling: str = "max_pool"
    refine: tuple[int, ...] = ()
    code_activation: str = "linear"
    initializer: str = "he_normal"
    dtype: jnp.dtype = jnp.float32

    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, C) to (B, ceil(H/2^L), ceil(W/2^L), latent_channels)."""
        return self.with_features(x)[0]

    @nn.compact
    def with_features(self, x: jax.Array) -> tuple[jax.Array, list[jax.Array]]:
        """As `__call__`, and what each stage has before it halves the image.

        That is the map that a pool sees, or that goes into a convolution of stride 2,
        the image itself at first: (B, ceil(H/2^l), ceil(W/2^l), C) for l = 0, 1, ….
        """
        activation = ACTIVATIONS[self.code_activation]
        _check("bottleneck", self.bottleneck, BOTTLENECKS)
        _check("downsampling", self.downsampling, DOWNSAMPLING)
        pooled = self.bottleneck == "pooled"
        widths = (*self.widths[:-1], self.latent_channels) if pooled else self.widths
        features = []
        for stage, width in enumerate(widths):
            last = pooled and stage == len(widths) - 1
            x, before = self._stage(x, stage, width, activation if last else nn.relu)
            features.append(before)
        if not pooled:
            x = activation(self._conv(self.latent_channels, kernel_size=1)(x))
        return x, features

    def _stage(self, x, stage, width, activation):
        """What a stage makes of a map, and the map that it halves."""
        more = self.refine[stage] if self.refine else 0
        if self.downsampling in STRIDED:
            y = self._conv(width, STRIDED[self.downsampling], 2)(x)
            return self._refined(y, stage, more, activation), x
        y = self._refined(self._conv(width)(x), stage, more, activation)
        return POOLS[self.downsampling](y), y

    def _refined(self, x, stage, more, activation):
        for i in range(more):
            x = self._conv(x.shape[-1], name=f"refine_{stage}_{i}")(nn.relu(x))
        return activation(x)

    def _conv(self, features, kernel_size=3, stride=1, name=None):
        return Conv(
            features,
            kernel_size,
            stride=stride,
            initializer=self.initializer,
            dtype=self.dtype,
            name=name,
        )


def _check(name, value, known):
    if value not in known:
        raise ValueError(f"{name} is {value!r}; known: {known}")


class DenseEncoder(nn.Module):
    """Dense layers with ReLU, then a dense code.

    Attributes:
      widths: numbers of hidden units before the code; often none.
      latent_channels: number of units of the code.
      code_activation, initializer, dtype: as in `ConvEncoder`.
    """

    widths: tuple[int, ...]
    latent_channels: int
    code_activation: str = "relu"
    initializer: str = "he_normal"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, C) to (B, latent_channels)."""
        x = x.reshape(x.shape[0], -1).astype(self.dtype)
        for width in self.widths:
            x = nn.relu(self._dense(width)(x))
        return ACTIVATIONS[self.code_activation](self._dense(self.latent_channels)(x))

    def _dense(self, features):
        return Dense(features, initializer=self.initializer, dtype=self.dtype)
