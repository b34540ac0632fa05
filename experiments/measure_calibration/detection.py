"""How often planted patterns, JPEG's blocks, tiles and halftone are found."""

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from caejax.measure import lines, search
from experiments.measure_calibration.photographs import grey, over

PERIODS = (2, 3, 4, 6, 8, 12, 16, 24, 32)
GREYS = (0.5, 1.0, 2.0, 4.0)
FOLDER = 8  # photographs that are looked at together
_BAYER = np.array([[0, 2], [3, 1]])


class Case(NamedTuple):
    """What is done to photographs.

    Attributes:
      what: In words.
      period: What is to be found.
      grey: How strong it is, in grey levels; None where it has no one strength.
      change: From grey levels (H, W) and a random generator to such.
      jpeg: Whether it is looked at as a JPEG file.
    """

    what: str
    period: int
    grey: float | None
    change: Callable[[np.ndarray, np.random.Generator], np.ndarray]
    jpeg: bool = False


def cases() -> Iterator[Case]:
    """All of them."""
    yield Case("as stored", 8, None, lambda image, _: image)
    for period in PERIODS:
        for level in GREYS:
            for what in ("checks", "stripes"):
                pattern = _pattern(period, level, what)
                yield Case(what, period, level, _planted(pattern))
    for quality in (95, 90, 75, 50, 25):
        yield Case(f"JPEG {quality}", 8, None, _jpeg(quality))
    for period in (2, 3, 4, 8, 12):
        for what in ("checks", "stripes"):
            change = _stored(_pattern(period, 2.0, what), 90)
            yield Case(f"{what}, then JPEG 90", period, 2.0, change, jpeg=True)
    for side in (16, 32, 60, 64):
        for level in (1.0, 2.0, 4.0):
            yield Case("tiles of random brightness", side, level, _tiles(side, level))
    for side in (2, 4, 8):
        yield Case("ordered dither", side, None, _dither(side))


def measure_all(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """A row for each case: rates of single photographs, and of folders of eight."""
    images = over(paths, grey)
    return [_row(case, images) for case in cases()]


def _row(case, images):
    def see(i):
        changed = case.change(images[i], np.random.default_rng(i))
        image = np.clip(np.rint(changed), 0, 255)
        found = lines.measure_lines(image)
        own = search.find(found, image.shape, jpeg=case.jpeg)
        return found, own, image.shape

    seen = over(range(len(images)), see)
    alone = [search.merge(found, case.jpeg) for _, found, _ in seen]
    folders = []
    for start in range(0, len(seen) - FOLDER + 1, FOLDER):
        part = seen[start : start + FOLDER]
        total = part[0][0]
        for more, _, _ in part[1:]:
            total = lines.add(total, more)
        size = tuple(min(shape[i] for *_, shape in part) for i in (0, 1))
        found = search.find(total, size, [own for _, own, _ in part], case.jpeg)
        folders.append(search.merge(found, case.jpeg))
    own = [_strength(x, case.period) for x in alone if _has(x, case.period)]
    return {
        "what": case.what,
        "period": case.period,
        "grey": "" if case.grey is None else case.grey,
        "single": f"{np.mean([_has(x, case.period) for x in alone]):.2f}",
        "folders": f"{np.mean([_has(x, case.period) for x in folders]):.2f}",
        "others": f"{np.mean([_others(x, case.period) for x in alone]):.3f}",
        "median_grey": f"{np.median(own):.2f}" if own else "",
        "high_grey": f"{np.quantile(own, 0.95):.2f}" if own else "",
        "count": len(alone),
    }


def _has(patterns, period):
    return any(x.period == period for x in patterns)


def _others(patterns, period):
    """Whether a period is found that neither this nor JPEG's explains."""
    return any(period % x.period and 8 % x.period for x in patterns)


def _strength(patterns, period):
    return max(x.grey for x in patterns if x.period == period)


def _pattern(period, level, what):
    rng = np.random.default_rng(period)
    shape = (period, period) if what == "checks" else (1, period)
    pattern = rng.normal(size=shape)
    pattern -= pattern.mean()
    return level * pattern / pattern.std()


def _tiled(pattern, shape):
    counts = (-(-n // m) for n, m in zip(shape, pattern.shape, strict=True))
    return np.tile(pattern, tuple(counts))[: shape[0], : shape[1]]


def _planted(pattern):
    return lambda image, _: image + _tiled(pattern, image.shape)


def _jpeg(quality):
    def change(image, _):
        # Its own blocks begin elsewhere than the new ones.
        pixels = np.uint8(np.clip(np.rint(image[3:, 5:]), 0, 255))
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "jpeg", quality=quality)
        return np.asarray(Image.open(file), np.float32)

    return change


def _stored(pattern, quality):
    def change(image, rng):
        return _jpeg(quality)(image + _tiled(pattern, image.shape), rng)

    return change


def _tiles(side, level):
    def change(image, rng):
        height, width = (-(-n // side) for n in image.shape)
        tiles = level * rng.normal(size=(height, width))
        whole = np.kron(tiles, np.ones((side, side)))
        return image + whole[: image.shape[0], : image.shape[1]]

    return change


def _dither(side):
    matrix = _BAYER
    while len(matrix) < side:
        matrix = np.block([[4 * matrix + x for x in row] for row in _BAYER])
    limits = 255 * (matrix + 0.5) / matrix.size
    return lambda image, _: 255 * (image > _tiled(limits, image.shape))
