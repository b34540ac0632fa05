"""Corruptions as cameras and files have them, each with parameters of its own."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from caejax.corruptions.noise import gaussian

_BLOCK = 8
# Tables K.1 and K.2 of ITU-T T.81, for a quality of 50.
_LUMA_TABLE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.float32,
)
_CHROMA_TABLE = np.full((_BLOCK, _BLOCK), 99, np.float32)
_CHROMA_TABLE[:4, :4] = [
    [17, 18, 24, 47],
    [18, 21, 26, 66],
    [24, 26, 56, 99],
    [47, 66, 99, 99],
]
# From red, green and blue to luma and two chromas about 128: JFIF 1.02.
_TO_YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]],
    np.float32,
)
_TO_RGB = np.linalg.inv(_TO_YCC.astype(np.float64)).astype(np.float32)


def poisson_gaussian(
    key: jax.Array,
    images: jax.Array,
    *,
    level: float,
    shot: float = 1.0,
    read: float = 0.2,
) -> jax.Array:
    """Draws the photons of each value, and adds the noise of reading them out.

    y = a p + b n with p Poisson of mean x / a, n standard normal, a = (shot level)^2
    and b = read level: at white, shot noise has the standard deviation shot level.
    Foi et al., "Practical Poissonian-Gaussian noise modeling", 2008.

    Args:
      key: the random key.
      images: images (B, H, W, C) in [0, 1].
      level: the standard deviation of which the others are parts.
      shot: that of the shot noise at white, as a part of the level.
      read: that of the read noise, as a part of the level.
    """
    photons, reading = jax.random.split(key)
    a = jnp.asarray((shot * level) ** 2, jnp.float32)
    mean = images.astype(jnp.float32).clip(0) / jnp.where(a > 0, a, 1)
    counted = a * jax.random.poisson(photons, mean, images.shape)
    shown = jnp.where(a > 0, counted, images.astype(jnp.float32))
    return gaussian(reading, shown.astype(images.dtype), level=read * level)


def speckle(
    key: jax.Array,
    images: jax.Array,
    *,
    level: float,
    offset: float = 0.0,
    shared: float = 0.0,
) -> jax.Array:
    """Multiplies each value by noise: y = x + (x + offset) level n, n standard normal.

    Args:
      key: the random key.
      images: images (B, H, W, C) in [0, 1].
      level: the standard deviation of the factor.
      offset: what is added to a value before it is multiplied; above 0, black has
        noise, too.
      shared: the share of the noise's variance that the channels of a pixel have in
        common, 0 to 1.
    """
    own, common = jax.random.split(key)
    noise = (1 - shared) ** 0.5 * jax.random.normal(own, images.shape)
    pixels = (*images.shape[:-1], 1)
    noise = noise + shared**0.5 * jax.random.normal(common, pixels)
    return images + ((images + offset) * level * noise).astype(images.dtype)


def blur(
    key: jax.Array,
    images: jax.Array,
    *,
    level: float,
    width: float = 2.0,
    noise: float = 0.05,
) -> jax.Array:
    """Blurs with a Gaussian, then adds Gaussian noise.

    Beyond the image its outermost pixels are repeated; the Gaussian ends at four
    times `width`.

    Args:
      key: the random key.
      images: images (B, H, W, C) in [0, 1].
      level: how much of both, 0 to 1.
      width: the Gaussian's standard deviation in pixels at level 1.
      noise: the noise's standard deviation at level 1.
    """
    reach = math.ceil(4 * width)
    width = jnp.maximum(width * level, 1e-3)  # so narrow that the centre is alone
    x = images.astype(jnp.float32)
    places = range(-reach, reach + 1)
    weights = [jnp.exp(-((d / width) ** 2) / 2) for d in places]
    total = sum(weights)
    for axis in (1, 2):
        around = [(0, 0)] * 4
        around[axis] = (reach, reach)
        padded, size = jnp.pad(x, around, mode="edge"), x.shape[axis]
        x = sum(
            weight * jax.lax.slice_in_dim(padded, i, i + size, axis=axis)
            for i, weight in enumerate(weights)
        )
        x = x / total
    return gaussian(key, x.astype(images.dtype), level=noise * level)


def jpeg(
    key: jax.Array,
    images: jax.Array,
    *,
    level: float,
    worst: float = 10.0,
    best: float = 95.0,
    subsample: int = 1,
) -> jax.Array:
    """Compresses each image as a JPEG file of a quality that is drawn.

    Rounding is that of the format: of 8-bit values before, of coefficients, and of
    8-bit values behind. Its gradient is zero.

    Args:
      key: the random key.
      images: images (B, H, W, C) in [0, 1]; three channels are red, green and blue,
        others are compressed each by itself.
      level: how far the quality goes down from 100 to the drawn one, 0 to 1; at 0
        nothing is compressed.
      worst: the lowest quality that is drawn, 1 to 100.
      best: the highest.
      subsample: 1 to halve the chroma's height and width, 0 to keep them.
    """
    drawn = jax.random.uniform(key, (len(images), 1, 1, 1), minval=worst, maxval=best)
    quality = jnp.round(100 - level * (100 - drawn)).clip(1, 100)
    x = jnp.round(255 * images.astype(jnp.float32).clip(0, 1))
    if images.shape[-1] == 3:
        x = jnp.stack([_dot(x, row) for row in _TO_YCC], axis=-1)
        luma = _compressed(x[..., :1] - 128, _LUMA_TABLE, quality)
        chroma = x[..., 1:]
        if subsample:
            chroma = _halved(chroma)
        chroma = _compressed(chroma, _CHROMA_TABLE, quality)
        if subsample:
            chroma = _doubled(chroma, images.shape[1:3])
        x = jnp.concatenate([luma + 128, chroma], axis=-1)
        x = jnp.stack([_dot(x, row) for row in _TO_RGB], axis=-1)
    else:
        x = _compressed(x - 128, _LUMA_TABLE, quality) + 128
    files = (jnp.round(x).clip(0, 255) / 255).astype(images.dtype)
    return jnp.where(jnp.asarray(level) > 0, files, images)


def _dot(x, row):
    return sum(weight * x[..., i] for i, weight in enumerate(row.tolist()))


def _compressed(x, table, quality):
    """(B, H, W, C) about zero, its coefficients rounded to multiples of a table's."""
    height, width = x.shape[1:3]
    fill = ((0, 0), (0, -height % _BLOCK), (0, -width % _BLOCK), (0, 0))
    x = jnp.pad(x, fill, mode="edge")
    batch, rows, columns, channels = x.shape
    shape = (batch, rows // _BLOCK, _BLOCK, columns // _BLOCK, _BLOCK, channels)
    cosines = _cosines()
    blocks = jnp.einsum("ui,vj,brisjc->bruscv", cosines, cosines, x.reshape(shape))
    # Of the Independent JPEG Group's software.
    scale = jnp.where(quality < 50, 5000 / quality, 200 - 2 * quality)
    steps = jnp.floor((table.reshape(1, 1, -1) * scale[..., 0] + 50) / 100)
    steps = steps.clip(1, 255).reshape(batch, 1, _BLOCK, 1, 1, _BLOCK)
    blocks = steps * jnp.round(blocks / steps)
    x = jnp.einsum("ui,vj,bruscv->brisjc", cosines, cosines, blocks)
    return x.reshape(batch, rows, columns, channels)[:, :height, :width]


def _cosines():
    """The orthonormal cosine transform (8, 8), a row a frequency."""
    u, i = np.mgrid[:_BLOCK, :_BLOCK]
    rows = np.cos((2 * i + 1) * u * np.pi / (2 * _BLOCK)) * 0.5
    rows[0] /= np.sqrt(2)
    return rows.astype(np.float32)


def _halved(x):
    odd = ((0, 0), (0, x.shape[1] % 2), (0, x.shape[2] % 2), (0, 0))
    x = jnp.pad(x, odd, mode="edge")
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return x.mean(axis=(2, 4))


def _doubled(x, size):
    x = jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
    return x[:, : size[0], : size[1]]


def mixture(
    key: jax.Array,
    images: jax.Array,
    *,
    level: float,
    gaussian: float = 1.0,
    poisson_gaussian: float = 1.0,
    speckle: float = 1.0,
    jpeg: float = 1.0,
    blur: float = 1.0,
    strength: float = 4.0,
) -> jax.Array:
    """Corrupts each image in one of several ways, drawn by their weights.

    Args:
      key: the random key.
      images: images (B, H, W, C) in [0, 1].
      level: the level of noise.
      gaussian: the weight of each way, of which one at least is above 0; their own
        parameters have their defaults.
      poisson_gaussian: another weight.
      speckle: another.
      jpeg: another.
      blur: another.
      strength: the level of "jpeg" and "blur" is this times the level, 1 at most.
    """
    weights = {
        "gaussian": gaussian,
        "poisson_gaussian": poisson_gaussian,
        "speckle": speckle,
        "jpeg": jpeg,
        "blur": blur,
    }
    used = {name: weight for name, weight in weights.items() if weight > 0}
    drawing, corrupting = jax.random.split(key)
    if not used:
        return images
    shares = np.cumsum(list(used.values())) / sum(used.values())
    u = jax.random.uniform(drawing, (len(images), 1, 1, 1))
    strong = jnp.minimum(strength * level, 1)
    result, least = images, 0.0
    for name, share in zip(used, shares.tolist(), strict=True):
        own = strong if name in ("jpeg", "blur") else level
        made = _WAYS[name](corrupting, images, level=own)
        result = jnp.where((u >= least) & (u < share), made, result)
        least = share
    return result


_WAYS = {
    "gaussian": gaussian,
    "poisson_gaussian": poisson_gaussian,
    "speckle": speckle,
    "jpeg": jpeg,
    "blur": blur,
}
