"""Tables of what a config would run, and a sentence on how long it takes."""

import math

import jax
from ml_collections import ConfigDict
from rich.table import Table
from rich.text import Text

from caejax.commands.estimate import calibrate, total_seconds, work
from caejax.errors import CaejaxError
from caejax.models.size import image_flops, parameter_count, parameter_shapes
from caejax.sweep.progress import duration
from caejax.sweep.spec import SweepRun
from caejax.terminal.lines import printable
from caejax.training.task import model_from_config


def time_line(runs: list[SweepRun], workers: int, *, together: bool = False) -> str:
    """A sentence on how long the runs take, or why that is not known.

    Args:
      runs: one run, or the runs of a sweep.
      workers: the number of runs at a time.
      together: whether runs that share a program are trained by `vmap`.
    """
    try:
        works = [work(run.config, together=together) for run in runs]
        calibration = calibrate(runs[0].config)
    except CaejaxError as error:
        return f"no estimate of the time: {error}"
    seconds = total_seconds(works, calibration, workers)
    how = f", {workers} runs at a time" if workers > 1 else ""
    if together:
        how = ", run after run; together they take less on an accelerator"
    return (
        f"takes about {duration(seconds)} on this machine ({_hardware(workers)}{how}), "
        f"from a calibration of {calibration.seconds:.1f} s"
    )


def _hardware(workers):
    device, count = jax.devices()[0], jax.device_count()
    if device.platform != "cpu":
        return f"{count} x {device.device_kind}"
    cores = workers * count
    return f"{cores} core{'s' * (cores > 1)}"


def runs_table(runs: list[SweepRun]) -> Table:
    """A row for every run of a sweep."""
    columns = ("params", "FLOPs an image")
    table = Table("run", *runs[0].values, *columns, title=f"{len(runs)} runs")
    for run in runs:
        values = (Text(printable(str(value))) for value in run.values.values())
        model = model_from_config(run.config)
        size = f"{parameter_count(model):,}", f"{image_flops(model):,.0f}"
        table.add_row(run.id, *values, *size)
    return table


def parameters_table(config: ConfigDict) -> Table:
    """Parameters of one run's model."""
    model = model_from_config(config)
    code = "x".join(map(str, model.code_shape))
    image = "x".join(map(str, model.shape))
    table = Table(
        "parameter", "shape", "count", title=f"{image} -> code {code} -> {image}"
    )
    for path, shape in parameter_shapes(model).items():
        table.add_row(path, "x".join(map(str, shape)), f"{math.prod(shape):,}")
    table.add_section()
    table.add_row("total", "", f"{parameter_count(model):,}")
    table.add_row("FLOPs of an image's forward pass", "", f"{image_flops(model):,.0f}")
    return table
