"""Sums of neighbouring pixels whose weights differ from place to place.

As sums of shifted images, which a CPU runs well. Only what lies further off than the
next pixel is gathered: the gradient of a gather is a scatter, which a CPU does one
pixel at a time.
"""

import jax
import jax.numpy as jnp

from caejax.ops import paths


def reassemble(x: jax.Array, weights: jax.Array, *, border: str = "zero") -> jax.Array:
    """Weighted sums of the k x k pixels around each pixel.

    y[m, p, c] = sum_t weights[m, p, g, t] x[m + d_t, c], g the group of channel c,
    d_t the places of a k x k window, row by row.

    Args:
      x: images (B, H, W, C).
      weights: the weights, (B, H, W, P, G, k*k), k odd, of P sums for each of G groups
        of C / G consecutive channels.
      border: what surrounds x: "zero", or "edge" for its outermost pixels.

    Returns:
      The sums, (B, H, W, P, C).
    """
    *_, groups, taps = weights.shape
    reach = (round(taps**0.5) - 1) // 2
    around = ((0, 0), (reach, reach), (reach, reach), (0, 0))
    x = jnp.pad(x, around, mode="edge" if border == "edge" else "constant")
    x = x.reshape(*x.shape[:3], groups, -1)
    sums = _sums_matmul if paths.chosen() == "matmul" else _sums
    y = sums(x, weights)
    return y.reshape(*y.shape[:4], -1)


def _sums(x, weights):
    """(B, H + k - 1, W + k - 1, G, C / G) and the weights to (B, H, W, P, G, C / G)."""
    windows = _windows(x, weights.shape)
    return sum(weights[..., t, None] * part for t, part in enumerate(windows))


def _windows(x, shape):
    """The pixels that each weight meets: k*k times (B, H, W, 1, G, C / G)."""
    height, width, k = shape[1], shape[2], round(shape[-1] ** 0.5)
    x = x[:, :, :, None]
    return [x[:, i : i + height, j : j + width] for i in range(k) for j in range(k)]


@jax.custom_vjp
def _sums_matmul(x, weights):
    return _sums(x, weights)


def _forward(x, weights):
    return _sums(x, weights), (x, weights)


def _backward(residuals, grad):
    x, weights = residuals
    windows = _windows(x, weights.shape)
    k = round(len(windows) ** 0.5)

    def of_row(i):
        row = jnp.concatenate(windows[i * k : (i + 1) * k], axis=3)
        return jnp.einsum("bhwpgc,bhwtgc->bhwpgt", grad, row)

    # A row of the window at a time: all of it at once takes long to write down.
    of_weights = jnp.concatenate([of_row(i) for i in range(k)], axis=-1)
    return _image_gradient(grad, weights), of_weights


def _image_gradient(grad, weights):
    """Each pixel collects from the windows it lies in: the turned sums."""
    k = round(weights.shape[-1] ** 0.5)
    around = ((0, 0), (k - 1, k - 1), (k - 1, k - 1), *[(0, 0)] * 3)
    height, width = (side + k - 1 for side in grad.shape[1:3])
    grad, weights = jnp.pad(grad, around), jnp.pad(weights, around)

    def part(t, p):
        i, j = k - 1 - t // k, k - 1 - t % k
        place = (slice(None), slice(i, i + height), slice(j, j + width), p)
        return weights[place][..., t, None] * grad[place]

    return sum(part(t, p) for t in range(k * k) for p in range(grad.shape[3]))


_sums_matmul.defvjp(_forward, _backward)


def sample(x: jax.Array, offsets: jax.Array) -> jax.Array:
    """Bilinear samples of images at offsets from each of their pixels.

    Beyond the border lie the outermost pixels. The same as PyTorch's `grid_sample` at
    these places, with mode "bilinear", padding_mode "border", align_corners False.

    Args:
      x: images (B, H, W, C).
      offsets: rows and columns between a pixel and its samples, (B, H, W, P, G, 2), of
        P samples for each of G groups of C / G consecutive channels; of any size.

    Returns:
      The samples, (B, H, W, P, C).
    """
    return (_sample_matmul if paths.chosen() == "matmul" else _gathered)(x, offsets)


@jax.custom_vjp
def _sample_matmul(x, offsets):
    return jax.lax.cond(_near(offsets), _from_next_pixels, _gathered, x, offsets)


def _near(offsets):
    return ((offsets >= -1) & (offsets < 1)).all()


def _sample_forward(x, offsets):
    return _sample_matmul(x, offsets), (x, offsets)


def _sample_backward(residuals, grad):
    """Goes forward again: what that costs is less than to keep both ways' residuals."""

    def back(function):
        return lambda *args: jax.vjp(function, *args[:2])[1](args[2])

    ways = map(back, (_from_next_pixels, _gathered))
    return jax.lax.cond(_near(residuals[1]), *ways, *residuals, grad)


_sample_matmul.defvjp(_sample_forward, _sample_backward)


def _from_next_pixels(x, offsets):
    # Samples and groups on one axis: jaxlib 0.10.2 to 0.11.1 crash at products of seven
    # axes, one of them of length 1, that are added up (JAX's issue 40412).
    flat = offsets.reshape(*offsets.shape[:3], -1, 2, 1)
    low = jnp.floor(flat)
    rest = flat - low
    places = jnp.array([-1.0, 0.0, 1.0]).reshape(1, 1, 1, 1, 1, 3)
    from_low = places - low  # 0 at the lower neighbour, 1 at the upper
    weights = jnp.where(from_low == 0, 1 - rest, jnp.where(from_low == 1, rest, 0))
    rows, columns = weights[..., 0, :, None], weights[..., 1, None, :]
    weights = (rows * columns).reshape(*offsets.shape[:-1], 9)
    return reassemble(x, weights, border="edge")


def _gathered(x, offsets):
    batch, height, width, channels = x.shape
    groups = offsets.shape[4]
    own = jnp.moveaxis(jnp.indices((height, width)), 0, -1)
    last = jnp.array([height - 1, width - 1]).reshape(1, 1, 1, 1, 1, 2)
    places = jnp.clip(own[None, :, :, None, None] + offsets, 0, last)
    low = jnp.floor(places)
    rest = places - low
    low = low.astype(int)
    high = jnp.minimum(low + 1, last)
    x = x.reshape(batch, height * width * groups, channels // groups)

    def corner(rows, columns):
        pixels = (rows * width + columns) * groups
        pixels = pixels + jnp.arange(groups).reshape(1, 1, 1, 1, groups)
        found = jnp.take_along_axis(x, pixels.reshape(batch, -1, 1), axis=1)
        return found.reshape(*pixels.shape, channels // groups)

    down, right = rest[..., :1], rest[..., 1:]
    above, below = (
        (1 - right) * corner(rows, low[..., 1]) + right * corner(rows, high[..., 1])
        for rows in (low[..., 0], high[..., 0])
    )
    y = (1 - down) * above + down * below
    return y.reshape(*y.shape[:4], channels)
