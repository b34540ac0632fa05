"""Tables of what a config would run."""

import math

from ml_collections import ConfigDict
from rich.table import Table
from rich.text import Text

from caejax.models.size import image_flops, parameter_count, parameter_shapes
from caejax.sweep.spec import SweepRun
from caejax.terminal.lines import printable
from caejax.training.task import model_from_config


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
