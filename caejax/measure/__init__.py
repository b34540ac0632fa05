"""Finds out whether images have a pattern, of which period, how strong and whence.

`caejax.measure(out, ref)` is the function `measure`; on the command line it is
`caejax measure IMAGES [REF]`.
"""

import os
from typing import Any

from caejax.errors import CaejaxError, refuse_unknown
from caejax.files.paths import expand
from caejax.measure import files, picture, search
from caejax.measure.images import Seen, see_all
from caejax.measure.lines import KINDS, PERIODS, largest_period
from caejax.measure.origins import origin, own_blocks
from caejax.measure.result import THRESHOLD_DB, Measurement
from caejax.measure.scores import FALSE_ALARMS
from caejax.parameters import threshold

__all__ = ["Measurement", "measure"]

# Photographs that were JPEG files once have blocks of 0.2 to 0.5 grey levels, which
# nobody sees.
_DETAIL_DB = 10


@refuse_unknown
def measure(
    out: Any, ref: Any = None, *, threshold_db: float = THRESHOLD_DB, figure: Any = None
) -> Measurement:
    """Finds patterns of periods from 2 to 64 pixels in images.

    With references the differences from these are searched, in which far weaker
    patterns are found, and paired metrics are reported besides. Colours are searched
    by their luma.

    Args:
      out: the path of an image or of a folder; or images in memory, one or many or a
        list: uint8, uint16, or floats in [0, 1].
      ref: what they should be, of the same names and sizes; a path or images.
      threshold_db: a pattern is a fault if its RMS, of full scale, is above this. For
        uneven detail, such as blocks, the limit is 10 dB higher. The blocks of JPEG
        files themselves are listed, but are no fault.
      figure: a path where a figure is drawn, as PNG: the mean spectrum, the evidence
        for each period, and the strongest pattern. A figure of caejax that is there
        already is replaced.

    Returns:
      A record, a `dict` that prints as a table; `.clean` says whether all is well.

    Raises:
      CaejaxError: an image that cannot be read, that is too small for any period to be
        looked for, or that does not fit its reference; or a file of another origin
        where the figure would be.

    Example:
      >>> stripes = np.tile(np.uint8([100, 104]), (64, 32))
      >>> [(x["axes"], x["period"]) for x in caejax.measure(stripes)["patterns"]]
      [('x', 2)]
    """
    threshold_db = threshold(threshold_db)
    drawn = None if figure is None else picture.place(expand(figure, "figure"))
    pairs, said = _pairs(out, ref, drawn)
    if drawn is not None:
        picture.check_free(drawn)
    seen = see_all(pairs)
    found = search.find(seen.lines, seen.size, seen.singly, seen.jpeg)
    found = search.merge(found, seen.jpeg)
    if drawn is not None:
        picture.draw(drawn, seen, found)
    patterns = [_record(x, seen, threshold_db) for x in found]
    return Measurement(
        clean=not any(x["fault"] for x in patterns),
        threshold_db=threshold_db,
        false_alarms=FALSE_ALARMS,
        patterns=patterns,
        paired=seen.paired,
        images=seen.images,
        about=[*said, *_about(seen, patterns)],
        verdict=_verdict(patterns, len(seen.images), threshold_db),
    )


def _pairs(out, ref, drawn):
    """Images and their references, each read by a call, and what is to be said."""
    if not isinstance(out, str | os.PathLike):
        return files.from_arrays(out, ref), []
    folder = expand(out, "IMAGES")
    found, said = files.pairs(folder, None if ref is None else expand(ref, "REF"))
    for path in (path for both in found for path in both if path and drawn):
        if path.resolve() == drawn.resolve():
            raise CaejaxError(
                f"{path} is an image to be read, and the figure would be written over "
                "it; choose another --figure"
            )
    calls = [
        lambda one=one, other=other: files.read(one, other, folder)
        for one, other in found
    ]
    return calls, [said] if said else []


def _record(pattern, seen, threshold_db):
    own = own_blocks(pattern, seen.jpeg)
    limit = threshold_db + (_DETAIL_DB if pattern.detail else 0)
    return {
        **pattern._asdict(),
        "origin": origin(pattern, seen.jpeg),
        "limit_db": None if own else float(limit),
        "fault": pattern.db > limit and not own,
    }


def _about(seen: Seen, patterns):
    said = []
    if seen.repeats:
        name, other = next(iter(seen.repeats.items()))
        more = len(seen.repeats) - 1
        others = f", and {more} more show that of another" if more else ""
        said.append(
            f"{name} shows the scene of {other}{others}: in what all images share, a "
            "scene counts once"
        )
    if min(largest_period(seen.size, kind) for kind in KINDS) < PERIODS[-1]:
        said.append(_how_long(seen.size, len(seen.images)))
    if any(16 % x["period"] == 0 for x in patterns) and seen.jpeg:
        said.append(
            "the files are JPEG files: whether a period of 2, 4, 8 or 16 is theirs or "
            "a model's is told by PNG files"
        )
    return said


def _how_long(size, count):
    """Up to which periods images of a size, or larger ones, are searched."""
    height, width = size
    columns, rows, both = (largest_period(size, x) for x in ("columns", "rows", "both"))
    up_to = f"{both} pixels"
    if columns != rows:
        up_to = f"{columns} pixels along x, {rows} along y and {both} along both"
    what = "the smallest image" if count > 1 else "the image"
    together = ", over all images together" * (count > 1)
    return (
        f"periods of up to {up_to} are looked for{together}: four must fit into "
        f"{what}, {width}x{height}"
    )


def _verdict(patterns, count, threshold_db):
    images = f"{count} image{'s' * (count > 1)}"
    faults = [x for x in patterns if x["fault"]]
    if not faults:
        limit = "its limit" if patterns else f"{threshold_db:g} dBFS"
        return f"clean: no pattern above {limit} in {images}"
    periods = ", ".join(map(str, sorted({x["period"] for x in faults})))
    strongest = max(x["grey"] for x in faults)
    together = any(x["share"] for x in faults)
    images += "" if together or count < 2 else " together, in none by itself"
    return (
        f"pattern of period {periods} in {images}, up to {strongest:.2f} grey levels "
        "of 255, above its limit"
    )
