"""Handwritten-looking digits, drawn by a procedural pen.

A digit is a few splines through hand-placed points. Each example bends them by a
smooth random field, slants, turns and fits them into the box that MNIST uses (20 of
28 pixels), then inks the pen's path with a soft edge. Nothing is read or downloaded.
"""

from typing import NamedTuple

import numpy as np

from caejax.data.dataset import Part
from caejax.data.synthetic import check_request, stream

# Ways of writing each digit, as MNIST draws them: about 20 high, y down. Points "x,y"
# make a spline; "|" starts another, which makes a corner if it starts where the last
# one ended and lifts the pen if not.
DIGITS = (
    (  # 0
        "9,0 4,2 1,8 2,15 7,20 13,17 15,10 13,3 8,0",
        "7,0 2,4 0,10 2,17 7,20 13,16 14,9 11,2 6,0",
        "12,3 8,0 3,3 0,11 2,18 7,20 12,14 13,6 9,1 6,2",
        "6,2 1,7 0,14 4,20 10,18 14,10 12,3 7,0 3,3",
        "11,1 5,1 1,7 1,14 6,20 13,18 16,11 14,4 9,1 7,5",
    ),
    (  # 1
        "3,0 3,7 3,13 3,20",
        "3,0 4,7 4,13 3,20",
        "4,0 4,6 3,14 3,20",
        "0,5 3,3 5,0 | 5,0 5,10 5,20",
        "0,4 3,3 6,0 | 6,0 6,10 6,20 | 1,20 6,20 11,20",
    ),
    (  # 2
        "1,5 3,1 7,0 11,2 11,7 8,12 4,16 0,20 | 0,20 6,19 15,20",
        "1,4 5,0 10,1 11,6 8,13 4,18 1,19 0,17 3,15 8,18 12,20 16,18",
        "0,3 5,0 10,2 10,8 6,14 1,19 | 1,19 6,17 10,19 16,18",
        "2,2 8,0 12,4 9,10 3,16 1,19 6,20 15,18",
    ),
    (  # 3
        "1,3 5,0 10,1 11,5 8,8 4,9 | 4,9 9,10 12,14 10,18 5,20 0,17",
        "0,2 5,0 10,2 9,7 5,9 4,10 6,9 11,12 11,17 6,20 0,18",
        "1,1 6,1 12,0 | 12,0 8,4 5,8 | 5,8 10,10 12,14 9,19 4,20 0,18",
        "2,2 8,0 12,3 10,7 6,9 | 6,9 12,11 13,16 8,20 0,18",
    ),
    (  # 4
        "2,0 1,5 0,11 | 0,11 7,11 15,10 | 11,2 11,10 10,20",
        "1,1 0,6 2,11 7,11 11,8 12,3 | 12,1 11,10 10,20",
        "9,0 5,6 0,13 | 0,13 7,13 14,12 | 9,0 9,10 9,20",
        "1,2 1,8 6,10 14,8 | 14,0 13,8 12,14 11,20",
        "4,0 3,5 0,12 | 0,12 8,12 16,10 | 12,5 10,12 8,20",
    ),
    (  # 5
        "2,0 2,4 1,9 | 1,9 5,7 10,9 11,14 8,19 4,20 0,18 | 2,0 7,1 13,0",
        "12,0 8,0 3,1 | 3,1 3,5 2,8 | 2,8 8,9 11,14 8,19 3,20 0,18",
        "12,0 6,1 3,4 4,8 9,11 10,16 6,20 0,19",
        "4,1 4,4 3,8 | 3,8 8,9 10,14 7,19 0,19 | 4,2 9,2 16,0",
    ),
    (  # 6
        "9,0 4,5 1,11 1,17 5,20 10,18 12,13 7,11 3,13 1,16",
        "6,0 2,6 0,14 3,20 9,19 11,14 7,11 2,14",
        "11,1 6,2 2,8 1,15 5,20 11,17 11,12 6,11 2,16",
        "8,0 5,4 2,11 2,17 6,20 12,18 14,14 10,12 4,17",
    ),
    (  # 7
        "0,1 6,1 13,0 | 13,0 9,9 6,20",
        "0,3 4,0 12,1 | 12,1 9,9 7,20",
        "0,1 6,1 12,0 | 12,0 8,9 5,20 | 3,10 7,10 12,9",
        "0,4 1,1 6,1 11,0 11,5 8,12 5,20",
    ),
    (  # 8
        "11,3 7,0 2,2 3,7 8,11 11,16 7,20 2,18 3,13 8,8 13,2",
        "8,9 3,6 3,2 7,0 11,3 10,7 4,11 1,16 5,20 10,18 11,13 6,9",
        "7,9 3,7 3,2 7,0 11,3 10,7 7,9 | 7,9 2,12 1,17 6,20 11,17 11,12 7,9",
    ),
    (  # 9
        "11,3 7,0 2,2 1,7 5,10 9,8 11,3 | 11,3 11,11 10,20",
        "11,2 6,0 1,4 2,9 7,10 11,3 | 11,3 11,10 10,16 7,20 2,18",
        "11,5 9,1 4,1 1,5 3,9 8,8 11,2 10,10 6,20",
        "13,3 8,1 2,4 1,9 6,10 13,2 | 13,2 11,11 8,20",
    ),
)

BOX = 20 / 28
"""Side of the square that holds a digit, relative to the image's short side."""

PEN_WIDTH = 2.6 / 28
"""Median width of a stroke, relative to the image's short side."""

EDGE = 1.3
"""Width of the ramp from ink to paper, in pixels."""

PLANE_MODES = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (1, 2), (2, 1))
"""Frequencies (across, down) of the cosines that bend the plane."""

PATH_MODES = (1, 2, 3)
"""Frequencies of the cosines that make the pen drift along its path."""

BEND = 0.11
"""Size of both at frequency 1, relative to half the digit's height; falls as 1/f²."""


class Path(NamedTuple):
    """One way of writing a digit, sampled at even steps of the pen.

    Attributes:
      points: places (x, y), (M, 2), y down, centred and 2 high.
      modes: smooth functions of place, then of pen time, to bend the path by, (M, K).
    """

    points: np.ndarray
    modes: np.ndarray


def load(
    *,
    train_size: int,
    test_size: int,
    image_size: tuple[int, int],
    channels: int,
    seed: int,
) -> tuple[Part, Part]:
    """Draws train and test digits.

    Example i is a function of (seed, split, i): asking for more keeps the earlier
    ones, and another image size draws the same digits finer or coarser. Every ten
    labels in a row hold each digit once.

    Args:
      train_size: number of training images.
      test_size: number of test images.
      image_size: the images' (height, width), each at least 8.
      channels: number of channels: 1 for white ink on black, 3 for one random bright
        colour a digit.
      seed: the images' seed, not negative.

    Returns:
      (train, test): images (N, H, W, channels) in [0, 1], labels in 0..9.
    """
    check_request(train_size, test_size, image_size, channels, seed)
    paths = _paths(image_size)
    return (
        _draw_split(paths, train_size, image_size, channels, (seed, 0)),
        _draw_split(paths, test_size, image_size, channels, (seed, 1)),
    )


def _draw_split(
    paths: list[list[Path]],
    size: int,
    image_size: tuple[int, int],
    channels: int,
    where: tuple[int, int],
) -> Part:
    labels = _labels(stream(*where), size)
    images = np.empty((size, *image_size, channels), np.float32)
    pixels = _pixels(image_size)
    for i, label in enumerate(labels):
        rng = stream(*where, i)
        points, radii = _write(rng, paths[label], min(image_size))
        ink = _ink(points, radii, pixels).reshape(*image_size, 1)
        images[i] = ink * _colour(rng, channels)
    return Part(images, labels)


def _labels(rng: np.random.Generator, size: int) -> np.ndarray:
    tens = np.tile(np.arange(10, dtype=np.int32), (-(-size // 10), 1))
    return rng.permuted(tens, axis=1).ravel()[:size]


def _colour(rng: np.random.Generator, channels: int) -> np.ndarray:
    brightness = rng.uniform(0.9, 1)
    if channels == 1:
        return np.array([brightness])
    colour = rng.uniform(0.1, 1, 3)
    return brightness * colour / colour.max()


def _paths(image_size: tuple[int, int]) -> list[list[Path]]:
    # Discs at these steps leave notches of less than 0.1 pixel along the edge.
    steps = int(16 * min(image_size) ** 0.5)
    return [[_path(way, steps) for way in ways] for ways in DIGITS]


def _path(way: str, steps: int) -> Path:
    curves = [_spline(_parse(points)) for points in way.split("|")]
    lengths = [np.linalg.norm(np.diff(curve, axis=0), axis=1) for curve in curves]
    # The pen's clock stands still while it is lifted.
    clock = np.cumsum(np.concatenate([np.append(0, length) for length in lengths]))
    time = np.linspace(0, 1, steps)
    curve = np.concatenate(curves)
    points = np.stack([np.interp(time, clock / clock[-1], xy) for xy in curve.T], 1)
    points = _centred(points) / 10
    return Path(points, _modes(points, time))


def _parse(points: str) -> np.ndarray:
    return np.array([point.split(",") for point in points.split()], float)


def _spline(points: np.ndarray, steps: int = 16) -> np.ndarray:
    """The Catmull-Rom spline (Catmull & Rom, 1974) through `points`, (N, 2)."""
    first, last = 2 * points[0] - points[1], 2 * points[-1] - points[-2]
    knots = np.vstack([first, points, last])[:, None]
    a, b, c, d = knots[:-3], knots[1:-2], knots[2:-1], knots[3:]
    t = np.linspace(0, 1, steps)[:, None]
    bends = (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2
    bends += (3 * b - a - 3 * c + d) * t**3
    return (b + bends / 2).reshape(-1, 2)


def _centred(points: np.ndarray) -> np.ndarray:
    return points - (points.min(0) + points.max(0)) / 2


def _modes(points: np.ndarray, time: np.ndarray) -> np.ndarray:
    x, y = np.pi / 2 * (points.T + 1)
    plane = [np.cos(i * x) * np.cos(j * y) / (i + j) ** 2 for i, j in PLANE_MODES]
    path = [np.cos(k * np.pi * time) / k**2 for k in PATH_MODES]
    return np.stack(plane + path, axis=1)


def _write(
    rng: np.random.Generator, ways: list[Path], side: int
) -> tuple[np.ndarray, np.ndarray]:
    """The pen's places, (M, 2) in pixels from the image's centre, and its radii."""
    path = ways[rng.integers(len(ways))]
    radius = side * PEN_WIDTH / 2 * np.exp(0.2 * rng.normal())
    pressure = path.modes[:, -len(PATH_MODES) :] @ rng.normal(size=len(PATH_MODES))
    bend = rng.normal(size=(path.modes.shape[1], 2)) * BEND
    points = _centred((path.points + path.modes @ bend) @ _pose(rng).T)
    room = side * BOX * rng.uniform(0.9, 1) - 2 * radius
    points *= room / np.ptp(points, axis=0).max()
    points += side * rng.uniform(-0.03, 0.03, size=2)
    return points, radius * np.exp(0.1 * pressure)


def _pose(rng: np.random.Generator) -> np.ndarray:
    """A random rotation after a random slant and widening, (2, 2)."""
    turn = np.radians(5) * rng.normal()
    slant = 0.2 + 0.2 * rng.normal()
    width = np.exp(0.15 * rng.normal())
    rotation = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    return np.array(rotation) @ [[width, -slant], [0, 1]]


def _pixels(image_size: tuple[int, int]) -> np.ndarray:
    """Rows x, y (from the image's centre) and 1 of every pixel, (3, H * W)."""
    y, x = np.indices(image_size, np.float32).reshape(2, -1)
    height, width = image_size
    return np.stack([x - (width - 1) / 2, y - (height - 1) / 2, np.ones_like(x)])


def _ink(points: np.ndarray, radii: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """How much of each pixel the pen covers, in [0, 1], (P,).

    The squared distance of pixel p to pen q is |p|² + |q|² - 2 p·q, which is one small
    product of matrices. Less r², it lets the heaviest ink win where strokes cross.
    """
    pen = np.column_stack([-2 * points, (points**2).sum(1) - radii**2])
    nearest = (pen.astype(np.float32) @ pixels).min(0) + (pixels[:2] ** 2).sum(0)
    radius = radii.mean()
    outside = np.sqrt(np.maximum(nearest + radius**2, 0)) - radius
    return np.clip(0.5 - outside / EDGE, 0, 1)
