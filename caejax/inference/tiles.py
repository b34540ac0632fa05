"""Images of any size, cut into tiles of one size and blended without seams.

Both axes are treated alike, one after the other: neighbouring tiles overlap, and
over the overlap one fades into the next with weights that sum to one.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np


class Axis(NamedTuple):
    """One axis of an image, covered by equally long tiles.

    Attributes:
      size: The image's length in pixels.
      tile: A tile's length in pixels.
      overlap: The pixels that neighbouring tiles share, at most half a tile.
      margin: The pixels of the overlap at the end of each tile that are not used,
        because what lies beyond the end would have mattered to them.
      shift: The pixels by which the first tile begins before the image.
      centred: Whether tiles extend beyond the image equally on both sides; if not,
        but for the shift, only beyond its end.
      grid: Above 0, the image is filled up to a multiple of so many pixels, which
        divides tiles and steps, and the last tile ends there: it begins earlier.
    """

    size: int
    tile: int
    overlap: int = 0
    margin: int = 0
    shift: int = 0
    centred: bool = False
    grid: int = 0

    @property
    def step(self) -> int:
        """Pixels from one tile to the next."""
        return self.tile - self.overlap

    @property
    def count(self) -> int:
        """Number of tiles."""
        return 1 + -(-max(0, self.size + self.shift - self.tile) // self.step)

    @property
    def length(self) -> int:
        """Pixels that the tiles cover, at least those of the image."""
        if self.grid:
            return -(-self.size // self.grid) * self.grid
        return self.tile + (self.count - 1) * self.step

    @property
    def earlier(self) -> int:
        """Pixels by which the last tile begins before its step."""
        return self.tile + (self.count - 1) * self.step - self.length

    @property
    def before(self) -> int:
        """Pixels by which the first tile begins before the image."""
        return (self.length - self.size) // 2 if self.centred else self.shift

    @property
    def starts(self) -> list[int]:
        """Where in the image the tiles begin."""
        starts = [i * self.step - self.before for i in range(self.count)]
        return [*starts[:-1], starts[-1] - self.earlier]

    def places(self, start: int) -> np.ndarray:
        """The pixels (tile,) of a tile; beyond the image the outermost, repeated.

        On a grid they are mirrored at the outermost, as `caejax.ops.images.filled_up`.
        """
        places = np.arange(start, start + self.tile)
        if self.grid:
            last = self.size - 1
            places = np.minimum(places, 2 * last - places)
        return places.clip(0, self.size - 1)


def cut(image: np.ndarray, rows: Axis, columns: Axis) -> Iterator[np.ndarray]:
    """Tiles (h, w, C) of an image (H, W, C), row by row.

    Beyond the image are the pixels that `Axis.places` says.
    """
    for top in rows.starts:
        strip = image[rows.places(top)]
        for left in columns.starts:
            yield strip[:, columns.places(left)]


def fade(axis: Axis) -> np.ndarray:
    """Weights (overlap,) of the later one of two tiles, rising from 0 to 1.

    A raised cosine between the margins; the earlier tile has what is left to 1.
    """
    ramp = axis.overlap - 2 * axis.margin
    x = (np.arange(axis.overlap) - axis.margin + 0.5) / max(ramp, 1)
    return (np.sin(np.pi / 2 * np.clip(x, 0, 1)) ** 2).astype(np.float32)


def blend(tiles: Iterable[np.ndarray], rows: Axis, columns: Axis) -> np.ndarray:
    """The image (H, W, C) of tiles (h, w, C) in the order of `cut`.

    Tiles that agree come out as they are, bit for bit. Only one row of tiles is
    held besides the image.
    """
    tiles = iter(tiles)
    strips = (_join(tiles, columns, axis=1) for _ in range(rows.count))
    return _join(strips, rows, axis=0)


def _join(pieces, axis_tiling, axis):
    """Blends the next `count` pieces along one axis."""
    weights = fade(axis_tiling)[:, None, None]
    whole = None
    for i in range(axis_tiling.count):
        piece = np.moveaxis(next(pieces), axis, 0)
        if whole is None:
            whole = np.empty((axis_tiling.length, *piece.shape[1:]), np.float32)
        if i == axis_tiling.count - 1:
            piece = piece[axis_tiling.earlier :]
        first, shared = i * axis_tiling.step, axis_tiling.overlap if i else 0
        seam = whole[first : first + shared]
        # Not (1 - w) a + w b, which rounds even where a and b are equal.
        seam += weights[:shared] * (piece[:shared] - seam)
        whole[first + shared : first + len(piece)] = piece[shared:]
    inside = whole[axis_tiling.before : axis_tiling.before + axis_tiling.size]
    return np.moveaxis(inside, 0, axis)
