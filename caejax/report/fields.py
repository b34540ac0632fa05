"""What a sweep varies.

Fields are of two kinds. Choices are what a reader decides on: the decoder where it is
swept, else all that is no corruption and no data. All others are conditions: choices
are compared within one condition, seed by seed.
"""

from caejax.report.read import SweepFiles, sweep_axes

DECODER = "model.upsampling"


def choices_and_conditions(sweep: SweepFiles) -> tuple[list[str], list[str]]:
    """Swept fields that are decided on, and the others.

    The seed is neither, nor is a field with one value only.
    """
    fields = [f for f in sweep.fields if f != "seed" and not _constant(sweep, f)]
    choices = [f for f in fields if f.split(".")[0] not in ("corruption", "data")]
    if DECODER in fields:
        choices = [f for f in fields if f in decoder_fields(sweep)]
    choices = choices or fields
    return choices, [field for field in fields if field not in choices]


def _constant(sweep, field):
    return len({str(row[field]) for row in sweep.rows if field in row}) == 1


def decoder_fields(sweep: SweepFiles) -> list[str]:
    """The decoder and the fields that change with it; none where it is not swept."""
    axes = [axis for axis in sweep_axes(sweep.config) if DECODER in axis]
    swept = [DECODER] if DECODER in sweep.fields else []
    return axes[0] if axes else swept


def seed_axis(sweep: SweepFiles) -> tuple[str, list[int]]:
    """The name of the axis that sets the seed, and its values; "" without one."""
    for name, axis in sorted(sweep.config.get("sweep", {}).items()):
        if axis.get("field") == "seed":
            return name, list(axis.get("values", ()))
    return "", []


def naming_fields(sweep: SweepFiles) -> list[str]:
    """Those of the decoder's fields whose values name it.

    The decoder alone, unless it is there with several values of the others.
    """
    fields = decoder_fields(sweep)
    if not fields:
        return []
    settings = {tuple(str(row[f]) for f in fields) for row in sweep.rows}
    decoders = {str(row[DECODER]) for row in sweep.rows}
    return fields if len(settings) > len(decoders) else [DECODER]
