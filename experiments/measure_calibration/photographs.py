"""Photographs that chance is counted on, those it is tested on, and their scores."""

from collections.abc import Callable, Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from caejax.data.bsds500 import CBSD68
from caejax.data.listing import list_pictures
from caejax.data.pictures import read_image, reduce_image
from caejax.measure.lines import KINDS, PERIODS, measure_lines
from caejax.measure.scores import scores
from caejax.runtime.cores import usable_cores

# BSDS500's photographs were JPEG files with blocks of 8 pixels, which are really there:
# lines of that lattice are left out, and looked at where all lines are moved off it.
JPEG = (8,)
_MOVED = 2.5  # bins


class Look(NamedTuple):
    """One look at a photograph.

    Attributes:
      size: What is done to it before, in words.
      lines: Where the lines are, in words.
    """

    size: str
    lines: str


def photographs(folder: Path) -> tuple[list[Path], list[Path]]:
    """Those to count on, 432, and those of CBSD68 to test on, 68."""
    paths = list_pictures(folder).paths
    tested = [x for x in paths if x.parent.name == "val" and x.stem in CBSD68]
    return [x for x in paths if x not in tested], tested


def grey(path: Path) -> np.ndarray:
    """A photograph (H, W) in grey levels of 255."""
    return 255 * read_image(path, 1, name=str(path))[..., 0]


def _middle(image):
    top, left = ((n - 128) // 2 for n in image.shape)
    return image[top : top + 128, left : left + 128]


def _reduced(factor):
    return lambda image: np.rint(reduce_image(image[..., None], factor)[..., 0])


_SIZES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "whole": lambda image: image,
    "128 x 128 of the middle": _middle,
    "reduced by 2": _reduced(2),
    "reduced by 3": _reduced(3),
}
_LINES = {"as they lie": 0.0, "moved": _MOVED}
LOOKS = [Look(size, lines) for size in _SIZES for lines in _LINES]


def chance_scores(path: Path) -> np.ndarray:
    """Scores of a photograph without JPEG's lines: (looks, kinds, periods)."""
    image = grey(path)
    return np.concatenate([_scores(change(image)) for change in _SIZES.values()])


def _scores(image):
    found = []
    for shift in _LINES.values():
        lines = measure_lines(image, shift)
        found.append(
            [scores(lines[kind], kind, image.shape, JPEG, shift) for kind in KINDS]
        )
    found = np.asarray(found)
    # Detail at 4 and 8 is so strong that its surroundings are no chance either.
    detail = [i for i, kind in enumerate(KINDS) if kind.endswith("detail")]
    jpeg = [PERIODS.index(s) for s in (2, 4, 8)]
    found[1][np.ix_(detail, jpeg)] = np.nan
    return found


def over(paths: Sequence[Any], work: Callable[[Any], Any]) -> list[Any]:
    """Does something with each, on all cores."""
    with ThreadPool(len(usable_cores())) as pool:
        return pool.map(work, paths)
