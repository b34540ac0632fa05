"""The photographs that chance is fitted to, those it is tested on, and their scores."""

import os
from collections.abc import Callable, Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import numpy as np

from caejax.data.bsds500 import CBSD68
from caejax.data.listing import list_pictures
from caejax.data.pictures import read_image
from caejax.measure.lines import KINDS, PERIODS, measure_lines
from caejax.measure.scores import scores

# BSDS500's photographs were JPEG files with blocks of 8 pixels, which are really there:
# lines of that lattice are left out, and looked at where all lines are moved off it.
JPEG = (8,)
MOVED = 2.5  # bins


def photographs(folder: Path) -> tuple[list[Path], list[Path]]:
    """Those to fit to, 432, and those of CBSD68 to test on, 68."""
    paths = list_pictures(folder).paths
    tested = [x for x in paths if x.parent.name == "val" and x.stem in CBSD68]
    return [x for x in paths if x not in tested], tested


def grey(path: Path) -> np.ndarray:
    """A photograph (H, W) in grey levels of 255."""
    return 255 * read_image(path, 1, name=str(path))[..., 0]


def chance_scores(image: np.ndarray) -> np.ndarray:
    """Scores without JPEG's lines: (2 ways, kinds, periods), as they lie and moved."""
    ways = []
    for shift in (0.0, MOVED):
        lines = measure_lines(image, shift)
        ways.append(
            [scores(lines[kind], kind, image.shape, JPEG, shift) for kind in KINDS]
        )
    found = np.asarray(ways)
    # Detail at 4 and 8 is so strong that its surroundings are no chance either.
    detail = [i for i, kind in enumerate(KINDS) if kind.endswith("detail")]
    jpeg = [PERIODS.index(s) for s in (2, 4, 8)]
    found[1][np.ix_(detail, jpeg)] = np.nan
    return found


def over(paths: Sequence[Any], work: Callable[[Any], Any]) -> list[Any]:
    """Does something with each, on all cores."""
    with ThreadPool(len(os.sched_getaffinity(0))) as pool:
        return pool.map(work, paths)
