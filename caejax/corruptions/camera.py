"""Corruptions as cameras and files have them, each with parameters of its own."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from caejax.corruptions.noise import gaussian

_BLOCK = 8
_GREYS = 255
# Of smaller ones there are more at white than whole numbers of 32 bits count. Of this
# one the noise deviates by less than 1/100 of a grey level.
_DARKEST_PHOTON = 1e-9
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
    np.int32,
)
_CHROMA_TABLE = np.full((_BLOCK, _BLOCK), 99, np.int32)
_CHROMA_TABLE[:4, :4] = [
    [17, 18, 24, 47],
    [18, 21, 26, 66],
    [24, 26, 56, 99],
    [47, 66, 99, 99],
]
# Of libjpeg, which counts in 65536ths: luma and two chromas of red, green and blue, and
# what is added before the shift (JFIF 1.02).
_HALF = 1 << 15
_TO_YCC = (
    ((19595, 38470, 7471), _HALF),
    ((-11059, -21709, 32768), (128 << 16) + _HALF - 1),
    ((32768, -27439, -5329), (128 << 16) + _HALF - 1),
)
# What red, green and blue have besides the luma, of the two chromas about zero.
_TO_RGB = ((0, 91881), (-22554, -46802), (116130, 0))


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
    Photons of less than 1e-9, whose noise cannot be seen, are not drawn.
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
    drawn = a > _DARKEST_PHOTON
    mean = images.astype(jnp.float32).clip(0) / jnp.where(drawn, a, 1)
    # A key an image: else one would depend on how long others take to be drawn.
    keys = jax.random.split(photons, len(images))
    counted = a * jax.vmap(jax.random.poisson)(keys, mean)
    shown = jnp.where(drawn, counted, images.astype(jnp.float32))
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

    It rounds where libjpeg does, in its default ("slow" integer) transform and with
    its smooth ("fancy") enlarging of chroma, so that files of Pillow and others have
    these values but for a few that are rounded elsewhere. The gradient is zero.

    Args:
      key: the random key.
      images: images (B, H, W, C) in [0, 1]; three channels are red, green and blue,
        others are compressed each by itself.
      level: how far the quality goes down from 100 to the drawn one, 0 to 1; at 0
        nothing is compressed.
      worst: the lowest quality that is drawn, 1 to 100.
      best: the highest.
      subsample: 1 to halve the chroma's height and width (4:2:0, what most programs
        do by default), 0 to keep them (4:4:4).
    """
    drawn = jax.random.uniform(key, (len(images), 1, 1, 1), minval=worst, maxval=best)
    quality = jnp.round(100 - level * (100 - drawn)).clip(1, 100).astype(jnp.int32)
    x = jnp.round(_GREYS * images.astype(jnp.float32).clip(0, 1)).astype(jnp.int32)
    if images.shape[-1] == 3:
        x = jnp.stack([_dot(x, row) + add >> 16 for row, add in _TO_YCC], axis=-1)
        luma = _compressed(x[..., :1], _LUMA_TABLE, quality)
        chroma = x[..., 1:]
        if subsample:
            chroma = _halved(chroma)
        chroma = _compressed(chroma, _CHROMA_TABLE, quality)
        if subsample:
            chroma = _doubled(chroma, images.shape[1:3])
        moved = [_dot(chroma - 128, row) + _HALF >> 16 for row in _TO_RGB]
        x = (luma + jnp.stack(moved, axis=-1)).clip(0, _GREYS)
    else:
        x = _compressed(x, _LUMA_TABLE, quality)
    files = (x.astype(jnp.float32) / _GREYS).astype(images.dtype)
    return jnp.where(jnp.asarray(level) > 0, files, images)


def _dot(x, row):
    return sum(weight * x[..., i] for i, weight in enumerate(row))


def _compressed(x, table, quality):
    """(B, H, W, C) in 0 to 255, its coefficients rounded to multiples of a table's."""
    height, width = x.shape[1:3]
    x = _filled(x, _BLOCK, _BLOCK)
    batch, rows, columns, channels = x.shape
    shape = (batch, rows // _BLOCK, _BLOCK, columns // _BLOCK, _BLOCK, channels)
    # Of libjpeg: along rows to quarters, then along columns to eighths.
    blocks = _rounded("vj,brisjc->brisvc", (x - 128).reshape(shape), 4)
    blocks = _rounded("ui,brisvc->brusvc", blocks, 1 / 4)
    scale = jnp.where(quality < 50, 5000 // quality, 200 - 2 * quality)[..., 0]
    steps = ((table.reshape(1, 1, -1) * scale + 50) // 100).clip(1, 255)
    steps = steps.reshape(batch, 1, _BLOCK, 1, _BLOCK, 1)
    whole = (jnp.abs(blocks) + 4 * steps) // (8 * steps)
    blocks = steps * jnp.sign(blocks) * whole
    blocks = _rounded("ui,brusvc->brisvc", blocks, 4)
    x = _rounded("vj,brisvc->brisjc", blocks, 1 / 32).reshape(x.shape)
    return (x[:, :height, :width] + 128).clip(0, _GREYS)


def _rounded(sums, blocks, scale):
    """The cosine transform of whole numbers along one axis, in whole numbers again."""
    values = jnp.einsum(
        sums, _cosines(), blocks.astype(jnp.float32), precision="highest"
    )
    return jnp.floor(scale * values + 0.5).astype(jnp.int32)


def _cosines():
    """The cosine transform (8, 8), a row a frequency, whose first is of ones."""
    u, i = np.mgrid[:_BLOCK, :_BLOCK]
    rows = np.cos((2 * i + 1) * u * np.pi / (2 * _BLOCK)) * np.sqrt(2)
    rows[0] = 1
    return rows.astype(np.float32)


def _filled(x, rows, columns):
    """Its last row and column repeated until there are multiples of so many."""
    fill = ((0, 0), (0, -x.shape[1] % rows), (0, -x.shape[2] % columns), (0, 0))
    return jnp.pad(x, fill, mode="edge")


def _halved(x):
    """The means of squares of four; columns are filled up before, rows are not."""
    x = _filled(x, 2, 2 * _BLOCK)
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // 2, 2, width // 2, 2, channels).sum((2, 4))
    # A half is rounded down and up in turn.
    bias = 1 + np.arange(width // 2, dtype=np.int32).reshape(1, 1, -1, 1) % 2
    return x + bias >> 2


def _doubled(x, size):
    """Each new value is 3/4 of the nearer and 1/4 of the next, along both axes."""
    x = x[:, :, : -(-size[1] // 2)]
    if x.shape[2] < 3:  # of so few, libjpeg repeats each
        return x.repeat(2, 1).repeat(2, 2)[:, : size[0], : size[1]]
    x = _between(_between(x, 1), 2)
    odd = np.arange(x.shape[2], dtype=np.int32).reshape(1, 1, -1, 1) % 2
    return (x + 8 - odd >> 4)[:, : size[0], : size[1]]


def _between(x, axis):
    """Twice as many along an axis, times four."""
    size = x.shape[axis]
    around = [(int(i == axis),) * 2 for i in range(4)]
    padded = jnp.pad(x, around, mode="edge")
    ends = (jax.lax.slice_in_dim(padded, i, i + size, axis=axis) for i in (0, 2))
    both = jnp.stack([3 * x + end for end in ends], axis=axis + 1)
    return both.reshape(*x.shape[:axis], 2 * size, *x.shape[axis + 1 :])


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
