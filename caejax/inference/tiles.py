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
    """

    size: int
    tile: int
    overlap: int = 0
    margin: int = 0
    shift: int = 0
    centred: bool = False

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
        return self.tile + (self.count - 1) * self.step

    @property
    def before(self) -> int:
        """Pixels by which the first tile begins before the image."""
        return (self.length - self.size) // 2 if self.centred else self.shift

    @property
    def starts(self) -> list[int]:
        """Where in the image the tiles begin."""
        return [i * self.step - self.before for i in range(self.count)]


def cut(image: np.ndarray, rows: Axis, columns: Axis) -> Iterator[np.ndarray]:
    """Tiles (h, w, C) of an image (H, W, C), row by row.

    Beyond the image its outermost pixels are repeated.
    """
    for top in rows.starts:
        y = np.clip(np.arange(top, top + rows.tile), 0, rows.size - 1)
        strip = image[y]
        for left in columns.starts:
            x = np.clip(np.arange(left, left + columns.tile), 0, columns.size - 1)
            yield strip[:, x]


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
        first, shared = i * axis_tiling.step, axis_tiling.overlap if i else 0
        seam = whole[first : first + shared]
        # Not (1 - w) a + w b, which rounds even where a and b are equal.
        seam += weights[:shared] * (piece[:shared] - seam)
        whole[first + shared : first + axis_tiling.tile] = piece[shared:]
    inside = whole[axis_tiling.before : axis_tiling.before + axis_tiling.size]
    return np.moveaxis(inside, 0, axis)
