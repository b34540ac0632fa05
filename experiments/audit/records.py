"""From the diagnoses of an architecture's seeds to its rows."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.shared.cells import mean_interval
from experiments.shared.rows import Row

ROUNDING_DB = -100.0  # below it gains are equal but for rounding
TRANSPOSED, SHUFFLE, RESIZE, OTHER = "transposed", "to pixels", "resize", "other"


def kind(place: Mapping[str, Any]) -> str:
    """How a place enlarges: by a kernel that can have a pattern, or by resizing.

    Args:
      place: of a diagnosis.

    Returns:
      "transposed" for a transposed convolution, "to pixels" for a convolution or a
      linear layer whose channels become pixels, "resize", or "other" where the kernel
      is not known.
    """
    operation = place["operation"]
    if operation.startswith("ConvTranspose"):
        return TRANSPOSED
    resizes = ("interpolate", "Resize", "Upsample")
    if operation.startswith(resizes) or "(nearest)" in operation:
        return RESIZE
    return SHUFFLE if place["gain_spread_db"] is not None else OTHER


def paired(place: Mapping[str, Any]) -> bool:
    """Whether the stride divides the kernel along each axis that is enlarged."""
    sizes = zip(place["kernel"], place["stride"], strict=True)
    return all(k % s == 0 for k, s in sizes if s > 1)


def place_rows(
    name: str, found: Sequence[Mapping[str, Any]], biased: set[str]
) -> list[Row]:
    """A row for each place of an architecture, over its seeds.

    Args:
      name: the architecture's.
      found: a diagnosis a seed, of the same places.
      biased: names of the layers that have biases.
    """
    return [
        _place_row(name, places, places[0]["name"] in biased)
        for places in zip(*(x["places"] for x in found), strict=True)
    ]


def _place_row(name, seeds, has_bias):
    place = seeds[0]
    how = kind(place)
    spread = [x["gain_spread_db"] for x in seeds]
    return {
        "architecture": name,
        "place": place["name"],
        "kind": how,
        "operation": place["operation"],
        "stride": _product(place["stride"]),
        "kernel": _product(place["kernel"]),
        "paired": _yes(paired(place)) if how == TRANSPOSED else "",
        "icnr": _yes(max(spread) <= ROUNDING_DB) if how == SHUFFLE else "",
        "phase_biases": _yes(has_bias) if how == SHUFFLE else "",
        "clean_seeds": sum(x["clean"] for x in seeds),
        **interval("kernel_db", spread),
        **interval("overlap_db", [x["overlap_db"] for x in seeds]),
        **interval("draws_db", [x["ripple_db"] for x in seeds]),
        **interval("share", [x["share"] for x in seeds]),
        "cure": place["cure"],
    }


def architecture_row(
    package: str,
    family: str,
    name: str,
    found: Sequence[Mapping[str, Any]],
    places: Sequence[Row],
    seconds: float,
) -> Row:
    """The row of an architecture that could be diagnosed.

    Args:
      package: that brings it.
      family: what it is for.
      name: the architecture's.
      found: a diagnosis a seed.
      places: its rows of `place_rows`.
      seconds: of a core that all of it took.
    """
    counts = {how: sum(x["kind"] == how for x in places) for how in KINDS}
    return {
        **blank(package, family, name),
        "status": "ok",
        "seeds": len(found),
        "places": len(places),
        **counts,
        "by_construction": _yes(not sum(counts.values()) - counts[RESIZE]),
        "clean_seeds": sum(x["clean"] for x in found),
        "period": _product(found[0]["period"]),
        **interval("ripple_db", [x["ripple_db"] for x in found]),
        "not_flat": _yes(any("do not stay flat" in y for y in found[0]["about"])),
        "why": "; ".join(x for x in found[0]["about"] if "not probed" in x),
        "seconds": seconds,
    }


KINDS = (TRANSPOSED, SHUFFLE, RESIZE, OTHER)


def blank(package: str, family: str, name: str) -> Row:
    """The row of an architecture of which nothing is known yet."""
    return {
        "package": package,
        "family": family,
        "architecture": name,
        "status": "",
        "seeds": 0,
        "places": "",
        **dict.fromkeys(KINDS, ""),
        "by_construction": "",
        "clean_seeds": "",
        "period": "",
        **dict.fromkeys(("ripple_db", "ripple_db_low", "ripple_db_high"), ""),
        "not_flat": "",
        "why": "",
        "seconds": "",
    }


def _yes(value):
    return "yes" if value else "no"


def _product(values):
    return "x".join(f"{x:g}" for x in values)


def interval(name: str, values: Sequence[float | None]) -> Row:
    """Mean and 95 % interval, as columns; empty where a value is missing."""
    ends = (name, f"{name}_low", f"{name}_high")
    if any(x is None for x in values):
        return dict.fromkeys(ends, "")
    numbers = mean_interval(np.asarray(values, float))
    return {
        end: "" if math.isnan(x) else float(x)
        for end, x in zip(ends, numbers, strict=True)
    }
