"""The best model held against the other estimators that were measured beside it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from caejax.report.evidence import decided
from caejax.report.intervals import ENOUGH, t_interval

Row = dict[str, Any]

TITLES = {
    "input": "the corrupted input itself",
    "pca": "PCA",
    "median": "the median filter",
    "nlm": "non-local means",
    "tv": "total variation",
    "wavelet": "wavelet shrinkage",
    "bm3d": "BM3D",
    "posterior": "the posterior mean",
}


class Rival(NamedTuple):
    """A reference against a model that saw the same noisy images.

    Attributes:
      name: the reference's name, for people.
      differences: the reference's PSNR minus the model's, a value a seed.
      interval: Student's interval of their mean; None where seeds are too few, and for
        a reference that was given fewer images than the model's PSNR is of.
    """

    name: str
    differences: Sequence[float]
    interval: tuple[float, float] | None

    @property
    def lead(self) -> float:
        """How far the reference is ahead, in dB; negative where it is behind."""
        return float(np.mean(self.differences))

    @property
    def better(self) -> bool | None:
        """Whether it is ahead; None where the seeds do not tell, or are too few."""
        return decided(self)


def rivals(
    rows: Sequence[Row],
    references: Sequence[Row],
    fields: Sequence[str],
    measure: str,
    *,
    comparisons: int = 1,
) -> list[Rival]:
    """References against one setting's runs, paired by seed, the strongest first.

    Args:
      rows: the setting's finished runs, as rows of results.csv.
      references: the rows of references.csv.
      fields: the swept fields, the seed among them or not.
      measure: the column that is compared, "test/psnr".
      comparisons: the number of settings that are judged so; with that of the
        references it makes intervals wider, so that all hold at once in 95 % of cases.
    """
    found: dict[str, list[float]] = {}
    partial = {called(reference) for reference in references if _is_partial(reference)}
    for row in rows:
        for reference in references:
            if measure in row and measure in reference and saw(reference, row, fields):
                name = called(reference)
                found.setdefault(name, []).append(reference[measure] - row[measure])
    confidence = 1 - 0.05 / max(1, comparisons * len(found))
    judged = [
        Rival(
            name,
            values,
            t_interval(values, confidence=confidence)
            if len(values) >= ENOUGH and name not in partial
            else None,
        )
        for name, values in found.items()
    ]
    return sorted(judged, key=lambda rival: rival.lead, reverse=True)


def saw(reference: Row, row: Row, fields: Sequence[str]) -> bool:
    """Whether a reference was measured on the noisy images of a run.

    What a row of references.csv leaves empty, it does not depend on.
    """
    values = {field: reference.get(field, "") for field in {*fields, "seed"}}
    return all(
        str(value) == str(row.get(field))
        for field, value in values.items()
        if value not in ("", None)
    )


def called(reference: Row) -> str:
    """A reference's name for people, with what it was given less of than models."""
    name = TITLES.get(reference["reference"], str(reference["reference"]))
    given = []
    if "latent_size" in reference:
        given.append(f"{reference['latent_size']:,} numbers")
    if _is_partial(reference):
        count, total = reference["images"], reference["test_images"]
        given.append(f"on {count:,} of {total:,} test images")
    return f"{name} ({', '.join(given)})" if given else name


def _is_partial(reference):
    """Whether it was given some test images alone, and models all."""
    return reference["images"] < reference["test_images"]
