"""Figures of what a trained model is used for, drawn from arrays."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from caejax.data.pictures import reduce_image
from caejax.report.channels import aspect, planes, show_image
from caejax.report.crops import LARGE, TIMES, fullest
from caejax.report.style import COLORS, PAGE, bare, head, strip

_WIDEST = 1.1  # inches of one picture
_LABEL = 0.8  # inches beside the pictures, for names of rows
_GAP = 0.085  # inches between pictures
_LINE = 0.2  # inches of a line of text
_ACROSS = 12  # pictures beside each other, at most
PIXELS = 3e6  # of all photographs of a figure together; larger ones are shrunk
PHOTOGRAPHS = 100  # of a figure, at most
_LONGEST = 8  # times as long as wide, at most; of longer ones the middle is shown
# In pixels of the figure, where photographs are shown at full size:
_DPI = 200
_LEAST = 360  # width of one; smaller ones are enlarged
_TALLEST = 8000  # height of a column; what does not fit goes on beside it
_BETWEEN = 12
_TEXT = 26  # above pictures, and of the line above a photograph
_LETTER = 12  # width of one, about
_INPUT = "input"  # as sheets call it
Images = Sequence[np.ndarray]


def rows(named: Mapping[str, Images]) -> Figure:
    """Rows of pictures, one above the other, each with its name on the left.

    What is wider than twelve pictures goes on below.

    Args:
      named: the images of each row, (H, W, C) in [0, 1], by the row's name; equally
        many in all rows.
    """
    first = next(iter(named.values()))
    figure, axes = _grid(len(named), len(first), _shape(first), label=_LABEL)
    for row, (name, images) in zip(axes, named.items(), strict=True):
        for axis, image in zip(row, images, strict=True):
            show_image(axis, image)
        _name(row, name)
    return figure


class Photograph(NamedTuple):
    """A photograph and what a model made of it, as they are shown.

    Attributes:
      image, output: both as a whole, (H, W, C), at full size or shrunk by a whole
        number.
      parts: of places, the image and the output at full size, (h, w, C) each.
      places: where those lie in the whole, as (left, top, width, height) in its pixels.
      title: what stands above.
    """

    image: np.ndarray
    output: np.ndarray
    parts: Sequence[tuple[np.ndarray, np.ndarray]]
    places: Sequence[tuple[float, float, float, float]]
    title: str = ""


def photograph(
    image: np.ndarray, output: np.ndarray, pixels: float, title: str = ""
) -> Photograph:
    """Makes one from an image and an output (H, W, C), of at most so many pixels.

    Its parts are where the output has most detail, and where most was taken away;
    small images have none.
    """
    middle = _middle(image.shape[:2])
    image, output = image[middle], output[middle]
    times = max(1, int(np.ceil(np.sqrt(image.shape[0] * image.shape[1] / pixels))))
    side = max(1, min(image.shape[:2]) // (2 * times * TIMES))
    # Borders are the images' least part, where models see less, too.
    whole = () if min(image.shape[:2]) <= LARGE else (output, image - output)
    windows = [fullest(x, (side, side), side) for x in whole]
    return Photograph(
        reduce_image(image, times),
        reduce_image(output, times),
        [(image[w].copy(), output[w].copy()) for w in windows],
        [(x.start / times, y.start / times, *[side / times] * 2) for y, x in windows],
        title,
    )


def _middle(size):
    """Of an image's size, so long a part that all of it can be shown."""
    lengths = [min(length, _LONGEST * min(size)) for length in size]
    starts = [(n - length) // 2 for n, length in zip(size, lengths, strict=True)]
    return tuple(slice(x, x + n) for x, n in zip(starts, lengths, strict=True))


def photographs(shown: Sequence[Photograph], name: str) -> Figure:
    """Photographs, outputs beside them, a pixel for a pixel; below, parts enlarged.

    Above each is its title. They stand one below the other, and go on in further
    columns. Where all are so small that nothing has to be enlarged, they are `rows`,
    below the title of the first.

    Args:
      shown: the photographs, at most `PHOTOGRAPHS`.
      name: what the outputs are called.
    """
    if all(min(one.image.shape[:2]) <= LARGE for one in shown):
        return _small(shown, name)
    blocks = [_block(one) for one in shown]
    width = max(block["width"] for block in blocks)
    corners = _corners([block["height"] for block in blocks])
    across = 1 + max(column for column, _ in corners)
    pairs = zip(corners, blocks, strict=True)
    height = max(above + block["height"] for (_, above), block in pairs)
    size = across * width / _DPI, height / _DPI
    figure = plt.figure(figsize=size, layout="none")
    for one, block, (column, above) in zip(shown, blocks, corners, strict=True):
        _place(figure, one, block, (column * width, height - above), name)
    return figure


def _corners(heights):
    """For each block the column that it stands in, and what is above it there."""
    column, above, corners = 0, 0, []
    for height in heights:
        if above and above + height > _TALLEST:
            column, above = column + 1, 0
        corners.append((column, above))
        above += height
    return corners


def _small(shown, name):
    figure = rows({_INPUT: [x.image for x in shown], name: [x.output for x in shown]})
    titles = list(dict.fromkeys(one.title for one in shown))
    first = f"first of {len(titles)}: " if len(titles) > 1 else ""
    head(figure, first + titles[0])
    return figure


def _fitted(text, width):
    """A text of at most so many pixels: of a longer one the middle is left out."""
    letters = width // _LETTER
    if len(text) <= letters:
        return text
    half = (letters - 1) // 2
    return f"{text[:half]}…{text[-half:]}"


def _block(one):
    """Sizes of one photograph's pictures, in pixels of the figure."""
    high, wide = one.image.shape[0] * planes(one.image), one.image.shape[1]
    times = max(1, round(_LEAST / wide))
    part = (wide * times - _BETWEEN) // 2 if one.parts else 0
    return {
        "times": times,
        "part": part,
        "width": 2 * times * wide + 3 * _BETWEEN,
        "height": times * high + part * planes(one.image) + 2 * _BETWEEN + 3 * _TEXT,
    }


def _place(figure, one, block, corner, name):
    start, top = corner
    times, part = block["times"], block["part"]
    size = one.image.shape[1] * times, block["height"] - part * planes(one.image)
    tall = size[1] - 2 * _BETWEEN - 3 * _TEXT
    wide, high = figure.get_size_inches() * _DPI
    line = _fitted(one.title, block["width"] - 2 * _BETWEEN)
    where = (start + _BETWEEN) / wide, (top - 0.25 * _TEXT) / high
    figure.text(*where, line, va="top", fontsize=7)
    top -= _TEXT
    for column, (title, image) in enumerate(((_INPUT, one.image), (name, one.output))):
        left = start + _BETWEEN + column * (size[0] + _BETWEEN)
        axis = _axis(figure, left, top - _TEXT - tall, size[0], tall)
        show_image(axis, image)
        axis.set_title(title, fontsize=7, pad=2)
        for number, place in enumerate(one.places):
            color = COLORS[number]
            axis.add_patch(Rectangle(place[:2], *place[2:], ec=color, fc="none"))
            look = {"color": "white", "fontsize": 6, "va": "bottom"}
            look["bbox"] = {"fc": color, "ec": color, "pad": 0.8}
            axis.text(*place[:2], str(number + 1), **look)
    bottom = top + _TEXT - block["height"] + _BETWEEN
    pictures = [picture for pair in one.parts for picture in pair]
    for number, picture in enumerate(pictures):
        left = start + _BETWEEN + number * (part + _BETWEEN)
        axis = _axis(figure, left, bottom, part, part * planes(picture))
        show_image(axis, picture)
        axis.spines[:].set(visible=True, color=COLORS[number // 2], linewidth=1)
        title = f"{number // 2 + 1}: {(_INPUT, name)[number % 2]}"
        axis.set_title(title, fontsize=7, pad=2)


def _axis(figure, left, bottom, width, height):
    """An axis at a place in the figure's pixels."""
    w, h = figure.get_size_inches() * _DPI
    return figure.add_axes((left / w, bottom / h, width / w, height / h))


def codes(images: Images, codes: np.ndarray) -> Figure:
    """Images above their codes as small pictures, wrapped like `rows`.

    Args:
      images: n images (H, W, C).
      codes: the images' codes: (n, h, w, c), drawn as c maps of h x w, or (n, K).
    """
    pictures = [_code_picture(code) for code in codes]
    heights = [_shape(images), pictures[0].shape[0] / pictures[0].shape[1]]
    figure, axes = _grid(2, len(images), heights, label=_LABEL, extra=_LINE)
    low, high = float(codes.min()), float(codes.max())
    for top, bottom, image, picture in zip(*axes, images, pictures, strict=True):
        show_image(top, image)
        bottom.imshow(picture, cmap="magma", vmin=low, vmax=max(high, low + 1e-9))
        bare(bottom)
    _name(axes[0], "image")
    _name(axes[1], "code")
    figure.supxlabel(f"codes: dark {low:.2g}, bright {high:.2g}", fontsize=7)
    return figure


def _code_picture(code):
    """One code as an array: its maps in a grid, with a gap between them."""
    code = code.reshape(1, 1, -1) if code.ndim == 1 else code
    height, width, maps = code.shape
    down = max(n for n in range(1, int(maps**0.5) + 1) if maps % n == 0)
    gap = int(height * width > 1)
    spaced = np.full((maps, height + gap, width + gap), np.nan)
    spaced[:, :height, :width] = np.moveaxis(code, -1, 0)
    grid = spaced.reshape(down, maps // down, height + gap, width + gap)
    picture = grid.transpose(0, 2, 1, 3).reshape(down * (height + gap), -1)
    return picture[: picture.shape[0] - gap, : picture.shape[1] - gap]


def neighbours(
    queries: Images, found: Sequence[Images], distances: np.ndarray
) -> Figure:
    """A row a query: the image and its nearest, each with its distance.

    Wrapped like `rows`, all queries together.

    Args:
      queries: n images.
      found: the k nearest images of each query, nearest first.
      distances: the distances of the images found, (n, k).
    """
    figure, axes = _grid(
        len(queries), 1 + len(found[0]), _shape(queries), below=0.13, extra=2 * _LINE
    )
    for row, query, images, values in zip(axes, queries, found, distances, strict=True):
        show_image(row[0], query)
        row[0].spines[:].set(visible=True, color="#D55E00", linewidth=1.5)
        for axis, image, value in zip(row[1:], images, values, strict=True):
            show_image(axis, image)
            axis.set_xlabel(f"{value:.3g}", fontsize=6, labelpad=2)
    axes[0, 0].set_title("query")
    for rank, axis in enumerate(axes[0, 1:], start=1):
        axis.set_title(str(rank))
    figure.supxlabel("below each: Euclidean distance of the codes", fontsize=7)
    return figure


def sheet(images: np.ndarray) -> Figure:
    """Many pictures (B, H, W, C), ten in a row."""
    across = min(10, len(images))
    white = np.ones((-len(images) % across, *images.shape[1:]))
    lines = np.split(np.concatenate([images, white]), -(-len(images) // across))
    picture = strip(np.stack([strip(line) for line in lines]), down=True)
    width = min(_WIDEST * across, PAGE)
    size = width, width * aspect(picture)
    figure, axis = plt.subplots(figsize=size)
    show_image(axis, picture)
    return figure


def interpolation(
    ends: tuple[np.ndarray, np.ndarray], images: Images, weights: Sequence[float]
) -> Figure:
    """Two images, and between them what the decoder makes of mixed codes.

    Wrapped like `rows`.

    Args:
      ends: the two images.
      images: the decoded images, one for each weight.
      weights: the weights of the second image's code.
    """
    figure, axes = _grid(1, 2 + len(images), _shape(ends), below=_LINE, extra=_LINE)
    pictures = (ends[0], *images, ends[1])
    titles = ("first", *(f"{100 * weight:.3g} %" for weight in weights), "second")
    for axis, picture, title in zip(axes[0], pictures, titles, strict=True):
        show_image(axis, picture)
        axis.set_title(title)
    text = "between the two images: their codes mixed, with so much of the second's"
    figure.supxlabel(text, fontsize=8)
    return figure


def _shape(images):
    """Height over width of a cell for these images."""
    most = 3 * planes(images[0])
    return float(np.clip(np.median([aspect(x) for x in images]), 0.4, most))


def _grid(down, count, heights, *, label=0.0, below=0.0, extra=0.0):
    """Axes (down, count) for pictures, in bands of at most `_ACROSS` columns.

    Args:
      down: the number of rows.
      count: the number of columns.
      heights: the rows' heights, relative to the pictures' width.
      label: the room left of all pictures, in inches.
      below: the room below each row, in inches.
      extra: the room for a title and a line below all, in inches.
    """
    across = min(_ACROSS, count)
    bands = -(-count // across)
    width = min(_WIDEST, (PAGE - label) / across)
    ratios = np.tile(np.broadcast_to(heights, down), bands)
    inside = (width - _GAP) * float(ratios.sum())
    lines = bands * down
    size = width * across + label, inside + (below + _GAP) * lines + extra
    figure, axes = plt.subplots(
        lines, across, figsize=size, squeeze=False, height_ratios=ratios
    )
    axes = axes.reshape(bands, down, across).swapaxes(0, 1).reshape(down, -1)
    for axis in axes[:, count:].flat:
        axis.set_visible(False)
    return figure, axes[:, :count]


def _name(row, name):
    """Left of the first picture, in every band."""
    for axis in row[::_ACROSS]:
        axis.set_ylabel(name, rotation=0, ha="right", va="center")
