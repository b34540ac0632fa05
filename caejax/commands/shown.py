"""Tables of what a config would run."""

import math

from ml_collections import ConfigDict

from caejax.models.size import image_flops, parameter_count, parameter_shapes
from caejax.sweep.spec import SweepRun
from caejax.terminal.tables import print_table
from caejax.training.task import model_from_config


def print_runs(runs: list[SweepRun]) -> None:
    """Prints a row for every run of a sweep."""
    fields = [field.split(".")[-1] for field in runs[0].values]
    print_table(
        ("run", *fields, "params", "FLOPs (an image)"),
        [(run.id, *map(str, run.values.values()), *_size(run.config)) for run in runs],
        above=f"{len(runs)} runs",
    )


def _size(config):
    model = model_from_config(config)
    return f"{parameter_count(model):,}", f"{image_flops(model):,.0f}"


def print_parameters(config: ConfigDict) -> None:
    """Prints the parameters of one run's model."""
    model = model_from_config(config)
    code = "x".join(map(str, model.code_shape))
    image = "x".join(map(str, model.shape))
    params, flops = _size(config)
    print_table(
        ("parameter", "shape", "count"),
        [
            *(
                (path, "x".join(map(str, shape)), f"{math.prod(shape):,}")
                for path, shape in parameter_shapes(model).items()
            ),
            ("total", "", params),
        ],
        above=f"{image} -> code {code} -> {image}",
        below=f"FLOPs of an image's forward pass: {flops}",
    )
