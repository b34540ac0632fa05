"""Dead leaves: occluding discs with the statistics of natural images.

The model of Lee, Mumford & Huang, "Occlusion models for natural images" (2001), used
to train networks by Baradad et al., "Learning to see by looking at noise" (2021).
Discs fall until they hide the plane; with radii of density r^-3 the image looks
alike at every scale and its power spectrum falls roughly as 1/f².
"""

import numpy as np

from caejax.data.dataset import Part
from caejax.data.synthetic import check_request, stream

R_MIN = 1 / 50
"""Smallest radius, relative to the image's short side: half a pixel of 28, so that
the power law of small images holds down to the pixel."""

R_MAX = 1 / 2
"""Largest radius, relative to the image's short side: few images are one leaf."""

CHROMA = 0.1
"""Standard deviation of each colour channel about a leaf's brightness."""

SAMPLES = 3
"""Samples a pixel, along each side, that are averaged against aliasing."""

BATCH = 96
"""Leaves dropped at a time: each batch covers about half of what is still bare."""


def load(
    *,
    train_size: int,
    test_size: int,
    image_size: tuple[int, int],
    channels: int,
    seed: int,
) -> tuple[Part, Part]:
    """Draws train and test images of dead leaves, without labels.

    Example i is a function of (seed, split, i): asking for more keeps the earlier
    ones.

    Args:
      train_size: number of training images.
      test_size: number of test images.
      image_size: the images' (height, width), each at least 8.
      channels: number of channels: 1 for uniform greys; 3 for uniform brightness with
        a little colour, as the channels of natural images are strongly correlated
        (Ruderman, Cronin & Chiao, 1998).
      seed: the images' seed, not negative.

    Returns:
      (train, test): images (N, H, W, channels) in [0, 1], labels None.
    """
    check_request(train_size, test_size, image_size, channels, seed)
    return (
        _draw_split(train_size, image_size, channels, (seed, 0)),
        _draw_split(test_size, image_size, channels, (seed, 1)),
    )


def _draw_split(
    size: int, image_size: tuple[int, int], channels: int, where: tuple[int, int]
) -> Part:
    images = np.empty((size, *image_size, channels), np.float32)
    samples = _samples(image_size)
    extent = np.array(image_size[::-1]) / min(image_size)
    radii = _radii(extent)
    for i in range(size):
        colours = _cover(stream(*where, i), samples, extent, radii, channels)
        images[i] = _average(colours, image_size)
    return Part(images)


def _samples(image_size: tuple[int, int]) -> np.ndarray:
    """Rows (x, y, x² + y², 1) in short sides from the centre, (SAMPLES² * H * W, 4)."""
    height, width = (SAMPLES * side for side in image_size)
    y, x = np.indices((height, width), np.float32).reshape(2, -1)
    x = (x - (width - 1) / 2) / min(height, width)
    y = (y - (height - 1) / 2) / min(height, width)
    return np.stack([x, y, x**2 + y**2, np.ones_like(x)], axis=1)


def _average(colours: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    height, width = image_size
    return colours.reshape(height, SAMPLES, width, SAMPLES, -1).mean(axis=(1, 3))


def _radii(extent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distribution function, and its radii, of leaves that reach the image.

    Of leaves of density r^-3 that fall all over the plane, those of radius r reach an
    image of width w and height h in proportion to (w + 2r)(h + 2r).
    """
    radii = np.geomspace(R_MIN, R_MAX, 1024)
    # On a geometric scale dr is proportional to r.
    density = radii**-2 * np.prod(extent + 2 * radii[:, None], axis=1)
    area = np.append(0, np.cumsum(density[1:] + density[:-1]))
    return area / area[-1], radii


def _cover(
    rng: np.random.Generator,
    samples: np.ndarray,
    extent: np.ndarray,
    radii: tuple[np.ndarray, np.ndarray],
    channels: int,
) -> np.ndarray:
    """The colour of the first leaf over each sample, (P, channels).

    Drawing from front to back leaves ever fewer bare samples to test, and ends when
    there are none.
    """
    colours = np.full((len(samples), channels), np.nan, np.float32)
    bare = np.arange(len(samples))
    while bare.size:
        covers = samples[bare] @ _leaves(rng, extent, radii) < 0
        first = covers.argmax(axis=1)
        covered = covers[np.arange(bare.size), first]
        colours[bare[covered]] = _paint(rng, channels)[first[covered]]
        bare = bare[~covered]
    return colours


def _leaves(
    rng: np.random.Generator, extent: np.ndarray, radii: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Columns that give |p - c|² - r² for a sample's row, (4, BATCH)."""
    radius = np.interp(rng.random(BATCH), *radii)
    reach = extent / 2 + radius[:, None]
    x, y = rng.uniform(-reach, reach).T
    rest = x**2 + y**2 - radius**2
    return np.stack([-2 * x, -2 * y, np.ones(BATCH), rest]).astype(np.float32)


def _paint(rng: np.random.Generator, channels: int) -> np.ndarray:
    brightness = rng.random((BATCH, 1))
    if channels == 1:
        return brightness
    return np.clip(brightness + CHROMA * rng.normal(size=(BATCH, 3)), 0, 1)
