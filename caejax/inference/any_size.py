"""A model on images of any size, through the size or sizes that it takes."""

import itertools
import math
from collections.abc import Callable

import numpy as np

from caejax.errors import CaejaxError
from caejax.inference.tiles import Axis, blend, cut
from caejax.inference.trained import Function, Trained, in_batches, takes_side

# Convolutional models take images beyond their own size in tiles of one of these;
# a few, so that few programs are compiled.
SIDES = (64, 128, 256, 512)
MEMORY = 1024.0  # MiB for the maps of a tile
_LARGEST = 2048  # pixels a side of a tile


def apply(
    function: Function,
    trained: Trained,
    image: np.ndarray,
    advance: Callable[[float], None] = lambda share: None,
    tile: int = 0,
) -> np.ndarray:
    """Applies a function of batches of tiles to one image.

    Args:
      function: Takes tiles (B, h, w, C) to (B, h, w, C').
      trained: The model that the function uses.
      image: (H, W, C) float32.
      advance: Is told the share of the image that is done, after each batch.
      tile: As for `plan`.

    Returns:
      (H, W, C').
    """
    return apply_to_all(function, trained, image[None], advance, tile)[0]


def apply_to_all(
    function: Function,
    trained: Trained,
    images: np.ndarray,
    advance: Callable[[float], None] = lambda share: None,
    tile: int = 0,
) -> np.ndarray:
    """Applies a function to images of one size, whose tiles share batches.

    Args:
      function: As for `apply`.
      trained: As for `apply`.
      images: (N, H, W, C) float32.
      advance: Is told the share of all images that is done, after each batch.
      tile: As for `plan`.

    Returns:
      (N, H, W, C').
    """
    tilings = plan(trained, images.shape[1:3], tile)
    mean = None
    for number, (rows, columns) in enumerate(tilings, start=1):
        outputs = _outputs(
            function,
            images,
            rows,
            columns,
            lambda share: advance(share / len(tilings)),
            _most_pixels(trained, tile),
        )
        whole = [blend(outputs, rows, columns) for _ in images]
        whole = np.stack(whole) if len(whole) > 1 else whole[0][None]
        # Not a sum over a number, which rounds even where all are equal.
        mean = whole if mean is None else mean + (whole - mean) / number
    return mean


def encode(
    function: Function,
    trained: Trained,
    image: np.ndarray,
    advance: Callable[[float], None] = lambda share: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Encodes one image, in tiles of the model's own size, side by side.

    Args:
      function: Takes tiles (B, h, w, C) to codes (B, ...).
      trained: As for `apply`.
      image: As for `apply`.
      advance: As for `apply`.

    Returns:
      Codes (n, ...), row by row, and where in the image their tiles begin (n, 2);
      below 0 where a tile extends beyond the image.
    """
    codes = encode_all(function, trained, image[None], advance)[0]
    rows, columns = own_tiles(trained, image.shape[:2])
    corners = np.array([(y, x) for y in rows.starts for x in columns.starts])
    return codes.reshape(-1, *codes.shape[2:]), corners


def encode_all(
    function: Function,
    trained: Trained,
    images: np.ndarray,
    advance: Callable[[float], None] = lambda share: None,
) -> np.ndarray:
    """Encodes images of one size, in tiles as `encode` does.

    Args:
      function: As for `encode`.
      trained: As for `apply`.
      images: (N, H, W, C) float32.
      advance: Is told the share of all images that is done, after each batch.

    Returns:
      Codes (N, rows, columns, ...) of the tiles.
    """
    rows, columns = own_tiles(trained, images.shape[1:3])
    most = SIDES[-1] ** 2
    codes = np.stack(list(_outputs(function, images, rows, columns, advance, most)))
    return codes.reshape(-1, rows.count, columns.count, *codes.shape[1:])


def own_tile(trained: Trained, image: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """The tile of the model's own size that begins at (y, x), as `encode` cuts it."""
    y, x = (
        np.clip(np.arange(first, first + length), 0, size - 1)
        for first, length, size in zip(
            corner, trained.model.shape[:2], image.shape[:2], strict=True
        )
    )
    return image[y][:, x]


def _outputs(function, images, rows, columns, advance, most):
    count = len(images) * rows.count * columns.count
    return in_batches(
        function,
        itertools.chain.from_iterable(cut(image, rows, columns) for image in images),
        size=_batch_size(rows.tile * columns.tile, count, most),
        advance=lambda done: advance(done / count),
    )


def _batch_size(pixels, count, most):
    """As many tiles as so many pixels at most are enough for; a power of two."""
    tiles = max(1, most // pixels)
    return 2 ** min(int(math.log2(tiles)), math.ceil(math.log2(count)))


def _most_pixels(trained, tile):
    """Those of a batch: no more than memory suffices for in one tile."""
    if of_any_size(trained):
        return min(tile or tile_of(trained), SIDES[-1]) ** 2
    return SIDES[-1] ** 2


def plan(
    trained: Trained, size: tuple[int, int], tile: int = 0
) -> list[tuple[Axis, Axis]]:
    """How an image of (H, W) is tiled: by rows and columns, once or more often.

    A model that was trained on crops and knows how far it reaches is asked for the
    image as a whole, or for tiles that overlap by all that it reaches, so that they
    come out as the whole would.

    Up to the model's own size there is one tile of that size, the image in its
    middle. A larger one is cut, for a model that takes sides of `SIDES`, into large
    tiles whose seams lie far from their borders. For any other model it is cut into
    tiles of its own size that overlap by half, in up to four tilings that lie
    between each other, of whose outputs the mean is taken: such models do otherwise
    at a tile's border than in its middle, which one tiling shows as a grid.

    Args:
      trained: The model.
      size: The image's.
      tile: The side of a tile, at most, for a model that is asked for the whole; 0 for
        one that takes about a GiB of memory.

    Raises:
      CaejaxError: A tile that is too small, or for a model that has its own.
    """
    if of_any_size(trained):
        side = tile or max(tile_of(trained), _least_tile(trained))
        return [tuple(_exact(trained, n, side) for n in size)]
    if tile:
        raise CaejaxError(
            "--tile and --memory are for models that were trained on crops "
            "(train.crop_size); this one has tiles of its own"
        )
    own = trained.model.shape[:2]
    if all(a <= b for a, b in zip(size, own, strict=True)):
        return [own_tiles(trained, size)]
    for side in SIDES:
        enough = side >= max(size) or side == SIDES[-1]
        if enough and takes_side(trained, side):
            # Steps of 3/4 tile keep to the grid of up to seven poolings.
            overlap, margin = side // 4, 3 * side // 32
            return [tuple(Axis(n, side, overlap, margin) for n in size)]
    return list(itertools.product(*map(_shifted, size, own)))


def of_any_size(trained: Trained) -> bool:
    """Whether a model has no size of its own, and knows how far it reaches."""
    return bool(trained.config.train.crop_size) and trained.model.reach is not None


def tile_of(trained: Trained, memory: float = MEMORY) -> int:
    """The side of the largest tile that so many MiB suffice for, a stride at least."""
    model = trained.model
    bytes_a_pixel = 4 * model.largest_map / math.prod(model.shape[:2])
    side = int(math.sqrt(memory * 2**20 / bytes_a_pixel))
    return min(_LARGEST, max(1, side // model.stride) * model.stride)


def _margin(trained):
    """What a model reaches, in whole pixels of its codes."""
    stride = trained.model.stride
    return -(-trained.model.reach // stride) * stride


def _least_tile(trained):
    return 4 * _margin(trained) + trained.model.stride


def _exact(trained, size, tile):
    """One axis in equally long tiles on the model's grid."""
    if size <= tile:
        return Axis(size, size)
    stride, margin, least = trained.model.stride, _margin(trained), _least_tile(trained)
    if tile < least:
        raise CaejaxError(
            f"tiles of {tile} pixels are too small for this model, whose output at a "
            f"pixel depends on {margin} pixels to each side; give --tile={least} or "
            "more, or a larger --memory"
        )
    tile = tile // stride * stride
    count = -(-(size - 2 * margin) // (tile - 2 * margin))
    length = -(-(size + (count - 1) * 2 * margin) // count)
    length = -(-length // stride) * stride
    return Axis(size, length, 2 * margin, margin, grid=stride)


def _shifted(size, tile):
    """One axis in tiles that overlap by half, and once more between these."""
    if size <= tile:
        return [Axis(size, tile, centred=True)]
    return [Axis(size, tile, tile // 2, shift=i) for i in sorted({0, tile // 4})]


def own_tiles(trained: Trained, size: tuple[int, int]) -> tuple[Axis, Axis]:
    """An image of (H, W) in tiles of the model's own size, side by side."""
    own = trained.model.shape[:2]
    return tuple(Axis(n, tile, centred=True) for n, tile in zip(size, own, strict=True))
